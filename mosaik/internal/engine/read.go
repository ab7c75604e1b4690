package engine

import (
	"context"
	"errors"
	"time"

	"github.com/lni/dragonboat/v4"
)

// firstTry is how long the first try of a read may take. A read that is lost in the network is
// never answered, and one that waits for the replica to catch up must succeed at some time. So
// each try gets twice the time of the one before.
const firstTry = 100 * time.Millisecond

var (
	// errLost reports a try that was not answered.
	errLost = errors.New("engine: no answer")
	// errDropped reports a try that was refused immediately.
	errDropped = errors.New("engine: no leader answers")
)

// attempt calls try until it returns neither errLost nor errDropped. When the leader or the
// membership changes, a new try replaces the one in flight: a leader that has ended does not
// answer, and a joiner drops answers until it knows that the leader is a member. The first try
// may take at least as long as first.
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
			// A replica that has ended told dragonboat that everything is applied.
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

// pause returns when the leader or the membership has changed, or after a tick: no event shows
// that a new leader has committed its first entry, without which it answers no read.
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

// readOnce makes one try of a read. It returns the ticket of the last task that the read must
// see.
func (r *Replica) readOnce(ctx context.Context) (ticket uint64, err error) {
	state, err := r.readIndex(ctx)
	if err != nil {
		return 0, retryable(err)
	}
	select {
	case result := <-state.ResultC():
		state.Release()
		switch {
		case result.Completed():
			return r.applier.queue.last(), nil
		case result.Dropped():
			return 0, errDropped
		case result.Terminated():
			return 0, ErrClosed
		}
		return 0, errLost
	case <-ctx.Done():
		return 0, errLost
	case <-r.done:
		return 0, r.ended()
	case <-r.engine.ctx.Done():
		return 0, ErrClosed
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

// retryable returns errLost or errDropped for temporary errors, and translates all others.
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
