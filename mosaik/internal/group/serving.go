package group

import (
	"context"
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// A healthy member's replica can be replaced by another one in the same epoch: its vote
// was taken from it, which Raft cannot do in place, or it was removed while nobody could
// reach it. The new replica begins with an empty machine. Until that machine has applied
// as many commands as the former one, the former one answers Weak reads, and AtLeast reads
// up to its index; so what this member has applied never goes back within an epoch. Two
// machines exist for so long. All other calls need the new replica.

// serve makes a life's machine, which has applied commands up to index, answer reads in
// place of a former life's, unless that has applied more. It is called on the goroutine
// that applies, before anybody learns of index.
func (g *Group) serve(l *life, index sm.Index) {
	if s := g.serves.Load(); s != nil && s != l && index >= s.count() {
		g.serves.CompareAndSwap(s, l)
	}
}

// retire ends the service of a former life's machine, unless the epoch may continue and
// the machine has applied commands. The caller is the loop.
func (g *Group) retire() {
	s := g.serves.Load()
	if s == nil || s == g.life {
		return
	}
	if _, over := g.ended[s.epoch]; over || s.count() == 0 {
		g.unserve()
	}
}

// unserve ends the service of any machine. Reads wait for another one.
func (g *Group) unserve() {
	g.serves.Store(nil)
	g.applied.Set(0)
}

// prepare makes ready for a life whose replica is about to start. Only a former life of
// the same epoch continues to answer reads.
func (g *Group) prepare(l *life) {
	if s := g.serves.Load(); s == nil || s.epoch != l.epoch {
		g.unserve()
	}
	g.applies.Store(l.state)
}

// took makes a life, whose replica has started, the present one.
func (g *Group) took(l *life) {
	g.life = l
	g.current.Store(l)
	g.serves.CompareAndSwap(nil, l)
}

// count returns the index of the last command that the life's machine has applied. It may
// be called from any goroutine.
func (l *life) count() sm.Index { return sm.Index(l.applied.Load()) }

// count returns the index of the last command that the present life's machine has applied,
// 0 without a life. The caller is the loop.
func (g *Group) count() sm.Index {
	if g.life == nil {
		return 0
	}
	return g.life.count()
}

// reader returns the life whose machine is as new as a read needs, once it is. It returns
// nil if a replica was stopped meanwhile, and the caller must ask again.
func (g *Group) reader(ctx context.Context, need Need) (*life, error) {
	if s := g.serves.Load(); s != nil && !need.Strong && s.count() >= need.AtLeast {
		return s, nil
	}
	if err := g.CheckCaller(); err != nil {
		return nil, err
	}
	l := g.current.Load()
	if l == nil {
		return nil, g.awaitLife(ctx)
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

// awaitLife waits for the replica that takes the place of the former one. Without a former
// one the member is in no epoch: [ErrForming].
func (g *Group) awaitLife(ctx context.Context) error {
	for {
		changed := g.prospect.Changed()
		if g.current.Load() != nil {
			return nil
		}
		if err := g.Ended(); err != nil {
			return err
		}
		if g.serves.Load() == nil {
			return ErrForming
		}
		if err := g.giveUp(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the new replica: %w", watch.Cause(ctx))
		}
	}
}

// outcome returns the error of a read on a life's machine. A former life's machine that
// panicked says nothing of the one that takes its place.
func (g *Group) outcome(l *life, err error) error {
	if err == nil || g.current.Load() == l {
		return err
	}
	var poisoned *state.PoisonedError
	if errors.As(err, &poisoned) && poisoned == l.state.Status().Poisoned {
		return fmt.Errorf("%w: a new replica takes the place of one whose machine panicked", ErrForming)
	}
	return err
}
