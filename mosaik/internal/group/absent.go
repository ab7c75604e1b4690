package group

import "github.com/mosaik-go/mosaik/sm"

// maxAbsent bounds the peers without a bond that are remembered, beside the members of
// the epoch, which Raft bounds. A service whose processes have a new identity at each
// start would otherwise fill the memory of the members that keep running.
const maxAbsent = 1024

// maxEnded bounds the epochs of which a member remembers on the word of others that they
// are over. It is told again by the peers that know it when it enters one of the rest.
const maxEnded = 4096

// forgetAbsent forgets peers while there are more than maxAbsent, those first that have
// been without a bond for longest. A process with the identity of a forgotten peer is
// admitted as the first one that had it: it has no replica in this epoch that may vote,
// since then its peer would be a member.
func (g *Group) forgetAbsent() {
	if len(g.lastSeen) <= maxAbsent {
		return
	}
	members := map[sm.PeerID]bool{}
	if l := g.life; l != nil {
		for _, m := range []map[uint64]sm.PeerID{l.members.Voters, l.members.NonVoting} {
			for _, peer := range m {
				members[peer] = true
			}
		}
	}
	for len(g.lastSeen) > maxAbsent {
		var oldest sm.PeerID
		for peer, seen := range g.lastSeen {
			if !members[peer] && (oldest.IsZero() || seen.Before(g.lastSeen[oldest])) {
				oldest = peer
			}
		}
		if oldest.IsZero() {
			return
		}
		delete(g.lastSeen, oldest)
		delete(g.successions, oldest)
		g.timers.clear("ghost " + oldest.String())
		g.timers.clear("probe " + oldest.String())
	}
}
