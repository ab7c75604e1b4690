package mosaik

import (
	"context"
	"fmt"
	"iter"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// When waits for events of a group. Get it from [Group.When]. Its methods may be called from
// any goroutine.
//
// A wait returns at once if its condition is already met. Otherwise it ends with the context's
// error, wrapped, whose text then names what the member waits for; or with the reason for which the
// group ended on this member: [ErrClosed], also of a handle that is closed meanwhile, [ErrStorage]
// and the like. Waits need no polling: they wake when the member's view changes.
type When struct {
	joined *joined
	handle *handle
}

// Online waits until this member can serve: the group accepts commands, and this member leads
// or has caught up with a live leader. A member whose machine panicked cannot: the error is
// [consensus.ErrPoisoned].
func (w When) Online(ctx context.Context) error {
	return w.serving(ctx, "be online", func(s group.Status) bool { return s.Online })
}

// Settled waits until this member is online and the group is complete: every member that is
// connected has caught up, every voter can be reached, and there are as many voters as the
// policy asks for. A settled group of three or more survives the crash of any member. A member
// whose machine panicked gets [consensus.ErrPoisoned].
func (w When) Settled(ctx context.Context) error {
	return w.serving(ctx, "settle", func(s group.Status) bool { return s.Settled })
}

// Leading waits until this member leads, and returns its claim: [Group.Leadership].
func (w When) Leading(ctx context.Context) (consensus.Leadership, error) {
	self := w.joined.net.Self()
	s, err := wait(ctx, w, w.joined.core.Status(), "be led by this member", func(s group.Status) bool {
		_, leads := leadership(s, self)
		return leads
	})
	if err != nil {
		return consensus.Leadership{}, err
	}
	claim, _ := leadership(s, self)
	return claim, nil
}

// Applied waits until this member has applied the command of the given index. See
// [Group.AppliedIndex].
func (w When) Applied(ctx context.Context, index sm.Index) error {
	what := fmt.Sprintf("apply command %d", index)
	_, err := wait(ctx, w, w.joined.core.AppliedIndex(), what, func(i sm.Index) bool { return i >= index })
	return err
}

// Until waits until the member's status meets the condition, and returns that status. It calls
// met on the caller's goroutine, with the present status and each later one, as [When.Statuses]
// yields them; a status that is replaced meanwhile is skipped. met must return soon.
//
// A leader is known, and then another one:
//
//	s, err := group.When().Until(ctx, func(s consensus.Status) bool { return !s.Leader.IsZero() })
//	was := s.Leader
//	s, err = group.When().Until(ctx, func(s consensus.Status) bool {
//		return !s.Leader.IsZero() && s.Leader != was
//	})
//
// This member cannot serve, no longer leads, or has ended:
//
//	_, err = group.When().Until(ctx, func(s consensus.Status) bool { return !s.Online })
//	_, err = group.When().Until(ctx, func(consensus.Status) bool { return !group.IsLeader() })
//	s, err = group.When().Until(ctx, func(s consensus.Status) bool { return s.Ended != nil })
//
// A status that meets the condition counts also when ctx or the group has ended.
func (w When) Until(ctx context.Context, met func(consensus.Status) bool) (consensus.Status, error) {
	var last consensus.Status
	_, err := wait(ctx, w, w.joined.core.Status(), "meet a condition", func(s group.Status) bool {
		last = w.joined.describe(s)
		return met(last)
	})
	return last, err
}

// Statuses yields the present status, then each later one. Changes of round-trip times,
// addresses, link errors and mismatches alone are not reported. The sequence ends with ctx, with
// the handle or with the group, whose last status says in Ended why. A slow consumer misses
// statuses in between, but never the last one.
func (w When) Statuses(ctx context.Context) iter.Seq[consensus.Status] {
	return func(yield func(consensus.Status) bool) {
		ctx, stop := w.handle.bind(ctx)
		defer stop()
		for s := range w.joined.core.Status().All(ctx) {
			if w.handle.closed.Load() || !yield(w.joined.describe(s)) {
				return
			}
		}
	}
}

// serving waits for a condition that a member whose machine panicked never meets.
func (w When) serving(ctx context.Context, what string, ok func(group.Status) bool) error {
	s, err := wait(ctx, w, w.joined.core.Status(), what, func(s group.Status) bool {
		return ok(s) || s.Poisoned != nil
	})
	if err == nil && !ok(s) {
		return w.failed(what, s.Poisoned)
	}
	return err
}

// wait waits for a value that is ok. what completes "wait for the group to".
func wait[T any](ctx context.Context, w When, v *watch.Value[T], what string, ok func(T) bool) (T, error) {
	var none T
	if w.handle.closed.Load() {
		return none, w.failed(what, ErrClosed)
	}
	if err := w.joined.core.CheckCaller(); err != nil {
		return none, w.failed(what, err)
	}
	bound, stop := w.handle.bind(ctx)
	defer stop()
	got, err := v.Wait(bound, ok)
	switch {
	case err == nil:
		return got, nil
	case ctx.Err() != nil:
		if waits := w.joined.core.Status().Get().Waits; waits != "" {
			what += ", which waits for " + waits
		}
	case bound.Err() != nil:
		err = ErrClosed
	}
	return got, w.failed(what, err)
}

func (w When) failed(what string, err error) error {
	call := fmt.Sprintf("wait for group %s to %s", w.joined.id.Short(), what)
	return &callError{call: call, outcome: NotApplied, err: err}
}
