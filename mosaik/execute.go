package mosaik

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/sm"
)

// Execute replicates the command, waits until it is applied on this member, and returns
// what the command's ApplyTo returned here: a domain error is the call's error, beside the
// command's index. It works on every member. Calls that one goroutine makes one after the
// other are applied in that order, and each exactly once, also when leaders are lost
// meanwhile.
//
// Other errors say what is known: [ErrUnknownOutcome], perhaps applied;
// [ErrNotApplied], not applied; [ErrResultLost], applied; [ErrTooLarge] and
// [ErrEncode], not applied. One of the first two comes with [ErrForming],
// [ErrStalled], [ErrLevel], [ErrClosed] and the error of a context that ends, and it
// is what counts; [Retryable] looks at both.
//
// If the compiler says that the type of a new command does not match
// sm.Command[C, M, R], run go generate in its package.
func Execute[R, C any, M sm.StateMachine[C]](ctx context.Context, g *Group[C, M], cmd sm.Command[C, M, R]) (Result[R], error) {
	command, err := asCommand(cmd)
	if err != nil {
		return Result[R]{}, fmt.Errorf("%w: %w", ErrEncode, err)
	}
	untyped, err := g.Execute(ctx, command)
	result := Result[R]{Index: untyped.Index, Epoch: untyped.Epoch}
	value, ok := untyped.Value.(R)
	if !ok && untyped.Value != nil && err == nil {
		return result, fmt.Errorf("mosaik: execute: the machine's Apply returned a %T where the command returns a %T", untyped.Value, value)
	}
	result.Value = value
	return result, err
}

// asCommand returns the command as the machine's codec takes it.
func asCommand[R, C any, M sm.StateMachine[C]](cmd sm.Command[C, M, R]) (_ C, err error) {
	defer panicked(&err)
	return cmd.AsCommand(), nil
}

// panicked makes an error of a panic of the user's code. It is deferred.
func panicked(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("panic: %v", v)
	}
}

// Execute is the untyped form of the function [Execute], for hand-written machines: it
// returns what the machine's Apply returned on this member. cmd may also be a pointer to a
// command.
func (g *Group[C, M]) Execute(ctx context.Context, cmd C) (Result[any], error) {
	ctx, span := g.joined.net.telemetry.start(ctx, "mosaik.execute", g.joined.id)
	if span == noSpan {
		return g.execute(ctx, cmd, format.Span{})
	}
	result, err := g.execute(ctx, cmd, spanContext(ctx))
	endSpan(span, err) // the machine's own error as well
	return result, err
}

// execute executes one command, whose error may be the machine's own.
func (g *Group[C, M]) execute(ctx context.Context, cmd C, span format.Span) (Result[any], error) {
	core, err := g.core()
	if err != nil {
		return Result[any]{}, err
	}
	applying := core.Applying()
	one := core.NewOne()
	one.Level = core.Level()
	if one.Data, err = g.encode(one.Data, cmd, one.Level); err != nil {
		one.Release()
		return Result[any]{}, fmt.Errorf("%w: %w", notEncoded(err), err)
	}
	at, outcome, err := core.Do(ctx, applying, one, span)
	result := Result[any]{Value: outcome.Value, Index: at.Index, Epoch: at.Epoch}
	if err != nil {
		return result, err
	}
	return result, outcome.Err
}

// encode appends the bytes of a command at a level of the schema.
func (g *Group[C, M]) encode(dst []byte, cmd C, level uint32) (_ []byte, err error) {
	defer panicked(&err)
	data, err := g.levels.append(dst, cmd, level)
	if errors.Is(err, codec.ErrVariant) {
		if value, ok := pointee(cmd); ok {
			data, err = g.levels.append(dst, value, level)
		}
	}
	if err != nil {
		return dst, fmt.Errorf("a %T: %w", cmd, err)
	}
	return data, nil
}

// notEncoded returns what a command's error of encode means: a command that needs a
// higher level can be issued again.
func notEncoded(err error) error {
	if errors.Is(err, ErrLevel) {
		return ErrNotApplied
	}
	return ErrEncode
}

// pointee returns the command that cmd points to, if that is one, too. Commands
// are values, and their methods those of pointers as well.
func pointee[C any](cmd C) (value C, ok bool) {
	if p := reflect.ValueOf(cmd); p.Kind() == reflect.Pointer && !p.IsNil() {
		value, ok = p.Elem().Interface().(C)
	}
	return value, ok
}

// ExecuteMany replicates the commands as one batch: they are applied all or
// none, next to each other and in order, and nobody sees the machine in between.
// The results are in the order of the commands. A domain error of one does not
// stop the others. Errors are those of [Execute], and [ErrEmptyBatch].
func (g *Group[C, M]) ExecuteMany(ctx context.Context, cmds ...C) (_ []Result[any], err error) {
	ctx, span := g.joined.net.telemetry.start(ctx, "mosaik.execute", g.joined.id)
	defer func() { endSpan(span, err) }()
	p, err := g.submit(ctx, cmds...)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Feed queues the commands as one batch, like [Group.ExecuteMany], and returns
// without waiting for it, unless the queue is full, with 16384 commands or 64 MiB:
// then it waits for room until ctx ends. Batches of one goroutine are applied in
// the order in which they were fed. Once Feed has returned, its context means
// nothing to the batch; one that has ended before queues nothing.
func (g *Group[C, M]) Feed(ctx context.Context, cmds ...C) (*Pending, error) {
	return g.submit(ctx, cmds...)
}

// Pending is a batch that was fed and whose outcome can be awaited. Its methods
// may be called from any goroutine.
type Pending struct{ call *session.Call }

// Done returns a channel that is closed when the outcome is known.
func (p *Pending) Done() <-chan struct{} { return p.call.Done() }

// Wait waits for the outcome until ctx ends. A batch that is still queued then,
// and that nobody else waits for, is taken back. One that is under way is not, and
// Wait can be called again; as long as nobody does, it is not tried again should
// it get lost on the way. To look now and then, use Done.
func (p *Pending) Wait(ctx context.Context) ([]Result[any], error) {
	first, outcomes, err := p.call.Wait(ctx)
	if err != nil {
		return nil, err
	}
	epoch, results := Epoch(p.call.Epoch()), make([]Result[any], len(outcomes))
	for i, o := range outcomes {
		results[i] = Result[any]{Value: o.Value, Index: first + sm.Index(i), Epoch: epoch, Err: o.Err}
	}
	return results, nil
}

func (g *Group[C, M]) submit(ctx context.Context, cmds ...C) (*Pending, error) {
	core, err := g.core()
	if err != nil {
		return nil, err
	}
	encoded, level := make([][]byte, len(cmds)), core.Level()
	for i, cmd := range cmds {
		if encoded[i], err = g.encode(nil, cmd, level); err != nil {
			return nil, fmt.Errorf("%w: command %d of %d: %w", notEncoded(err), i+1, len(cmds), err)
		}
	}
	call, err := core.Submit(ctx, level, encoded, spanContext(ctx))
	if err != nil {
		return nil, err
	}
	return &Pending{call}, nil
}
