package group

import (
	"iter"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// A group whose other voters have all ended for good has lost its quorum, and
// nobody can give it another one by consensus. Its last voter may make a new epoch
// of what it has, as [Group.Recover] does, without asking anybody, where that can
// neither lose an acknowledged command nor make two groups of one:
//
//   - the machine has no commands, or the members opted in;
//   - every other voter is provably gone. Who cannot be reached is not, and neither
//     is a voter that others replaced meanwhile: two survivors of five would each
//     be a group;
//   - no membership change was committed that this member's log lacks, or there may
//     be other voters: a goodbye names the last one in its sender's log, and the
//     voters by it. If it is later than this log, they must be gone as well.
//
// What is then in the new epoch is closed, as that of a bootstrap is, until there
// are voters enough: members that know of no epoch may be forming one.

// continueAlone begins an epoch that continues the present one, if this member is
// its last voter. It reports whether it did.
func (g *Group) continueAlone(l *life) bool {
	// The status of the state comes last, because it waits for an Apply, which may not return.
	if g.life != l || !g.mayContinueAlone(l, false) || l.state.Status().Sealed {
		return false
	}
	old := l.epoch
	g.log.Warn("every other voter is gone for good: this member continues alone", "epoch", old.String())
	if _, err := g.succeed(l, closed); err != nil {
		g.log.Error("continuing alone failed", "error", err)
		return true
	}
	g.conclude(old, everything)
	return true
}

// mayContinueAlone reports whether the rule above lets this member continue its epoch,
// which may be sealed, alone.
func (g *Group) mayContinueAlone(l *life, sealed bool) bool {
	switch {
	case !g.stalled || l.hangs: // a leader may live
	case g.leaving || g.cfg.Role.Observer: // it would begin an epoch in which it does not stay, or vote
	case l.poisoned != nil || l.estate != nil: // its machine does not hold all that the epoch does
	case sealed: // the epoch has yielded to another one
	case !g.cfg.Commandless && !g.cfg.Policy.ContinueAlone: // a command could be lost
	default:
		return g.lastVoter(l)
	}
	return false
}

// lastVoter reports whether this member's replica votes and every other voter that
// there may be has provably ended.
func (g *Group) lastVoter(l *life) bool {
	held, ok := l.held()
	if _, votes := held.Voters[l.id]; !ok || !votes {
		return false
	}
	for replica := range held.Voters {
		if replica != l.id && !l.endedFor(replica, held) {
			return false
		}
	}
	for _, replica := range held.Promoted {
		// With one that is here, those who are gone have no quorum either.
		m := l.met[replica]
		if m == nil {
			return false
		}
		if a, bonded := g.peers[m.peer]; !(bonded && a.replica(m.peer) == replica) && !l.endedFor(replica, held) {
			return false
		}
	}
	for _, a := range g.peers {
		if a.Epoch == l.epoch && a.Change > uint64(held.LastChange.Index) {
			return false // it knows of voters that this member does not
		}
	}
	return true
}

// endedFor reports whether a replica has provably ended, with all the voters that it
// knew of and this member's log does not.
func (l *life) endedFor(replica uint64, held engine.HeldMembership) bool {
	if !l.ended(replica) {
		return false
	}
	// A log that ends with an entry of a later leader, or further on in the same term,
	// holds the change if that was committed.
	m := l.met[replica]
	if !m.goodbye || held.Last.Compare(m.change) >= 0 {
		return true
	}
	unknown := func(voter uint64) bool { return voter != l.id && !l.ended(voter) }
	return slices.Contains(m.voters, l.id) && !slices.ContainsFunc(m.voters, unknown)
}

// ended reports whether a replica has provably ended.
func (l *life) ended(replica uint64) bool {
	m := l.met[replica]
	return m != nil && (m.goodbye || m.superseded)
}

// closed yields the entries of an heir without the one that lets commands in.
func closed(entries iter.Seq[[]byte]) iter.Seq[[]byte] {
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

// whole yields the entries of an heir.
func whole(entries iter.Seq[[]byte]) iter.Seq[[]byte] { return entries }
