package engine

import (
	"context"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
)

// Membership returns the shard's membership at some moment after the call. It tries until the
// context ends, and then returns the context's error, or until the replica ends: [ErrClosed].
func (r *Replica) Membership(ctx context.Context) (Membership, error) {
	m, err := attempt(ctx, r, 0, r.membershipOnce)
	if err != nil {
		return Membership{}, fmt.Errorf("engine: read membership: %w", err)
	}
	return m, nil
}

// membershipOnce tries once to read the membership. dragonboat's only call that reads it
// blocks.
func (r *Replica) membershipOnce(ctx context.Context) (Membership, error) {
	if !r.engine.enter() {
		return Membership{}, ErrClosed
	}
	defer r.engine.leave()
	if err := r.ended(); err != nil {
		return Membership{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.engine.ctx, cancel)()
	m, err := r.engine.host.SyncGetShardMembership(ctx, r.shard)
	if err != nil {
		return Membership{}, retryable(err)
	}
	return raftlog.NewMembership(m.ConfigChangeID, m.Nodes, m.NonVotings, m.Removed)
}

// Held returns a function that reads the membership from the replica's log. The function
// may be called concurrently, also after [Replica.Stop], when its result is final. It
// returns false while the log tells no membership.
func (r *Replica) Held() func() (HeldMembership, bool) {
	l := r.engine.logs.Find(r.shard, r.id)
	return func() (HeldMembership, bool) {
		if l == nil {
			return HeldMembership{}, false
		}
		return l.Held()
	}
}
