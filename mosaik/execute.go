package mosaik

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// Execute replicates the command, waits until it is applied on this member, and
// returns the command's own result: what its ApplyTo returned here, domain
// errors included. It works on every member. Calls that one goroutine makes one
// after the other are applied in that order, and each exactly once, also when
// leaders are lost on the way.
//
// Other errors say what is known: [ErrUnknownOutcome], perhaps applied;
// [ErrNotApplied], not applied; [ErrResultLost], applied; [ErrTooLarge] and
// [ErrEncode], not applied. One of the first two comes with [ErrForming],
// [ErrStalled], [ErrLevel], [ErrClosed] and the error of a context that ends, and it
// is what counts; [Retryable] looks at both.
//
// If the compiler says that the type of a new command does not match
// sm.Command[C, M, R], run go generate in its package.
func Execute[R, C any, M sm.StateMachine[C]](ctx context.Context, g *Group[C, M], cmd sm.Command[C, M, R]) (R, error) {
	answer, err := ExecuteIndexed(ctx, g, cmd)
	return answer.Value, err
}

// ExecuteIndexed is [Execute] and also returns the index of the command, where
// the machine declined it, too, and with [ErrResultLost] where it is known, 0
// otherwise, and the epoch in which the index counts. A query with [AtLeast] of it reads one's own write on every member.
func ExecuteIndexed[R, C any, M sm.StateMachine[C]](ctx context.Context, g *Group[C, M], cmd sm.Command[C, M, R]) (Answer[R], error) {
	command, err := asCommand(cmd)
	if err != nil {
		return Answer[R]{}, fmt.Errorf("%w: %w", ErrEncode, err)
	}
	result, epoch, err := g.execute(ctx, command)
	answer := Answer[R]{Index: result.Index, Epoch: epoch}
	if err == nil {
		answer.Value, err = typed[R](result)
	}
	return answer, err
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

// typed returns the value of a result, which a machine of the user's may have
// made of another type.
func typed[R any](result Result) (R, error) {
	r, ok := result.Value.(R)
	if !ok && result.Value != nil && result.Err == nil {
		return r, fmt.Errorf("mosaik: execute: the machine's Apply returned a %T where the command returns a %T", result.Value, r)
	}
	return r, result.Err
}

// Execute is the untyped form of the function [Execute], for hand-written
// machines: it returns what the machine's Apply returned on this member. A
// pointer to a command is as good as the command.
func (g *Group[C, M]) Execute(ctx context.Context, cmd C) (any, error) {
	result, _, err := g.execute(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return result.Value, result.Err
}

// execute executes one command and returns its result, whose index counts in the epoch.
// The span records the machine's own error, too.
func (g *Group[C, M]) execute(ctx context.Context, cmd C) (Result, Epoch, error) {
	ctx, span := g.joined.net.telemetry.start(ctx, "mosaik.execute", g.joined.id)
	if span == noSpan {
		return g.do(ctx, cmd, format.Span{})
	}
	result, epoch, err := g.do(ctx, cmd, spanContext(ctx))
	endSpan(span, cmp.Or(err, result.Err))
	return result, epoch, err
}

func (g *Group[C, M]) do(ctx context.Context, cmd C, span format.Span) (Result, Epoch, error) {
	core, err := g.core()
	if err != nil {
		return Result{}, Epoch{}, err
	}
	applying := core.Applying()
	one := core.NewOne()
	one.Level = core.Level()
	if one.Data, err = g.encode(one.Data, cmd, one.Level); err != nil {
		one.Release()
		return Result{}, Epoch{}, fmt.Errorf("%w: %w", notEncoded(err), err)
	}
	at, result, err := core.Do(ctx, applying, one, span)
	return Result{Index: at.Index, Value: result.Value, Err: result.Err}, at.Epoch, err
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

// Result is the outcome of one command of a batch.
type Result struct {
	Index sm.Index // the command's index
	Value any      // what the machine's Apply returned
	Err   error    // the domain error with which it declined
}

// ExecuteMany replicates the commands as one batch: they are applied all or
// none, next to each other and in order, and nobody sees the machine in between.
// The results are in the order of the commands. A domain error of one does not
// stop the others. Errors are those of [Execute], and [ErrEmptyBatch].
func (g *Group[C, M]) ExecuteMany(ctx context.Context, cmds ...C) (_ []Result, err error) {
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
func (p *Pending) Wait(ctx context.Context) ([]Result, error) { return p.wait(ctx) }

func (p *Pending) wait(ctx context.Context) ([]Result, error) {
	first, outcomes, err := p.call.Wait(ctx)
	if err != nil {
		return nil, err
	}
	return results(first, outcomes), nil
}

func results(first sm.Index, outcomes []state.Result) []Result {
	all := make([]Result, len(outcomes))
	for i, o := range outcomes {
		all[i] = Result{Index: first + sm.Index(i), Value: o.Value, Err: o.Err}
	}
	return all
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
