package group

import (
	"context"
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// A member's replica can be replaced by another one in the same epoch: its vote was removed,
// which Raft cannot do in place, or it was removed while it could not be reached. The new
// replica begins with an empty machine. Until that machine has applied as many commands as the
// former one, the former machine answers Weak reads, and AtLeast reads up to its index. So the
// AppliedIndex of a member never decreases within an epoch. Meanwhile the member has two
// machines. All other calls need the new replica.

// startServing makes the replica's machine, which has applied commands up to index, answer reads in
// place of a former one, unless that has applied more. It is called on the goroutine that
// applies, before any reader can observe index.
func (g *Group) startServing(l *localReplica, index sm.Index) {
	if s := g.serving.Load(); s != nil && s != l && index >= s.AppliedIndex() {
		g.serving.CompareAndSwap(s, l)
	}
}

// retireServing stops reads on a former replica's machine, unless its epoch may continue and it has
// applied commands. Only the group's goroutine calls it.
func (g *Group) retireServing() {
	s := g.serving.Load()
	if s == nil || s == g.local {
		return
	}
	if _, over := g.endedEpochs[s.epoch]; over || s.AppliedIndex() == 0 {
		g.stopServing()
	}
}

// stopServing stops reads on any machine. Readers wait for the next one.
func (g *Group) stopServing() {
	g.serving.Store(nil)
	g.appliedIndex.Set(0)
}

// prepareServing prepares for the start of a replica. A former replica continues to answer reads
// only if it is of the same epoch.
func (g *Group) prepareServing(l *localReplica) {
	if s := g.serving.Load(); s == nil || s.epoch != l.epoch {
		g.stopServing()
	}
	g.applies.Store(l.state)
}

// makeCurrent makes a replica that has started the current one.
func (g *Group) makeCurrent(l *localReplica) {
	g.local = l
	g.current.Store(l)
	g.serving.CompareAndSwap(nil, l)
}

// AppliedIndex returns the index of the last command that the replica's machine has applied. It may
// be called from any goroutine.
func (l *localReplica) AppliedIndex() sm.Index { return sm.Index(l.appliedIndex.Load()) }

// localAppliedIndex returns the index of the last command that the current replica's machine has
// applied, 0 without a replica. Only the group's goroutine calls it.
func (g *Group) localAppliedIndex() sm.Index {
	if g.local == nil {
		return 0
	}
	return g.local.AppliedIndex()
}

// readableReplica returns a replica whose machine is as fresh as a read needs, and waits for it. It
// returns nil if a replica was stopped meanwhile; then the caller must try again.
func (g *Group) readableReplica(ctx context.Context, need Need) (*localReplica, error) {
	if s := g.serving.Load(); s != nil && !need.Strong && s.AppliedIndex() >= need.AtLeast {
		return s, nil
	}
	if err := g.CheckCaller(); err != nil {
		return nil, err
	}
	l := g.current.Load()
	if l == nil {
		return nil, g.awaitReplica(ctx)
	}
	var again bool
	var err error
	if need.Strong {
		again, err = g.readIndex(ctx, l)
	} else {
		again, err = g.awaitIndex(ctx, l, need.AtLeast)
	}
	if again || err != nil {
		return nil, err
	}
	return l, nil
}

// awaitReplica waits for the replica that replaces the former one. Without a former one the member
// is in no epoch, and it returns [ErrForming].
func (g *Group) awaitReplica(ctx context.Context) error {
	for {
		changed := g.retryState.Changed()
		if g.current.Load() != nil {
			return nil
		}
		if err := g.Ended(); err != nil {
			return err
		}
		if g.serving.Load() == nil {
			return ErrForming
		}
		if err := g.retryError(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the new replica: %w", watch.Cause(ctx))
		}
	}
}

// readOutcome returns the error of a read on a replica's machine. A panic of a former replica's
// machine does not mean that the current machine is poisoned.
func (g *Group) readOutcome(l *localReplica, err error) error {
	if err == nil || g.current.Load() == l {
		return err
	}
	var poisoned *consensus.PoisonedError
	if errors.As(err, &poisoned) && poisoned == l.state.Status().Poisoned {
		return fmt.Errorf("%w: a new replica replaces one whose machine panicked", ErrForming)
	}
	return err
}
