package group

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// maxOpponents bounds the peers that are remembered as opponents. One is enough to
// keep this member from bootstrapping.
const maxOpponents = 256

// opponent is a peer whose epoch accepts commands and with which there is no bond,
// because one side refuses it. The group lives where it is, so this member must not
// found another one beside it.
type opponent struct {
	code consensus.CloseCode
	seen time.Time // its last sign of life
}

// opposed takes into account that a bond with a peer was refused, which announced a,
// or nothing. The peer counts if its tickets are accepted: a member whose tickets were revoked
// must not keep others from forming a group.
func (g *Group) opposed(peer sm.PeerID, code consensus.CloseCode, a *Announcement) {
	if _, bonded := g.peers[peer]; bonded {
		return
	}
	switch {
	case code == consensus.CodeUnknownGroup, a != nil && (!a.Opened || a.Phase == Leaving):
		delete(g.opponents, peer) // it is no member, or of no epoch that accepts commands
		g.seek()
		return
	case a == nil || !final(code):
		return
	}
	g.cfg.Admission.Admit(peer, Review, func(verdict consensus.CloseCode, _ time.Time) {
		g.inbox.post(func() { g.admittedOpponent(peer, code, verdict) })
	})
}

// admittedOpponent takes the verdict on the tickets of a peer into account.
func (g *Group) admittedOpponent(peer sm.PeerID, code, verdict consensus.CloseCode) {
	_, bonded := g.peers[peer]
	_, known := g.opponents[peer]
	switch {
	case bonded:
	case verdict != consensus.CodeAccepted:
		delete(g.opponents, peer)
		g.seek()
	case known, len(g.opponents) < maxOpponents:
		if !known && g.life == nil {
			g.log.Warn("a group that accepts commands refuses this member, which founds none beside it",
				"peer", peer.Short(), "code", code)
		}
		g.opponents[peer] = opponent{code, time.Now()}
	}
}

// barred returns how long opponents keep this member from bootstrapping at least, 0
// if there are none. Those that were gone for the grace are forgotten.
func (g *Group) barred(now time.Time) time.Duration {
	var longest time.Duration
	for peer, o := range g.opponents {
		switch at := g.bonds.Presence(peer); {
		case at.Connected && !at.Listed:
			delete(g.opponents, peer) // it has left the group
			continue
		case at.Connected:
			o.seen = now
		case at.Alive.After(o.seen):
			o.seen = at.Alive
		}
		left := o.seen.Add(g.cfg.Policy.Grace).Sub(now)
		if left <= 0 {
			delete(g.opponents, peer)
			continue
		}
		g.opponents[peer] = o
		longest = max(longest, left)
	}
	if longest > 0 {
		longest = max(longest, retryPause)
	}
	return longest
}

// opponent says what a member without an epoch waits for that an opponent keeps from
// bootstrapping, "" for nothing.
func (g *Group) opponent() string {
	if len(g.opponents) == 0 {
		return ""
	}
	peer := slices.MinFunc(slices.Collect(maps.Keys(g.opponents)), sm.PeerID.Compare)
	return fmt.Sprintf("peer %s, whose group accepts commands, to accept this member (refused: %s) or to be gone for %v",
		peer.Short(), g.opponents[peer].code, g.cfg.Policy.Grace)
}
