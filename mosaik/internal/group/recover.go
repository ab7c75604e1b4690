package group

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrNotStalled reports a group that cannot be recovered because it has a
	// quorum, or may yet find one.
	ErrNotStalled = fmt.Errorf("%w: the group has a quorum or may still elect a leader", ErrPrecondition)
	// ErrNotApart reports that there is no other epoch to yield to.
	ErrNotApart = fmt.Errorf("%w: no other epoch of the group holds commands", ErrPrecondition)
)

// everything is how many commands are given up with an epoch that another one
// continues.
const everything = sm.Index(math.MaxUint64)

// Recover makes a new epoch that begins with what this member has, and ends the
// present one wherever it is met. It returns once the new one accepts commands.
func (g *Group) Recover(ctx context.Context) error {
	var old Epoch
	err := g.ask(ctx, func() (err error) {
		old, err = g.recover()
		return err
	})
	if err == nil {
		_, err = g.status.Wait(ctx, func(s Status) bool { return s.Epoch != old && s.AcceptsCommands && s.Online })
	}
	return err
}

// ask lets f run in the loop and returns its error.
func (g *Group) ask(ctx context.Context, f func() error) error {
	answer := make(chan error, 1)
	g.inbox.post(func() { answer <- f() })
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return watch.Cause(ctx)
	case <-g.done:
		return g.Ended()
	}
}

// recover leaves the present epoch for a new one that continues it.
func (g *Group) recover() (Epoch, error) {
	l := g.life
	switch {
	case g.leaving:
		return Epoch{}, ErrClosed
	case l == nil:
		return Epoch{}, ErrForming
	case l.poisoned != nil:
		return l.epoch, l.poisoned
	case !g.stalled, l.state.Status().Sealed: // sealed: about to join the epoch it yielded to
		return l.epoch, ErrNotStalled
	}
	g.log.Warn("recovering from this member: what only others hold of the old epoch is given up", "epoch", l.epoch.String(), "commands", l.state.Status().Commands)
	return g.succeed(l, whole)
}

// succeed leaves a life's epoch for a new one that continues it with the entries
// of its heir that part yields. It returns the old one.
func (g *Group) succeed(l *life, part func(iter.Seq[[]byte]) iter.Seq[[]byte]) (Epoch, error) {
	heir, at, err := g.heir(l)
	if err != nil {
		return l.epoch, err
	}
	g.stopReplica(l)
	g.unserve()
	err = g.applyRest(l)
	if err == nil && l.state.Status().Raft != at {
		heir, _, err = g.heir(l)
	}
	if err != nil {
		g.end(err)
		return l.epoch, err
	}
	base, err := g.nextTokenBase(l)
	if err != nil {
		g.end(err)
		return l.epoch, err
	}
	heir.SetTokenBase(base)
	g.renew()
	g.enter(newEpoch(), &birth{part(heir.Entries()), l.state.Level()})
	return l.epoch, nil
}

// applyRest applies what the log of a replica that was stopped holds behind
// what was applied. Nobody is left to say what of it was committed, and some of
// it may have been acknowledged: by a leader whose news of that came no more, or
// before this member started, since logs do not keep the last commit index. It
// ends before a seal: what follows one is refused, and to be sealed is what this
// epoch is now kept from.
func (g *Group) applyRest(l *life) error {
	log, err := g.cfg.Log.State()
	if err != nil {
		return fmt.Errorf("%w: read it: %w", ErrStorage, err)
	}
	if log.Pruned.Index > l.state.Status().Raft.Index {
		return nil // a snapshot that came in has not been restored
	}
	return applyTail(l.state, engine.Proposals(g.cfg.Log, log.Last.Index))
}

// applyTail applies the entries behind what was applied.
func applyTail(s *state.State, entries iter.Seq2[engine.Entry, error]) error {
	at := s.Status().Raft
	for e, err := range entries {
		if err != nil {
			return err
		}
		if e.Index <= at.Index {
			continue
		}
		if s.SealedBy(e.Data) {
			break
		}
		if err := s.Apply(e.Index, e.Term, e.Data); err != nil {
			return err
		}
	}
	if poisoned := s.Status().Poisoned; poisoned != nil {
		return poisoned
	}
	return nil
}

// heir collects what the epoch holds here, and where that ends in its log.
func (g *Group) heir(l *life) (*state.Heir, sm.Cursor, error) {
	at := l.state.Status().Raft
	heir := state.NewHeir(l.epoch, l.state)
	if l.state.CanSnapshot() {
		return heir, at, heir.AddSnapshot(l.state)
	}
	for e, err := range engine.Proposals(g.cfg.Log, at.Index) {
		if err != nil {
			return nil, at, err
		}
		heir.AddEntry(e.Data)
	}
	return heir, at, nil
}

// bequeath commits what the epoch is to take over. While it does so this member
// is the only voter. It begins again after a failure, which is harmless.
func (g *Group) bequeath(l *life) {
	l.changing = true
	g.work(func() {
		err := g.proposeAll(l)
		g.inbox.post(func() {
			if g.life != l {
				return
			}
			l.changing = false
			if err == nil {
				err = dropEstate(g.cfg.Log)
			}
			if err != nil {
				g.log.Warn("taking over the old epoch failed and is tried again", "error", err)
				g.timers.set("bequeath", retryPause, g.reconcile)
				return
			}
			l.estate = nil
			g.reconcile()
		})
	})
}

func (g *Group) proposeAll(l *life) error {
	for entry := range l.estate {
		ctx, cancel := l.withTimeout(g.cfg.Timing.step())
		err := l.replica.Propose(ctx, entry)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// Yield gives this member's epoch up, with all the commands that it holds, for
// another one that was met and holds commands too. It returns when this member
// is online in the other one.
func (g *Group) Yield(ctx context.Context) error {
	var l *life
	err := g.ask(ctx, func() error {
		for _, a := range g.peers {
			if g.apart(a) {
				l = g.life
				return nil
			}
		}
		return ErrNotApart
	})
	if err == nil {
		err = g.yield(ctx, l)
	}
	return err
}

// yield commits a seal that counts whatever was applied before it.
func (g *Group) yield(ctx context.Context, l *life) error {
	seal := format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSeal, Sequence: uint64(everything)}})
	for g.current.Load() == l {
		try, cancel := context.WithTimeout(ctx, g.cfg.Timing.step())
		err := l.replica.Propose(try, seal)
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return watch.Cause(ctx)
		}
		if err := g.giveUp(); err != nil {
			return err
		}
	}
	_, err := g.status.Wait(ctx, func(s Status) bool { return s.Epoch != l.epoch && s.Online })
	return err
}
