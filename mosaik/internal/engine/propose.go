package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"
)

// maxWait bounds a proposal whose context has no deadline: what is lost on its
// way to the leader is never answered.
const maxWait = time.Minute

// wait returns how long dragonboat may take for a call with the context. It
// counts in ticks and refuses less than one; the context decides, so that it
// gets two more than are left.
func (e *Engine) wait(ctx context.Context) time.Duration {
	left := maxWait
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, max(0, time.Until(deadline)))
	}
	return left + 2*e.tick
}

// Propose replicates data and returns nil once it is applied here. Otherwise
// the error is or wraps
//
//   - [ErrNotApplied]: it is surely not applied and never will be;
//   - [ErrUnknown]: perhaps it is, now or later;
//   - [ErrTooLarge].
//
// An error of the context, and [ErrClosed] if the replica ended, come joined
// with one of the first two. What was sent to a leader that is replaced may be
// lost with it: Propose does not wait for it then, and returns ErrUnknown. A
// proposal without a deadline ends with ErrUnknown after a minute. Data must not
// be changed afterwards.
func (r *Replica) Propose(ctx context.Context, data []byte) error {
	if len(data) > MaxProposal {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, len(data), MaxProposal)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("engine: propose: %w: %w", err, ErrNotApplied)
	}
	succeeded := r.leader.successor()
	state, err := r.propose(ctx, data)
	if err != nil {
		return fmt.Errorf("engine: propose: %w: %w", translate(err), ErrNotApplied)
	}
	select {
	case <-succeeded:
		return fmt.Errorf("engine: propose: the leader was replaced: %w", ErrUnknown)
	case result := <-state.ResultC():
		state.Release()
		return r.outcome(result)
	case <-ctx.Done():
		return fmt.Errorf("engine: propose: %w: %w", ctx.Err(), ErrUnknown)
	case <-r.done:
		return fmt.Errorf("engine: propose: %w: %w", r.ended(), ErrUnknown)
	case <-r.engine.ctx.Done():
		return fmt.Errorf("engine: propose: %w: %w", ErrClosed, ErrUnknown)
	}
}

// propose hands the proposal to dragonboat. Where it fails dragonboat did not
// take it.
func (r *Replica) propose(ctx context.Context, data []byte) (*dragonboat.RequestState, error) {
	if !r.engine.enter() {
		return nil, ErrClosed
	}
	defer r.engine.leave()
	if err := r.ended(); err != nil {
		return nil, err
	}
	return r.engine.host.Propose(r.session, data, r.engine.wait(ctx))
}

// outcome returns what a proposal's result means. A replica that failed or was
// stopped meanwhile told dragonboat that all is well.
func (r *Replica) outcome(result dragonboat.RequestResult) error {
	switch ended := r.ended(); {
	case result.Dropped() || result.Rejected():
		return fmt.Errorf("engine: propose: %w", ErrNotApplied)
	case ended != nil:
		return fmt.Errorf("engine: propose: %w: %w", ended, ErrUnknown)
	case result.Completed():
		return nil
	case result.Terminated():
		return fmt.Errorf("engine: propose: %w: %w", ErrClosed, ErrUnknown)
	}
	return fmt.Errorf("engine: propose: %w", ErrUnknown)
}

// translate puts dragonboat's errors about the replica into our own.
func translate(err error) error {
	switch {
	case errors.Is(err, dragonboat.ErrClosed), errors.Is(err, dragonboat.ErrShardClosed),
		errors.Is(err, dragonboat.ErrShardNotFound):
		return ErrClosed
	case errors.Is(err, dragonboat.ErrPayloadTooBig):
		return ErrTooLarge
	case errors.Is(err, dragonboat.ErrSystemBusy):
		return ErrBusy
	case errors.Is(err, dragonboat.ErrRejected):
		return ErrRejected
	}
	return err
}
