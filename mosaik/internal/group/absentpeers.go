package group

import "github.com/mosaik-go/mosaik/sm"

// maxAbsent is the limit of peers without a bond that are remembered, beside the members of the
// epoch, whose number Raft limits. Without it, a service whose processes have a new identity at
// each start would fill the memory of members that keep running.
const maxAbsent = 1024

// maxEndedEpochs is the limit of epochs that a member remembers as ended because of messages. At
// the limit it forgets none and records no more: if it enters an epoch that is over, the peers that
// know inform it again.
const maxEndedEpochs = 4096

// forgetAbsent forgets the peers that have been without a bond for longest, while there are
// more than maxAbsent. It never forgets a member of the epoch. So a forgotten peer has no
// replica here that may vote, and a process with its identity can be admitted as its first.
func (g *Group) forgetAbsent() {
	if len(g.lastSeen) <= maxAbsent {
		return
	}
	members := map[sm.PeerID]bool{}
	if l := g.local; l != nil {
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
