package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"
)

// maxWait bounds a proposal whose context has no deadline: one that is lost before it reaches
// the leader is never answered.
const maxWait = time.Minute

// wait returns how long dragonboat may take for a call with the context. dragonboat counts in
// ticks and refuses less than one. The context ends the call, so dragonboat gets two ticks
// more than are left.
func (e *Engine) wait(ctx context.Context) time.Duration {
	left := maxWait
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, max(0, time.Until(deadline)))
	}
	return left + 2*e.tick
}

// Propose replicates data and returns nil once it is applied here. Otherwise the error is or
// wraps
//
//   - [ErrNotApplied]: it is not applied and never will be;
//   - [ErrUnknown]: it may be applied, now or later;
//   - [ErrTooLarge].
//
// An error of the context, or [ErrClosed] if the replica has ended, is joined with one of the
// first two. A proposal may be lost with a leader that is replaced: Propose returns ErrUnknown
// then, and does not wait. A proposal without a deadline ends with ErrUnknown after a minute.
func (r *Replica) Propose(ctx context.Context, data []byte) error {
	p, err := r.StartProposal(ctx, data)
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx, nil)
	return err
}

// Proposal is a proposal in flight. [Replica.StartProposal] makes it.
type Proposal struct {
	replica   *Replica
	request   *dragonboat.RequestState
	succeeded <-chan struct{} // closed when the leader is replaced
	applied   *waiter         // for the entry, once dragonboat has handed it over
}

// StartProposal begins to replicate data and does not wait. The caller may change data
// afterwards. Proposals enter the log in the order in which they are started, except for those
// that are lost. The errors are those of [Replica.Propose] for proposals that are not applied.
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

// Wait waits for the outcome, which is that of [Replica.Propose], until ctx ends. settled is
// false if interrupt was ready first; Wait may then be called again.
func (p *Proposal) Wait(ctx context.Context, interrupt <-chan struct{}) (settled bool, err error) {
	r := p.replica
	if p.applied != nil {
		return p.waitApplied(ctx, interrupt)
	}
	select {
	case <-p.succeeded:
		return true, fmt.Errorf("engine: propose: the leader was replaced: %w", ErrUnknown)
	case result := <-p.request.ResultC():
		ticket := result.GetResult().Value
		p.request.Release()
		if err := r.outcome(result); err != nil {
			return true, err
		}
		if p.applied = r.applier.queue.await(ticket); p.applied == nil {
			return true, r.sound()
		}
		return p.waitApplied(ctx, interrupt)
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

// waitApplied waits for the state machine, otherwise as Wait. The proposal is committed.
func (p *Proposal) waitApplied(ctx context.Context, interrupt <-chan struct{}) (settled bool, err error) {
	r := p.replica
	select {
	case <-p.applied.done:
		return true, r.sound()
	case <-interrupt:
		return false, nil
	case <-ctx.Done():
		r.applier.queue.forget(p.applied)
		return true, fmt.Errorf("engine: propose: %w: %w", ctx.Err(), ErrUnknown)
	case <-r.done:
		return true, r.sound()
	}
}

// sound returns nil if the tasks that the queue calls done were applied, and an [ErrUnknown] of a
// proposal otherwise: a replica that has ended skips tasks.
func (r *Replica) sound() error {
	if ended := r.ended(); ended != nil {
		return fmt.Errorf("engine: propose: %w: %w", ended, ErrUnknown)
	}
	return nil
}

// propose hands the proposal to dragonboat. If it fails, dragonboat has not accepted it.
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

// outcome translates the result of a proposal. A replica that failed or stopped meanwhile told
// dragonboat that everything was applied.
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

// translate translates dragonboat's errors about the replica.
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
