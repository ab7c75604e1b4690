package session

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// Call is a batch of commands on its way. It is made by [Proposer.Submit].
type Call struct {
	p    *Proposer
	cmds [][]byte
	size int // the bytes that the commands take up in an entry
	span format.Span

	// Guarded by the proposer's lock.
	place      place
	prev, next *Call
	admitted   chan struct{} // closed when a call that waited for room got it
	givenUp    error         // why its caller stopped waiting for a call that was sent

	// Written once, before done is closed.
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

// Wait waits for the outcome: the index of the first command, and one result
// for each. When ctx ends first, a call that is still queued is taken back: the
// error joins the context's with [ErrNotApplied]. One that was sent can't be
// taken back: the error joins the context's with [ErrUnknownOutcome], and a
// later Wait may still find the outcome; nothing else may be expected of it, for
// if the entry turns out not to be accepted, the call is dropped.
//
// Other errors are those of a [state.Delivery], of Config.Stalled and of
// [Proposer.Close].
func (c *Call) Wait(ctx context.Context) (first sm.Index, results []state.Result, err error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		// A call that has ended says how, whatever became of ctx.
		if !c.p.withdraw(c, ctx.Err()) {
			select {
			case <-c.done:
			default:
				return 0, nil, unknown(ctx.Err())
			}
		}
	}
	return c.first, c.results, c.err
}

// end sets the outcome. It is called once.
func (c *Call) end(first sm.Index, results []state.Result, err error) {
	c.first, c.results, c.err = first, results, err
	c.cmds = nil
	close(c.done)
}
