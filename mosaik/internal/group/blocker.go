package group

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// maxBlockers is the limit of blockers that are remembered. One is enough to keep this member
// from bootstrapping.
const maxBlockers = 256

// blocker is a peer that keeps this member from bootstrapping: its epoch accepts commands, and
// one side refuses the bond. The group exists, so this member must not found a second one.
type blocker struct {
	code consensus.CloseCode
	seen time.Time // its last sign of life
}

// bondRefused handles the refusal of a bond by either side. a is the peer's announcement, nil if
// none was received. The peer is a blocker only if its tickets are accepted: a member whose
// tickets were revoked must not keep others from forming a group.
func (g *Group) bondRefused(peer sm.PeerID, code consensus.CloseCode, a *Announcement) {
	if _, bonded := g.peers[peer]; bonded {
		return
	}
	switch {
	case code == consensus.CodeUnknownGroup, a != nil && (!a.Opened || a.Phase == Leaving):
		delete(g.blockers, peer) // it is no member, or its epoch accepts no commands
		g.findEpoch()
		return
	case a == nil || !isRefusal(code):
		return
	}
	g.cfg.Admission.Admit(peer, Review, func(verdict consensus.CloseCode, _ time.Time) {
		g.inbox.postLatest(verdictKey{peer, "blocker"}, func() { g.blockerExamined(peer, code, verdict) })
	})
}

// blockerExamined handles the verdict on the tickets of a peer that refuses or is refused.
func (g *Group) blockerExamined(peer sm.PeerID, code, verdict consensus.CloseCode) {
	_, bonded := g.peers[peer]
	_, known := g.blockers[peer]
	switch {
	case bonded:
	case verdict != consensus.CodeAccepted:
		delete(g.blockers, peer)
		g.findEpoch()
	case known, len(g.blockers) < maxBlockers:
		if !known && g.local == nil {
			g.log.Warn("bootstrap blocked: a group that accepts commands refuses this member",
				"peer", peer.Short(), "code", code)
		}
		g.blockers[peer] = blocker{code, time.Now()}
	}
}

// blockedFor returns for how long at least blockers keep this member from bootstrapping, 0 without
// blockers. It forgets blockers that have been gone for the grace.
func (g *Group) blockedFor(now time.Time) time.Duration {
	var longest time.Duration
	for peer, o := range g.blockers {
		switch at := g.bonds.Presence(peer); {
		case at.Connected && !at.Listed:
			delete(g.blockers, peer) // it has left the group
			continue
		case at.Connected:
			o.seen = now
		case at.Alive.After(o.seen):
			o.seen = at.Alive
		}
		left := o.seen.Add(g.cfg.Policy.Grace).Sub(now)
		if left <= 0 {
			delete(g.blockers, peer)
			continue
		}
		g.blockers[peer] = o
		longest = max(longest, left)
	}
	if longest > 0 {
		longest = max(longest, retryPause)
	}
	return longest
}

// blockerWaits describes what a member without an epoch waits for because of blockers, "" without
// blockers.
func (g *Group) blockerWaits() string {
	if len(g.blockers) == 0 {
		return ""
	}
	peer := slices.MinFunc(slices.Collect(maps.Keys(g.blockers)), sm.PeerID.Compare)
	return fmt.Sprintf("peer %s, whose group accepts commands, to accept this member (refused: %s) or to be gone for %v",
		peer.Short(), g.blockers[peer].code, g.cfg.Policy.Grace)
}
