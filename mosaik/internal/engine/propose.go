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
// proposal without a deadline ends with ErrUnknown after a minute.
func (r *Replica) Propose(ctx context.Context, data []byte) error {
	p, err := r.StartProposal(ctx, data)
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx, nil)
	return err
}

// Proposal is one that is under way. It is made by [Replica.StartProposal].
type Proposal struct {
	replica   *Replica
	request   *dragonboat.RequestState
	succeeded <-chan struct{} // closed when the leader is replaced
}

// StartProposal hands data over and does not wait; data may be changed
// afterwards. Proposals that are started one after the other get into the log in
// this order, those that are not lost on the way. The errors are those of
// [Replica.Propose] that say it was not applied.
func (r *Replica) StartProposal(ctx context.Context, data []byte) (*Proposal, error) {
	if len(data) > MaxProposal {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, len(data), MaxProposal)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: propose: %w: %w", err, ErrNotApplied)
	}
	p := &Proposal{replica: r, succeeded: r.leader.successor()}
	var err error
	if p.request, err = r.propose(ctx, data); err != nil {
		return nil, fmt.Errorf("engine: propose: %w: %w", translate(err), ErrNotApplied)
	}
	return p, nil
}

// Wait waits for the outcome, which is that of [Replica.Propose], until ctx ends.
// It is not settled if interrupt was ready first: Wait may then be called again.
func (p *Proposal) Wait(ctx context.Context, interrupt <-chan struct{}) (settled bool, err error) {
	r := p.replica
	select {
	case <-p.succeeded:
		return true, fmt.Errorf("engine: propose: the leader was replaced: %w", ErrUnknown)
	case result := <-p.request.ResultC():
		p.request.Release()
		return true, r.outcome(result)
	case <-interrupt:
		return false, nil
	case <-ctx.Done():
		return true, fmt.Errorf("engine: propose: %w: %w", ctx.Err(), ErrUnknown)
	case <-r.done:
		return true, fmt.Errorf("engine: propose: %w: %w", r.ended(), ErrUnknown)
	case <-r.engine.ctx.Done():
		return true, fmt.Errorf("engine: propose: %w: %w", ErrClosed, ErrUnknown)
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
