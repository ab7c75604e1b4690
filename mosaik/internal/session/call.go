package session

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// Call is a batch of commands that was submitted. It is made by [Proposer.Submit].
type Call struct {
	p          *Proposer
	cmds       [][]byte
	size       int    // bytes of the commands in an entry
	level      uint32 // of the schema, at which the commands are encoded
	span       format.Span
	isReusable bool // belongs to a Single: done receives a value and is never closed

	// Guarded by the proposer's lock.
	state      callState
	prev, next *Call
	admitted   chan struct{} // closed when a call that waited for space in the queue is admitted
	waiters    int           // how many goroutines wait for the outcome
	abandoned  error         // why the last waiter of a call that was sent stopped waiting

	// Set once, before done is closed.
	epoch   [16]byte // in which first counts
	first   sm.Index
	results []state.Result
	err     error
	done    chan struct{}
}

// callState is the state of a call with respect to the queue.
type callState uint8

const (
	stateTaken   callState = iota // not in the queue: in an entry, or ended
	stateWaiting                  // waits for space in the queue
	stateQueued                   // waits for an entry
)

// Done returns a channel that is closed when the outcome is known. After that, Wait returns at
// once.
func (c *Call) Done() <-chan struct{} { return c.done }

// Epoch returns the epoch in which the index of the first command counts, zero if the index is
// not known. It must not be called before Wait has returned the outcome.
func (c *Call) Epoch() [16]byte { return c.epoch }

// Wait waits for the outcome: the index of the first command, and one result for each command.
//
// If ctx ends first and no other goroutine waits, a call that is still queued is cancelled: the
// error wraps [ErrNotApplied] and the cause of ctx. Otherwise it wraps [ErrUnknownOutcome] and
// the cause, and another Wait may still return the outcome. A call that was sent and that no
// goroutine waits for is not sent again if its entry was not accepted.
//
// Other errors are those of a [state.Delivery], of Config.Stalled and of [Proposer.Close].
func (c *Call) Wait(ctx context.Context) (first sm.Index, results []state.Result, err error) {
	c.p.addWaiter(c)
	if err := c.wait(ctx); err != nil {
		return 0, nil, err
	}
	return c.first, c.results, c.err
}

// wait returns nil when the call has ended, and otherwise the error of Wait.
func (c *Call) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	c.p.removeWaiter(c, watch.Cause(ctx))
	// If the call has ended meanwhile, its outcome counts and not the end of ctx.
	select {
	case <-c.done:
		return nil
	default:
		return unknown(watch.Cause(ctx))
	}
}

// end sets the outcome. It must be called once.
func (c *Call) end(first sm.Index, results []state.Result, err error) {
	c.first, c.results, c.err = first, results, err
	c.cmds = nil
	if c.isReusable {
		c.done <- struct{}{} // from now on the waiter may reuse the call
		return
	}
	close(c.done)
}
