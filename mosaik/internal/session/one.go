package session

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// maxData bounds the bytes of memory that a One keeps from one command for the
// next.
const maxData = 4 << 10

// One is a single command whose caller waits for it: the common case, whose
// memory is used again. Get one from [Proposer.NewOne], encode the command to its Data,
// and give it to [Proposer.Do] or back by [One.Release].
type One struct {
	Data  []byte // the command; its memory may be appended to from the start
	Level uint32 // of the schema, at which the command is encoded

	call Call
	cmds [1][]byte
}

// NewOne returns one with empty Data.
func (p *Proposer) NewOne() *One {
	if o, ok := p.ones.Get().(*One); ok {
		return o
	}
	o := &One{}
	o.call = Call{p: p, lent: true, done: make(chan struct{}, 1)}
	return o
}

// Release gives back one that was not given to Do.
func (o *One) Release() {
	if o.Data = o.Data[:0]; cap(o.Data) > maxData {
		o.Data = nil
	}
	o.cmds[0], o.Level = nil, 0
	o.call.p.ones.Put(o)
}

// Place is where a command was applied: an index counts in its epoch. The zero Place says
// that it is not known.
type Place struct {
	Epoch [16]byte
	Index sm.Index
}

// Do brings the command into the log and returns its place and its result. It
// ends as [Proposer.Submit] and [Call.Wait] do, one after the other. The One
// must not be used any more, whatever Do returned.
func (p *Proposer) Do(ctx context.Context, o *One, span format.Span) (Place, state.Result, error) {
	c := &o.call
	o.cmds[0] = o.Data
	c.cmds, c.level, c.size, c.span, c.waiters = o.cmds[:], o.Level, format.CommandSize(len(o.Data)), span, 1
	if err := p.submit(ctx, c); err != nil {
		return Place{}, state.Result{}, err
	}
	if err := c.wait(ctx); err != nil {
		return Place{}, state.Result{}, err // it is still in flight
	}
	at, err := Place{c.epoch, c.first}, c.err
	var result state.Result
	if err == nil {
		result = c.results[0]
	}
	*c = Call{p: p, lent: true, done: c.done}
	o.Release()
	return at, result, err
}
