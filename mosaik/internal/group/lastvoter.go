package group

import (
	"iter"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// A group whose other voters have all ended for good has lost its quorum, and cannot get another
// one by consensus. Its last voter may continue in a new epoch with its own state, as
// [Group.Recover] does, but without an operator. That is allowed only if no acknowledged command
// can be lost and no second group can result:
//
//   - The machine has no commands, or the members opted in.
//   - Every other voter has provably ended. A voter that cannot be reached may be alive. A
//     voter that was replaced while it was alive may be one of two survivors of five, each of
//     which would become a group.
//   - This member's log holds every committed membership change, or there may be other
//     voters. A goodbye names the last change in its sender's log, and the voters by that log.
//     If that change is later than this log, those voters must have ended as well.
//
// The new epoch begins closed, like a bootstrap, until it has enough voters: members without an
// epoch may be forming another one.

// continueAlone continues the present epoch in a new one, if this member is its last voter. It
// reports whether it did.
func (g *Group) continueAlone(l *localReplica) bool {
	if g.local != l || !g.mayContinueAlone(l, func() bool { return l.state.Status().Sealed }) {
		return false
	}
	old := l.epoch
	g.log.Warn("all other voters have ended for good: this member continues alone", "epoch", old.String())
	if _, err := g.continueInNewEpoch(l, withoutOpenEntry); err != nil {
		g.log.Error("continuing alone failed", "error", err)
		return true
	}
	g.endEpoch(old, allCommands)
	return true
}

// mayContinueAlone reports whether the rule above lets this member continue its epoch alone.
// sealed reports whether the epoch was sealed, that is, has yielded to another one. It is called
// last, because it may wait for an Apply, which may not return.
func (g *Group) mayContinueAlone(l *localReplica, sealed func() bool) bool {
	switch {
	case !g.stalled || l.diskStalled: // there may be a leader
	case g.leaving || g.cfg.Role.Observer: // it would not stay in the new epoch, or not vote
	case l.poisoned != nil || l.carryover != nil: // its machine lacks some of the epoch's state
	case !g.cfg.Commandless && !g.cfg.Policy.ContinueAlone: // a command could be lost
	default:
		return g.isLastVoter(l) && !sealed()
	}
	return false
}

// isLastVoter reports whether this member's replica votes and every other possible voter has
// provably ended.
func (g *Group) isLastVoter(l *localReplica) bool {
	held, ok := l.held()
	if _, votes := held.Voters[l.id]; !ok || !votes {
		return false
	}
	for replica := range held.Voters {
		if replica != l.id && !l.endedWithVoters(replica, held) {
			return false
		}
	}
	for _, replica := range held.Promoted {
		// If the promotion was committed, the replica must have ended too. If it is bonded
		// to this member, the voters that have ended had no quorum without it.
		m := l.remotes[replica]
		if m == nil {
			return false
		}
		if a, bonded := g.peers[m.peer]; !(bonded && a.replica(m.peer) == replica) && !l.endedWithVoters(replica, held) {
			return false
		}
	}
	for _, a := range g.peers {
		if a.Epoch == l.epoch && a.Change > uint64(held.LastChange.Index) {
			return false // it knows a membership change that this member does not
		}
	}
	return true
}

// endedWithVoters reports whether a replica has provably ended, and so has every voter that the
// replica knew of and that held does not list.
func (l *localReplica) endedWithVoters(replica uint64, held engine.HeldMembership) bool {
	if !l.hasEnded(replica) {
		return false
	}
	// A log whose last entry is of a later term, or of the same term and not before the
	// change, holds the change if it was committed.
	m := l.remotes[replica]
	if !m.goodbye || held.Last.Compare(m.change) >= 0 {
		return true
	}
	unknown := func(voter uint64) bool { return voter != l.id && !l.hasEnded(voter) }
	return slices.Contains(m.voters, l.id) && !slices.ContainsFunc(m.voters, unknown)
}

// hasEnded reports whether a replica has provably ended.
func (l *localReplica) hasEnded(replica uint64) bool {
	m := l.remotes[replica]
	return m != nil && (m.goodbye || m.superseded)
}

// withoutOpenEntry yields the entries of a carryover without the open entry.
func withoutOpenEntry(entries iter.Seq[[]byte]) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for entry := range entries {
			if e, err := format.Parse(entry); err == nil && e.Kind == format.KindOpen {
				continue
			}
			if !yield(entry) {
				return
			}
		}
	}
}

// allEntries yields all entries of a carryover.
func allEntries(entries iter.Seq[[]byte]) iter.Seq[[]byte] { return entries }
