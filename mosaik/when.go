package mosaik

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// When waits for what happens to a group. Get it from [Group.When].
//
// Every wait returns at once when what it waits for is so already. It ends with
// the context's error, wrapped, which then says what the member waits for, or with
// the reason for which the group ended: [ErrClosed], or what stopped it.
type When struct {
	joined *joined
	closed *atomic.Bool
}

// Online waits until this member can serve: the group accepts commands, and
// this member leads or has caught up with a live leader. A member whose machine
// panicked never will: that is [ErrPoisoned].
func (w When) Online(ctx context.Context) error {
	return w.serving(ctx, "be online", func(s group.Status) bool { return s.Online })
}

// Offline waits until this member can not serve: it lost the leader, or has not
// caught up yet.
func (w When) Offline(ctx context.Context) error {
	_, err := w.status(ctx, "be offline", func(s group.Status) bool { return !s.Online })
	return err
}

// Settled waits until this member is online and everybody is in place: every
// member that is here has caught up, every voter can be reached, and there are
// as many voters as there should be. A settled group of three or more survives
// the crash of any member. A member whose machine panicked is [ErrPoisoned].
func (w When) Settled(ctx context.Context) error {
	return w.serving(ctx, "settle", func(s group.Status) bool { return s.Settled })
}

// Elected waits until a leader is known, and returns it.
func (w When) Elected(ctx context.Context) (PeerID, error) {
	s, err := w.status(ctx, "elect a leader", func(s group.Status) bool { return !s.Leader.IsZero() })
	return s.Leader, err
}

// LeaderChanged waits until a leader other than the one at the call is known,
// and returns it.
func (w When) LeaderChanged(ctx context.Context) (PeerID, error) {
	was := w.joined.core.Status().Get().Leader
	s, err := w.status(ctx, "change its leader", func(s group.Status) bool {
		return !s.Leader.IsZero() && s.Leader != was
	})
	return s.Leader, err
}

// LeaderIsNot waits until a leader other than peer is known, and returns it.
// Unlike [When.LeaderChanged] it does not depend on when it is called.
func (w When) LeaderIsNot(ctx context.Context, peer PeerID) (PeerID, error) {
	s, err := w.status(ctx, "be led by another than "+peer.Short(), func(s group.Status) bool {
		return !s.Leader.IsZero() && s.Leader != peer
	})
	return s.Leader, err
}

// LeaderIs waits until peer leads, perhaps a group that still forms; see [When.IsLeader].
func (w When) LeaderIs(ctx context.Context, peer PeerID) error {
	_, err := w.status(ctx, "be led by "+peer.Short(), func(s group.Status) bool { return s.Leader == peer })
	return err
}

// IsLeader waits until [Group.IsLeader] is true.
func (w When) IsLeader(ctx context.Context) error {
	self := w.joined.net.Self()
	_, err := w.status(ctx, "be led by this member", func(s group.Status) bool { return leads(s, self) })
	return err
}

// IsFollower waits until [Group.IsLeader] is false, which is also so when nobody
// leads.
func (w When) IsFollower(ctx context.Context) error {
	self := w.joined.net.Self()
	_, err := w.status(ctx, "be led by another", func(s group.Status) bool { return !leads(s, self) })
	return err
}

// Bonds waits until this member has n bonds or more.
func (w When) Bonds(ctx context.Context, n int) error {
	_, err := w.status(ctx, fmt.Sprintf("have %d bonds", n), func(s group.Status) bool { return len(s.Bonds) >= n })
	return err
}

// Committed waits until this member has applied the command of the given index.
func (w When) Committed(ctx context.Context, index sm.Index) error {
	return wait(ctx, w, w.joined.core.Applied(), fmt.Sprintf("apply command %d", index), func(i sm.Index) bool { return i >= index })
}

// Advanced waits until this member has applied a command more than at the call,
// and returns the index of the last.
func (w When) Advanced(ctx context.Context) (sm.Index, error) {
	applied := w.joined.core.Applied()
	was := applied.Get()
	err := wait(ctx, w, applied, "apply another command", func(i sm.Index) bool { return i > was })
	return applied.Get(), err
}

// Leaders yields the leader known, then each later one; the zero PeerID stands
// for none. It ends with ctx or with the group. A consumer that is slow misses
// leaders in between, never the last.
func (w When) Leaders(ctx context.Context) iter.Seq[PeerID] {
	return changes(ctx, w, w.joined.core.Status(), func(s group.Status) PeerID { return s.Leader })
}

// Onlines yields whether this member is online, then each change. See
// [When.Leaders] for when it ends and what a slow consumer sees.
func (w When) Onlines(ctx context.Context) iter.Seq[bool] {
	return changes(ctx, w, w.joined.core.Status(), func(s group.Status) bool { return s.Online })
}

// Commits yields the index of the last command applied here, then each later
// one. See [When.Leaders] for when it ends and what a slow consumer sees.
func (w When) Commits(ctx context.Context) iter.Seq[sm.Index] {
	return changes(ctx, w, w.joined.core.Applied(), func(i sm.Index) sm.Index { return i })
}

func (w When) status(ctx context.Context, what string, ok func(group.Status) bool) (group.Status, error) {
	var last group.Status
	err := wait(ctx, w, w.joined.core.Status(), what, func(s group.Status) bool {
		last = s
		return ok(s)
	})
	return last, err
}

// serving is status for what a member does not do whose machine panicked.
func (w When) serving(ctx context.Context, what string, ok func(group.Status) bool) error {
	s, err := w.status(ctx, what, func(s group.Status) bool { return ok(s) || s.Poisoned != nil })
	if err == nil && !ok(s) {
		return fmt.Errorf("mosaik: wait for group %s to %s: %w", w.joined.id.Short(), what, s.Poisoned)
	}
	return err
}

// wait waits for a value and words the error. what completes "wait for the
// group to …".
func wait[T any](ctx context.Context, w When, v *watch.Value[T], what string, ok func(T) bool) error {
	if w.closed.Load() {
		return ErrClosed
	}
	if err := w.joined.core.CheckCaller(); err != nil {
		return fmt.Errorf("mosaik: wait for group %s to %s: %w", w.joined.id.Short(), what, err)
	}
	_, err := v.Wait(ctx, ok)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrClosed):
		return err
	}
	if waits := w.joined.core.Status().Get().Waits; waits != "" && ctx.Err() != nil {
		what += ", which waits for " + waits
	}
	return fmt.Errorf("mosaik: wait for group %s to %s: %w", w.joined.id.Short(), what, err)
}

// changes yields what part makes of the value, each time that it differs.
func changes[T any, P comparable](ctx context.Context, w When, v *watch.Value[T], part func(T) P) iter.Seq[P] {
	return func(yield func(P) bool) {
		var last P
		first := true
		for t := range v.All(ctx) {
			p := part(t)
			if !first && p == last {
				continue
			}
			first, last = false, p
			if w.closed.Load() || !yield(p) {
				return
			}
		}
	}
}
