package session

import (
	"context"
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// maxRecycledBytes is the limit in bytes of an entry's memory that is reused for a later entry.
const maxRecycledBytes = 1 << 20

// inflightEntry is an entry in flight, with its calls.
type inflightEntry struct {
	session  format.SessionID
	sequence uint64
	data     []byte
	commands int
	level    uint32  // of the schema, at which the commands are encoded
	calls    []*Call // none if all of them failed before the outcome was known
	traces   []format.Trace
	sentAt   time.Time       // when it was sent first
	ctx      context.Context // of the latest attempt
	attempt  Attempt         // nil when the latest attempt has ended
	err      error           // of the latest attempt

	// Guarded by the proposer's lock.
	cancel     context.CancelFunc // ends the latest attempt
	mayBeInLog bool               // an attempt may have brought the entry into the log
	isCopyVoid bool               // the copy that the latest attempt brought into the log is void
	hasOutcome bool               // the outcome is known
	outcome    state.Delivery
}

// matches reports whether d is the outcome of the entry.
func (f *inflightEntry) matches(d state.Delivery) bool {
	return d.Session == f.session && (d.Sequence == f.sequence || d.Restored && d.Sequence > f.sequence)
}

// processingTime returns an upper bound of the time to process the entry.
func (f *inflightEntry) processingTime() time.Duration {
	return time.Duration(f.commands)*workPerCommand + time.Duration(len(f.data))*workPerByte
}

// isSessionRefused reports whether the entry was rejected because its session is unknown or a
// number before it is missing.
func (f *inflightEntry) isSessionRefused() bool {
	return f.hasOutcome && (errors.Is(f.outcome.Err, state.ErrUnknownSession) || errors.Is(f.outcome.Err, state.ErrGap))
}

// reset empties the entry and keeps its memory.
func (f *inflightEntry) reset() {
	clear(f.calls)
	data, calls, traces := f.data[:0], f.calls[:0], f.traces[:0]
	if cap(data) > maxRecycledBytes {
		data = nil
	}
	*f = inflightEntry{data: data, calls: calls, traces: traces}
}

// wait waits until the attempt has ended. It returns false if interrupt is ready first.
func (f *inflightEntry) wait(interrupt <-chan struct{}) bool {
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

// take moves calls of one level from the queue to the entry, as many as fit and at least one if
// there is any. It returns the number of their commands.
func (f *inflightEntry) take(q *queue, maxBytes, maxCommands int) (commands int) {
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

// encode encodes the entry.
func (f *inflightEntry) encode(h format.Header) {
	f.session, f.sequence = h.Session, h.Sequence
	f.data = format.Begin(f.data, h, f.traces, f.commands)
	for _, c := range f.calls {
		for _, cmd := range c.cmds {
			f.data = format.AppendCommand(f.data, cmd)
		}
	}
}

// succeed ends the calls with their results.
func (f *inflightEntry) succeed() {
	first, results := f.outcome.First, f.outcome.Results
	for _, c := range f.calls {
		n := len(c.cmds)
		c.epoch = f.outcome.Epoch
		c.end(first, results[:n:n], nil)
		first, results = first+sm.Index(n), results[n:]
	}
}

// succeedWithoutResults ends the calls with their indices. Their results are not known.
func (f *inflightEntry) succeedWithoutResults() {
	first := f.outcome.First
	for _, c := range f.calls {
		n := len(c.cmds)
		c.epoch = f.outcome.Epoch
		c.end(first, nil, f.outcome.Err)
		first += sm.Index(n)
	}
}

// fail ends all calls with an error.
func (f *inflightEntry) fail(err error) { f.calls = failCalls(f.calls, err) }

func failCalls(calls []*Call, err error) []*Call {
	for i, c := range calls {
		c.end(0, nil, err)
		calls[i] = nil
	}
	return calls[:0]
}
