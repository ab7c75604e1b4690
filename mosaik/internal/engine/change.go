package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/mosaik-go/mosaik/sm"
)

// AddNonVoting adds a replica that receives the log and does not count. Only the leader can add
// one; another replica returns [ErrNotApplied]. changeID is that of the membership on which the
// caller decided; it returns [ErrRejected] if the membership has changed since. [ErrBusy] reports
// that another change is in flight. Other errors are those of [Replica.Propose];
// [Replica.Membership] shows the outcome of a change that returned [ErrUnknown].
//
// The peer must not have another replica in the shard, and the replica id must never have been
// used in it.
func (r *Replica) AddNonVoting(ctx context.Context, changeID, replica uint64, peer sm.PeerID) error {
	return r.change(ctx, "add non-voting", replica, peer, func(wait time.Duration) (*dragonboat.RequestState, error) {
		return r.engine.host.RequestAddNonVoting(r.shard, replica, peer.String(), changeID, wait)
	})
}

// Promote makes a non-voting replica a voter, otherwise as AddNonVoting. The replica should have
// caught up, which its own ReadIndex proves.
func (r *Replica) Promote(ctx context.Context, changeID, replica uint64, peer sm.PeerID) error {
	return r.change(ctx, "promote", replica, peer, func(wait time.Duration) (*dragonboat.RequestState, error) {
		return r.engine.host.RequestAddReplica(r.shard, replica, peer.String(), changeID, wait)
	})
}

// Remove removes a replica, otherwise as AddNonVoting. Its id can never be used again in the
// shard.
func (r *Replica) Remove(ctx context.Context, changeID, replica uint64) error {
	return r.change(ctx, "remove", replica, sm.PeerID{}, func(wait time.Duration) (*dragonboat.RequestState, error) {
		return r.engine.host.RequestDeleteReplica(r.shard, replica, changeID, wait)
	})
}

// errNotLeader reports a change that was requested of a follower.
var errNotLeader = errors.New("engine: the replica does not lead")

// change requests a membership change and waits for its outcome.
func (r *Replica) change(ctx context.Context, doing string, replica uint64, peer sm.PeerID,
	request func(time.Duration) (*dragonboat.RequestState, error)) error {
	fail := func(errs ...any) error {
		format := "engine: %s replica %d"
		for range errs {
			format += ": %w"
		}
		return fmt.Errorf(format, append([]any{doing, replica}, errs...)...)
	}
	if err := ctx.Err(); err != nil {
		return fail(err, ErrNotApplied)
	}
	// dragonboat panics on every member when a replica changes its owner.
	if replica == 0 || !peer.IsZero() && r.engine.transport.BelongsToOther(r.shard, replica, peer) {
		return fail(ErrRejected, errors.New("the replica id is 0 or belongs to another peer"))
	}
	state, err := r.request(ctx, request)
	if err != nil {
		if err = translate(err); errors.Is(err, ErrBusy) || errors.Is(err, ErrRejected) {
			return fail(err)
		}
		return fail(err, ErrNotApplied)
	}
	select {
	case result := <-state.ResultC():
		if result.Rejected() {
			return fail(ErrRejected)
		}
		if err := r.outcome(result); err != nil {
			return fail(err)
		}
		return nil
	case <-ctx.Done():
		return fail(ctx.Err(), ErrUnknown)
	case <-r.done:
		return fail(r.ended(), ErrUnknown)
	case <-r.engine.ctx.Done():
		return fail(ErrClosed, ErrUnknown)
	}
}

func (r *Replica) request(ctx context.Context, request func(time.Duration) (*dragonboat.RequestState, error)) (*dragonboat.RequestState, error) {
	if !r.engine.enter() {
		return nil, ErrClosed
	}
	defer r.engine.leave()
	if err := r.ended(); err != nil {
		return nil, err
	}
	if leader, _ := r.leader.get(); leader != r.id {
		return nil, errNotLeader // leaders refuse changes that another replica forwards
	}
	return request(r.engine.wait(ctx))
}
