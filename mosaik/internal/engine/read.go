package engine

import (
	"context"
	"errors"
	"time"

	"github.com/lni/dragonboat/v4"
)

// firstTry is how long the first try of a read may take. A read that is lost
// on its way is never answered; one that waits for the replica to catch up
// must not be cut short for ever. So each try gets twice the time of the one
// before.
const firstTry = 100 * time.Millisecond

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
