package mosaik

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/sm"
)

// Execute replicates the command, waits until it is applied on this member, and returns what
// the command's ApplyTo returned here. A domain error is returned unchanged, beside the command's
// index. Execute works on every member. Commands that one goroutine issues one after the other are
// applied in that order, each exactly once, also when leaders fail meanwhile.
//
// For an error, [OutcomeOf] reports whether the command was applied, and [Retryable] whether to
// issue it again. The errors are [ErrForming], [ErrStalled], [ErrLevel], [ErrTooLarge],
// [ErrInvalid], [ErrResultLost], [ErrUndecodable], those that end a group on this member
// ([ErrClosed], [ErrSuperseded], [consensus.ErrPoisoned], [ErrStorage], [consensus.ErrOutdated]),
// and the context's error.
//
// If the compiler reports that the type of a new command does not match sm.Command[C, M, R], run go
// generate in its package.
func Execute[R, C any, M sm.StateMachine[C]](
	ctx context.Context, g *Group[C, M], cmd sm.Command[C, M, R],
) (Result[R], error) {
	command, err := asCommand(cmd)
	if err != nil {
		return Result[R]{}, g.joined.commandFailed(err)
	}
	untyped, err := g.Execute(ctx, command)
	result := Result[R]{Index: untyped.Index, Epoch: untyped.Epoch}
	value, ok := untyped.Value.(R)
	if !ok && untyped.Value != nil && err == nil {
		return result, g.joined.failed("execute in", Applied,
			fmt.Errorf("the machine's Apply returned a %T where the command returns a %T", untyped.Value, value))
	}
	result.Value = value
	return result, err
}

// asCommand returns the command as the machine's codec accepts it.
func asCommand[R, C any, M sm.StateMachine[C]](cmd sm.Command[C, M, R]) (_ C, err error) {
	defer func() {
		if v := recover(); v != nil { // a nil pointer in the interface
			err = fmt.Errorf("%w: AsCommand of a %T panicked: %v", ErrInvalid, cmd, v)
		}
	}()
	return cmd.AsCommand(), nil
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

// execute executes one command. The error may be the machine's own.
func (g *Group[C, M]) execute(ctx context.Context, cmd C, span format.Span) (Result[any], error) {
	core, err := g.core()
	if err != nil {
		return Result[any]{}, g.joined.commandFailed(err)
	}
	applying := core.Applying()
	one := core.NewSingle()
	one.Level = core.Level()
	if one.Data, err = g.encode(one.Data, cmd, one.Level); err != nil {
		one.Release()
		return Result[any]{}, g.joined.commandFailed(err)
	}
	at, outcome, err := core.Do(ctx, applying, one, span)
	result := Result[any]{Value: outcome.Value, Index: at.Index, Epoch: at.Epoch}
	if err != nil {
		return result, g.joined.commandFailed(err)
	}
	return result, outcome.Err
}

// encode appends the bytes of a command at a level of the schema. The error is [ErrLevel] or
// [ErrInvalid].
func (g *Group[C, M]) encode(dst []byte, cmd C, level uint32) (_ []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: encode a %T: panic: %v", ErrInvalid, cmd, v)
		}
	}()
	data, err := g.levels.append(dst, cmd, level)
	if errors.Is(err, codec.ErrVariant) {
		if value, ok := pointee(cmd); ok {
			data, err = g.levels.append(dst, value, level)
		}
	}
	switch {
	case errors.Is(err, ErrLevel):
		return dst, fmt.Errorf("%w: encode a %T: %w", session.ErrNotApplied, cmd, err)
	case err != nil:
		return dst, fmt.Errorf("%w: encode a %T: %w", ErrInvalid, cmd, err)
	}
	return data, nil
}

// pointee returns the command that cmd points to, if that is a command too. Commands are
// values, and the methods of a value are those of its pointer as well.
func pointee[C any](cmd C) (value C, ok bool) {
	if p := reflect.ValueOf(cmd); p.Kind() == reflect.Pointer && !p.IsNil() {
		value, ok = p.Elem().Interface().(C)
	}
	return value, ok
}

// ExecuteMany replicates the commands as one batch: they are applied all or none, next to
// each other and in order, and no query sees the machine in between. The results are in the
// order of the commands. A domain error of one command is in its [Result] and does not stop
// the others. The errors are those of [Execute].
func (g *Group[C, M]) ExecuteMany(ctx context.Context, cmds ...C) (_ []Result[any], err error) {
	ctx, span := g.joined.net.telemetry.start(ctx, "mosaik.execute", g.joined.id)
	defer func() { endSpan(span, err) }()
	p, err := g.submit(ctx, cmds...)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Feed queues the commands as one batch, like [Group.ExecuteMany], and returns without
// waiting for the outcome. If the queue is full, with 16384 commands or 64 MiB, Feed blocks
// until there is room or ctx ends. Batches of one goroutine are applied in the order in
// which they were fed. The end of ctx does not affect a batch for which Feed has returned;
// with a context that has already ended, Feed queues nothing.
func (g *Group[C, M]) Feed(ctx context.Context, cmds ...C) (*Pending, error) {
	return g.submit(ctx, cmds...)
}

// Pending is a batch that [Group.Feed] has queued. Its methods may be called from any
// goroutine.
type Pending struct {
	call   *session.Call
	joined *joined
}

// Done returns a channel that is closed when the outcome is known.
func (p *Pending) Done() <-chan struct{} { return p.call.Done() }

// Wait waits for the outcome until ctx ends. If nothing else waits for the batch then, a
// batch that is still queued is withdrawn, and one that is in flight is not sent again if it
// is lost. Wait can be called again to learn the outcome. To check without waiting, use Done.
func (p *Pending) Wait(ctx context.Context) ([]Result[any], error) {
	first, outcomes, err := p.call.Wait(ctx)
	if err != nil {
		return nil, p.joined.commandFailed(err)
	}
	epoch, results := consensus.Epoch(p.call.Epoch()), make([]Result[any], len(outcomes))
	for i, o := range outcomes {
		results[i] = Result[any]{Value: o.Value, Index: first + sm.Index(i), Epoch: epoch, Err: o.Err}
	}
	return results, nil
}

func (g *Group[C, M]) submit(ctx context.Context, cmds ...C) (*Pending, error) {
	core, err := g.core()
	if err != nil {
		return nil, g.joined.commandFailed(err)
	}
	encoded, level := make([][]byte, len(cmds)), core.Level()
	for i, cmd := range cmds {
		if encoded[i], err = g.encode(nil, cmd, level); err != nil {
			return nil, g.joined.commandFailed(fmt.Errorf("command %d of %d: %w", i+1, len(cmds), err))
		}
	}
	call, err := core.Submit(ctx, level, encoded, spanContext(ctx))
	if err != nil {
		return nil, g.joined.commandFailed(err)
	}
	return &Pending{call, g.joined}, nil
}
