package session

import (
	"context"
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// maxSpare bounds the bytes of memory that are kept from one entry for the next.
const maxSpare = 1 << 20

// flight is an entry on its way, with the calls that travel in it.
type flight struct {
	session  format.SessionID
	sequence uint64
	data     []byte
	commands int
	level    uint32  // of the schema, at which they are encoded
	calls    []*Call // none when all of them were failed before it landed
	traces   []format.Trace
	launched time.Time       // when it was sent first
	ctx      context.Context // of the latest attempt
	attempt  Attempt         // nil when the latest has ended
	err      error           // how the latest ended

	// Guarded by the proposer's lock.
	cancel    context.CancelFunc // ends the attempt that is under way
	isTainted bool               // an attempt may have brought the entry into the log
	isSpent   bool               // the copy that the latest attempt brought there is void
	hasLanded bool               // the outcome is known
	outcome   state.Delivery
}

// isMeant reports whether d tells the outcome of the entry.
func (f *flight) isMeant(d state.Delivery) bool {
	return d.Session == f.session && (d.Sequence == f.sequence || d.Restored && d.Sequence > f.sequence)
}

// work returns how long the work on the entry takes at most.
func (f *flight) work() time.Duration {
	return time.Duration(f.commands)*workPerCommand + time.Duration(len(f.data))*workPerByte
}

// isOutcast reports whether the entry was refused because of its session.
func (f *flight) isOutcast() bool {
	return f.hasLanded && (errors.Is(f.outcome.Err, state.ErrUnknownSession) || errors.Is(f.outcome.Err, state.ErrGap))
}

// reset empties the flight and keeps its memory.
func (f *flight) reset() {
	clear(f.calls)
	data, calls, traces := f.data[:0], f.calls[:0], f.traces[:0]
	if cap(data) > maxSpare {
		data = nil
	}
	*f = flight{data: data, calls: calls, traces: traces}
}

// wait waits until the attempt has ended. It is false if interrupt was ready first.
func (f *flight) wait(interrupt <-chan struct{}) bool {
	if f.attempt == nil {
		return true
	}
	settled, err := f.attempt.Wait(f.ctx, interrupt)
	if settled {
		f.attempt, f.err = nil, err
		f.cancel()
	}
	return settled
}

// load takes calls of one level out of the queue, as many as fit into one entry and
// at least one if there is any.
func (f *flight) load(q *queue, maxBytes, maxCommands int) (commands int) {
	var size int
	for c := q.first(); c != nil; c = q.first() {
		cost := c.size
		if !c.span.IsZero() {
			cost += format.MaxTrace
		}
		if len(f.calls) > 0 && (size+cost > maxBytes || commands+len(c.cmds) > maxCommands || c.level != f.level) {
			break
		}
		f.level = c.level
		if !c.span.IsZero() {
			f.traces = append(f.traces, format.Trace{Offset: commands, Span: c.span})
		}
		q.pop()
		f.calls = append(f.calls, c)
		size += cost
		commands += len(c.cmds)
	}
	return commands
}

// encode writes the entry.
func (f *flight) encode(h format.Header) {
	f.session, f.sequence = h.Session, h.Sequence
	f.data = format.Begin(f.data, h, f.traces, f.commands)
	for _, c := range f.calls {
		for _, cmd := range c.cmds {
			f.data = format.AppendCommand(f.data, cmd)
		}
	}
}

// succeed hands out the results.
func (f *flight) succeed() {
	first, results := f.outcome.First, f.outcome.Results
	for _, c := range f.calls {
		n := len(c.cmds)
		c.epoch = f.outcome.Epoch
		c.end(first, results[:n:n], nil)
		first, results = first+sm.Index(n), results[n:]
	}
}

// lose tells calls that were applied where, and that nothing else is known.
func (f *flight) lose() {
	first := f.outcome.First
	for _, c := range f.calls {
		n := len(c.cmds)
		c.epoch = f.outcome.Epoch
		c.end(first, nil, f.outcome.Err)
		first += sm.Index(n)
	}
}

// fail ends all calls with an error.
func (f *flight) fail(err error) { f.calls = failCalls(f.calls, err) }

func failCalls(calls []*Call, err error) []*Call {
	for i, c := range calls {
		c.end(0, nil, err)
		calls[i] = nil
	}
	return calls[:0]
}
