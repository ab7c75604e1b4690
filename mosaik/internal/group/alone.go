package group

import (
	"iter"

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
//     be other voters: no log of another voter held a later one when it ended.
//
// What is then in the new epoch is closed, as that of a bootstrap is, until there
// are voters enough: members that know of no epoch may be forming one.

// continueAlone begins an epoch that continues the present one, if this member is
// its last voter. It reports whether it did.
func (g *Group) continueAlone(l *life) bool {
	if g.life != l || !g.stalled || g.leaving || l.hangs || l.poisoned != nil || l.estate != nil || g.cfg.Role.Observer {
		return false
	}
	if !g.cfg.Commandless && !g.cfg.Policy.ContinueAlone || l.state.Status().Sealed || !g.lastVoter(l) {
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

// endedFor reports whether a replica has provably ended, and knew of no membership
// change that may be committed and is not in this member's log.
func (l *life) endedFor(replica uint64, held engine.HeldMembership) bool {
	m := l.met[replica]
	switch {
	case m == nil:
		return false
	case m.goodbye:
		// A log that ends with an entry of a later leader, or further on in the same
		// term, holds the change if that was committed.
		return held.Last.Compare(m.change) >= 0
	}
	return m.superseded
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
