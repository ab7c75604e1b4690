package group

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// seeker is what a member without an epoch knows.
type seeker struct {
	now    time.Time
	self   sm.PeerID
	role   Role
	policy Policy
	since  time.Time     // when it began to seek
	delay  time.Duration // bootstrap delay, its reluctance included
	ended  map[Epoch]sm.Index
	barred time.Duration              // a group that lives refuses this member, at least for so long; 0 for none
	peers  map[sm.PeerID]Announcement // of the peers with a live bond
}

// move is what a seeker does next: join an epoch, bootstrap one, or wait.
type move struct {
	join      Epoch
	bootstrap bool
	wait      time.Duration // when waiting: look again after this long, 0 for at the next event
}

// next decides the seeker's move: join what exists; otherwise the lowest
// willing peer bootstraps, once the expected number is bonded or the delay has
// passed.
func (s seeker) next() move {
	e, others := s.bestEpoch()
	if !e.IsZero() {
		return move{join: e}
	}
	if others || s.role.Observer {
		// Whoever is on the way into an epoch gets there, or comes back to
		// seeking when there is nobody in it any more. Both wake us.
		return move{}
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
		if left := s.since.Add(s.delay).Sub(s.now); left > 0 {
			return move{wait: left}
		}
	}
	if !lowest {
		// The lowest bootstraps and its announcement wakes us; if it goes
		// away instead, the end of its bond does.
		return move{}
	}
	if s.barred > 0 {
		return move{wait: s.barred}
	}
	return move{bootstrap: true}
}

// bestEpoch picks the epoch to join among those of the bonded peers: one with
// commands before one without, then the lowest, which is the one that empty
// epochs yield to. Only who caught up in an epoch vouches for it; others reports
// whether some are only on their way into one.
func (s seeker) bestEpoch() (e Epoch, others bool) {
	var best Announcement
	for _, a := range s.peers {
		_, ended := s.ended[a.Epoch]
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

// outranks reports whether a's epoch is the one to be in rather than b's.
func outranks(a, b Announcement) bool {
	if aEmpty, bEmpty := a.Count == 0, b.Count == 0; aEmpty != bEmpty {
		return bEmpty
	}
	return a.Epoch.Compare(b.Epoch) < 0
}

// precedes reports whether p comes before q in the order in which peers
// bootstrap and are promoted: the willing before the reluctant, then by id.
func precedes(p sm.PeerID, pr Role, q sm.PeerID, qr Role) bool {
	if isReluctant(pr) != isReluctant(qr) {
		return isReluctant(qr)
	}
	return p.Compare(q) < 0
}
