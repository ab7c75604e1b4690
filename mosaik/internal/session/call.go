package session

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// Call is a batch of commands on its way. It is made by [Proposer.Submit].
type Call struct {
	p     *Proposer
	cmds  [][]byte
	size  int    // the bytes that the commands take up in an entry
	level uint32 // of the schema, at which the commands are encoded
	span  format.Span
	lent  bool // belongs to a One: done gets a value and is never closed

	// Guarded by the proposer's lock.
	place      place
	prev, next *Call
	admitted   chan struct{} // closed when a call that waited for room got it
	waiters    int           // how many wait for the outcome
	givenUp    error         // why the last of them stopped waiting for a call that was sent

	// Written once, before done is closed.
	epoch   [16]byte // in which first counts
	first   sm.Index
	results []state.Result
	err     error
	done    chan struct{}
}

// place is where a call is.
type place uint8

const (
	nowhere place = iota // taken out of the queue: in an entry, or ended
	waiting              // waits for room in the queue
	queued               // waits for its entry
)

// Done returns a channel that is closed when the outcome is known. Wait then
// returns at once.
func (c *Call) Done() <-chan struct{} { return c.done }

// Epoch returns the epoch in which the index of the first command counts, zero where the
// index is not known. It must not be called before Wait has returned the outcome.
func (c *Call) Epoch() [16]byte { return c.epoch }

// Wait waits for the outcome: the index of the first command, and one result
// for each. When ctx ends first and nobody else waits, a call that is still queued
// is taken back: the error joins the context's with [ErrNotApplied]. Otherwise it
// joins it with [ErrUnknownOutcome], and another Wait may still find the outcome.
// A call that was sent and that nobody waits for any more is not sent again if
// its entry turns out not to be accepted.
//
// Other errors are those of a [state.Delivery], of Config.Stalled and of
// [Proposer.Close].
func (c *Call) Wait(ctx context.Context) (first sm.Index, results []state.Result, err error) {
	c.p.attend(c)
	if err := c.wait(ctx); err != nil {
		return 0, nil, err
	}
	return c.first, c.results, c.err
}

// wait returns nil when the call has ended, or why it is not waited for.
func (c *Call) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	c.p.withdraw(c, watch.Cause(ctx))
	// A call that has ended says how, whatever became of ctx.
	select {
	case <-c.done:
		return nil
	default:
		return unknown(watch.Cause(ctx))
	}
}

// end sets the outcome. It is called once.
func (c *Call) end(first sm.Index, results []state.Result, err error) {
	c.first, c.results, c.err = first, results, err
	c.cmds = nil
	if c.lent {
		c.done <- struct{}{} // who waits may use the call for another command now
		return
	}
	close(c.done)
}
