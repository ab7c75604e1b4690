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
	// ErrNotStalled reports a group that cannot be recovered because it has a quorum, or may
	// still elect a leader.
	ErrNotStalled = fmt.Errorf("%w: the group has a quorum or may still elect a leader", ErrPrecondition)
	// ErrNotDiverged reports that there are no diverged epochs, so there is none to yield to.
	ErrNotDiverged = fmt.Errorf("%w: no other epoch of the group holds commands", ErrPrecondition)
)

// allCommands is the number of commands that are given up with an epoch that another one
// continues.
const allCommands = sm.Index(math.MaxUint64)

// Recover makes a new epoch that begins with the state of this member, and ends the present
// epoch for all members that it meets. It returns once the new epoch accepts commands.
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

// ask runs f in the group's goroutine and returns its error. It blocks while too many calls wait,
// and does not run f if ctx ends before.
func (g *Group) ask(ctx context.Context, f func() error) error {
	answer := make(chan error, 1)
	err := g.inbox.call(ctx, func(done func()) {
		defer done()
		if ctx.Err() == nil {
			answer <- f()
		}
	})
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return watch.Cause(ctx)
	case <-g.done:
		return g.Ended()
	}
}

// recover leaves the present epoch for a new one that continues it, and returns the old one.
func (g *Group) recover() (Epoch, error) {
	l := g.local
	switch {
	case g.leaving:
		return Epoch{}, ErrClosed
	case l == nil:
		return Epoch{}, ErrForming
	case l.poisoned != nil:
		return l.epoch, l.poisoned
	case !g.stalled, l.state.Status().Sealed: // if sealed, this member is about to join another epoch
		return l.epoch, ErrNotStalled
	}
	g.log.Warn("recovering from this member: commands of the old epoch that only other members hold are given up", "epoch", l.epoch.String(), "commands", l.state.Status().AppliedIndex)
	return g.continueInNewEpoch(l, allEntries)
}

// continueInNewEpoch leaves the replica's epoch for a new one that continues it, with those entries
// of its carryover that part yields. It returns the old epoch.
func (g *Group) continueInNewEpoch(l *localReplica, part func(iter.Seq[[]byte]) iter.Seq[[]byte]) (Epoch, error) {
	content, at, err := g.collectCarryover(l)
	if err != nil {
		return l.epoch, err
	}
	g.stopReplica(l)
	g.stopServing()
	err = g.applyLogTail(l)
	if err == nil && l.state.Status().Raft != at {
		content, _, err = g.collectCarryover(l)
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
	content.SetTokenBase(base)
	g.renewIncarnation()
	g.bootstrap(part(content.Entries()), l.state.Level())
	return l.epoch, nil
}

// applyLogTail applies the entries of a stopped replica's log that were not applied. No member is
// left that knows which of them are committed, and some may have been acknowledged: by a leader
// whose last commit index did not arrive, or before this member restarted, since logs do not
// store the commit index. It stops before a seal: commands after one are rejected, and this
// epoch must not be sealed now.
func (g *Group) applyLogTail(l *localReplica) error {
	log, err := g.cfg.Log.State()
	if err != nil {
		return fmt.Errorf("%w: read it: %w", ErrStorage, err)
	}
	if log.Pruned.Index > l.state.Status().Raft.Index {
		return nil // a snapshot arrived that has not been restored
	}
	return applyEntries(l.state, engine.Proposals(g.cfg.Log, log.Last.Index))
}

// applyEntries applies the entries after the last applied one.
func applyEntries(s *state.State, entries iter.Seq2[engine.Entry, error]) error {
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

// collectCarryover collects the carryover of the replica's epoch, and returns up to where it
// reaches.
func (g *Group) collectCarryover(l *localReplica) (*state.Carryover, sm.Cursor, error) {
	at := l.state.Status().Raft
	content := state.NewCarryover(l.epoch, l.state)
	if l.state.CanSnapshot() {
		return content, at, content.AddSnapshot(l.state)
	}
	for e, err := range engine.Proposals(g.cfg.Log, at.Index) {
		if err != nil {
			return nil, at, err
		}
		content.AddEntry(e.Data)
	}
	return content, at, nil
}

// proposeCarryover commits the carryover. Meanwhile this member is the only voter. After a failure
// it starts again; entries that are committed twice are applied once.
func (g *Group) proposeCarryover(l *localReplica) {
	l.changing = true
	g.work(func() {
		err := g.proposeEntries(l)
		g.inbox.post(func() {
			if g.local != l {
				return
			}
			l.changing = false
			if err == nil {
				err = removeCarryover(g.cfg.Log)
			}
			if err != nil {
				g.log.Warn("carryover not committed; trying again", "error", err)
				g.timers.set("carryover", retryPause, g.reconcile)
				return
			}
			l.carryover = nil
			g.reconcile()
		})
	})
}

func (g *Group) proposeEntries(l *localReplica) error {
	for entry := range l.carryover {
		ctx, cancel := l.withTimeout(g.cfg.Timing.step())
		err := l.replica.Propose(ctx, entry)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// Yield gives up this member's epoch, with all the commands that it holds, for a diverged epoch
// that a bonded peer is in. It returns when this member is online in another epoch.
func (g *Group) Yield(ctx context.Context) error {
	var l *localReplica
	err := g.ask(ctx, func() error {
		for _, a := range g.peers {
			if g.diverged(a) {
				l = g.local
				return nil
			}
		}
		return ErrNotDiverged
	})
	if err == nil {
		err = g.yield(ctx, l)
	}
	return err
}

// yield commits a seal that gives up all commands before it.
func (g *Group) yield(ctx context.Context, l *localReplica) error {
	seal := format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSeal, Sequence: uint64(allCommands)}})
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
		if err := g.retryError(); err != nil {
			return err
		}
	}
	_, err := g.status.Wait(ctx, func(s Status) bool { return s.Epoch != l.epoch && s.Online })
	return err
}
