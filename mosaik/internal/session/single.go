package session

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// maxKeptData is the limit in bytes of a command's memory that a Single keeps for the next command.
const maxKeptData = 4 << 10

// Single is a single command whose caller waits for it. This is the common case, so its memory is
// reused. Get one from [Proposer.NewSingle], encode the command into Data, and pass it to
// [Proposer.Do] or return it with [Single.Release].
type Single struct {
	Data  []byte // the command; append to Data[:0] to reuse its memory
	Level uint32 // of the schema, at which the command is encoded

	call Call
	cmds [1][]byte
}

// NewSingle returns a Single with empty Data.
func (p *Proposer) NewSingle() *Single {
	if o, ok := p.singles.Get().(*Single); ok {
		return o
	}
	o := &Single{}
	o.call = Call{p: p, isReusable: true, done: make(chan struct{}, 1)}
	return o
}

// Release returns a Single that was not passed to Do.
func (o *Single) Release() {
	if o.Data = o.Data[:0]; cap(o.Data) > maxKeptData {
		o.Data = nil
	}
	o.cmds[0], o.Level = nil, 0
	o.call.p.singles.Put(o)
}

// Place is where a command was applied: an index and the epoch in which it counts. The zero Place
// means that it is not known.
type Place struct {
	Epoch [16]byte
	Index sm.Index
}

// Do replicates the command and returns its place and its result. Its errors are those of
// [Proposer.Submit] and [Call.Wait]. The Single must not be used after Do, even after an error.
func (p *Proposer) Do(ctx context.Context, o *Single, span format.Span) (Place, state.Result, error) {
	c := &o.call
	o.cmds[0] = o.Data
	c.cmds, c.level, c.size, c.span, c.waiters = o.cmds[:], o.Level, format.CommandSize(len(o.Data)), span, 1
	if err := p.submit(ctx, c); err != nil {
		return Place{}, state.Result{}, err
	}
	if err := c.wait(ctx); err != nil {
		return Place{}, state.Result{}, err // the call is still in flight, so o is not reused
	}
	at, err := Place{c.epoch, c.first}, c.err
	var result state.Result
	if err == nil {
		result = c.results[0]
	}
	*c = Call{p: p, isReusable: true, done: c.done}
	o.Release()
	return at, result, err
}
