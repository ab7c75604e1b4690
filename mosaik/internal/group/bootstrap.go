package group

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// bootstrapper is the knowledge of a member without an epoch, on which next bases
// its decision.
type bootstrapper struct {
	now          time.Time
	self         sm.PeerID
	role         Role
	policy       Policy
	seekingSince time.Time          // when the member began to look for an epoch
	delay        time.Duration      // bootstrap delay times the reluctance factor
	endedEpochs  map[Epoch]sm.Index // epochs that are over
	// blocked is the least time for which this member must not bootstrap, because a group
	// that accepts commands refuses it; 0 for no such group.
	blocked time.Duration
	peers   map[sm.PeerID]Announcement // of the peers with a live bond
}

// decision is what a member without an epoch does next: join one, bootstrap one, or wait.
type decision struct {
	join      Epoch
	bootstrap bool
	wait      time.Duration // if neither: decide again after this time, 0 for at the next event
}

// next decides what the member does. It joins an epoch that exists. Otherwise the lowest
// willing peer bootstraps, once the expected number of peers is bonded or the delay has
// passed.
func (s bootstrapper) next() decision {
	e, others := s.bestEpoch()
	if !e.IsZero() {
		return decision{join: e}
	}
	if others || s.role.Observer {
		// A peer that is catching up either succeeds, or returns to seeking when its
		// epoch has no members left. Both are announcements, which wake this member.
		return decision{}
	}
	candidates := 1
	lowest := true
	for peer, a := range s.peers {
		if a.Role.Observer || a.Phase == Leaving {
			continue
		}
		candidates++
		if precedes(peer, a.Role, s.self, s.role) {
			lowest = false
		}
	}
	if complete := s.policy.Expected > 0 && candidates >= s.policy.Expected; !complete {
		if left := s.seekingSince.Add(s.delay).Sub(s.now); left > 0 {
			return decision{wait: left}
		}
	}
	if !lowest {
		// The lowest peer bootstraps, and its announcement wakes this member. If it
		// disappears instead, the end of its bond does.
		return decision{}
	}
	if s.blocked > 0 {
		return decision{wait: s.blocked}
	}
	return decision{bootstrap: true}
}

// bestEpoch returns the epoch to join among those of the bonded peers: one with commands before
// one without, then the lowest, which is the one that empty epochs yield to. Only a peer that
// has caught up in an epoch vouches for it. others reports whether peers are still catching up
// in some epoch.
func (s bootstrapper) bestEpoch() (e Epoch, others bool) {
	var best Announcement
	for _, a := range s.peers {
		_, ended := s.endedEpochs[a.Epoch]
		switch {
		case a.Epoch.IsZero() || a.Phase == Leaving || ended:
		case a.Phase == CatchingUp:
			others = true
		case best.Epoch.IsZero() || outranks(a, best):
			best = a
		}
	}
	return best.Epoch, others
}

// outranks reports whether members should be in a's epoch rather than in b's.
func outranks(a, b Announcement) bool {
	if aEmpty, bEmpty := a.AppliedIndex == 0, b.AppliedIndex == 0; aEmpty != bEmpty {
		return bEmpty
	}
	return a.Epoch.Compare(b.Epoch) < 0
}

// precedes reports whether p comes before q in the order in which peers bootstrap and are
// promoted: willing peers before reluctant ones, then by id.
func precedes(p sm.PeerID, pr Role, q sm.PeerID, qr Role) bool {
	if isReluctant(pr) != isReluctant(qr) {
		return isReluctant(qr)
	}
	return p.Compare(q) < 0
}

// findEpoch joins or bootstraps an epoch if the member is in none and next decides so.
func (g *Group) findEpoch() {
	if g.local != nil || g.leaving {
		return
	}
	now := time.Now()
	m := bootstrapper{
		now: now, self: g.cfg.Self, role: g.cfg.Role, policy: g.cfg.Policy,
		seekingSince: g.seekingSince, delay: g.cfg.Timing.BootstrapDelay * factorOf(g.cfg.Role),
		endedEpochs: g.endedEpochs, peers: g.peers, blocked: g.blockedFor(now),
	}.next()
	switch {
	case !m.join.IsZero():
		g.join(m.join)
	case m.bootstrap:
		g.bootstrap(nil, 0)
	case m.wait > 0:
		g.timers.set("find epoch", m.wait, g.findEpoch)
	}
}
