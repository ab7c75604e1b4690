package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/mosaik-go/mosaik/sm"
)

// firstTry is how long the first try of a read may take. A read that is lost
// on its way is never answered; one that waits for the replica to catch up
// must not be cut short for ever. So each try gets twice the time of the one
// before.
const firstTry = 100 * time.Millisecond

// Membership returns the shard's membership at some moment after the call. It
// tries until the context ends, whose error it then returns, or the replica
// does: [ErrClosed].
func (r *Replica) Membership(ctx context.Context) (Membership, error) {
	m, err := attempt(ctx, r, 0, r.membershipOnce)
	if err != nil {
		return Membership{}, fmt.Errorf("engine: read membership: %w", err)
	}
	return m, nil
}

var (
	// errLost reports a try that was not answered.
	errLost = errors.New("engine: no answer")
	// errDropped reports a try that was refused at once.
	errDropped = errors.New("engine: no leader answers")
)

// attempt calls try until it returns something else than errLost and errDropped.
// A try that is under way when the leader or the membership changes is given up
// for another: a leader that is gone answers nothing, and a joiner drops every
// answer that comes before it knows the leader for a member. The first try may take
// as long as first at least.
func attempt[T any](ctx context.Context, r *Replica, first time.Duration, try func(context.Context) (T, error)) (T, error) {
	var none T
	for limit := max(first, firstTry, 3*r.engine.tick); ; {
		changed := r.changes.next()
		short, cancel := context.WithTimeout(ctx, limit)
		stop := context.AfterFunc(changed, cancel)
		v, err := try(short)
		stop()
		cancel()
		if err == nil {
			// A replica that ended told dragonboat that all is well.
			if err := r.ended(); err != nil {
				return none, err
			}
			return v, nil
		}
		switch {
		case ctx.Err() != nil:
			return none, ctx.Err()
		case errors.Is(err, errLost) && changed.Err() != nil:
		case errors.Is(err, errLost):
			limit *= 2
		case errors.Is(err, errDropped):
			r.pause(ctx, changed)
		default:
			return none, err
		}
	}
}

// pause returns when the leader or the membership changed, or a tick later: that
// a new leader has committed its first entry, without which it answers nothing,
// shows in nothing.
func (r *Replica) pause(ctx, changed context.Context) {
	timer := time.NewTimer(r.engine.tick)
	defer timer.Stop()
	select {
	case <-changed.Done():
	case <-timer.C:
	case <-ctx.Done():
	case <-r.done:
	}
}

// readOnce makes one try of a read.
func (r *Replica) readOnce(ctx context.Context) error {
	state, err := r.readIndex(ctx)
	if err != nil {
		return retryable(err)
	}
	select {
	case result := <-state.ResultC():
		state.Release()
		switch {
		case result.Completed():
			return nil
		case result.Dropped():
			return errDropped
		case result.Terminated():
			return ErrClosed
		}
		return errLost
	case <-ctx.Done():
		return errLost
	case <-r.done:
		return r.ended()
	case <-r.engine.ctx.Done():
		return ErrClosed
	}
}

func (r *Replica) readIndex(ctx context.Context) (*dragonboat.RequestState, error) {
	if !r.engine.enter() {
		return nil, ErrClosed
	}
	defer r.engine.leave()
	if err := r.ended(); err != nil {
		return nil, err
	}
	return r.engine.host.ReadIndex(r.shard, r.engine.wait(ctx))
}

// retryable returns errLost or errDropped for errors that pass, all others
// translated.
func retryable(err error) error {
	own := translate(err)
	switch {
	case errors.Is(own, ErrClosed):
		return own
	case errors.Is(err, dragonboat.ErrTimeout), errors.Is(err, dragonboat.ErrCanceled):
		return errLost
	case errors.Is(err, dragonboat.ErrTimeoutTooSmall), errors.Is(err, dragonboat.ErrInvalidDeadline),
		dragonboat.IsTempError(err):
		return errDropped
	}
	return own
}

// membershipOnce makes one try to read the membership. Only a call of the host
// that waits by itself can read it.
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
	return newMembership(m)
}

// newMembership translates dragonboat's membership.
func newMembership(m *dragonboat.Membership) (Membership, error) {
	out := Membership{
		ChangeID:  m.ConfigChangeID,
		Voters:    map[uint64]sm.PeerID{},
		NonVoting: map[uint64]sm.PeerID{},
		Removed:   m.Removed,
	}
	for _, side := range []struct {
		from map[uint64]string
		to   map[uint64]sm.PeerID
	}{{m.Nodes, out.Voters}, {m.NonVotings, out.NonVoting}} {
		for replica, target := range side.from {
			peer, err := sm.ParsePeerID(target)
			if err != nil {
				return Membership{}, err
			}
			side.to[replica] = peer
		}
	}
	return out, nil
}
