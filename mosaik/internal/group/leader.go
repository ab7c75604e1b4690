package group

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// leaderPeer returns the present leader, zero if there is none or its peer is not known.
func (g *Group) leaderPeer() sm.PeerID {
	l := g.local
	switch {
	case l == nil || l.leader == 0:
		return sm.PeerID{}
	case l.leads():
		return g.cfg.Self
	}
	if peer, ok := l.members.Voters[l.leader]; ok {
		return peer
	}
	for peer, a := range g.peers {
		if a.Epoch == l.epoch && a.replica(peer) == l.leader {
			return peer
		}
	}
	return sm.PeerID{}
}

// reviewLeader derives the leader from the one that Raft knows. While the disk is stalled, Raft
// knows nothing. A replica without a vote does not notice by itself that its leader is gone,
// because it never starts an election; there the leader's bond and announcement decide.
func (g *Group) reviewLeader(l *localReplica) {
	leader := l.raftLeader
	if l.diskStalled {
		leader = 0 // it may have been replaced
	}
	if leader != 0 && leader != l.id && !l.votes() && !g.seenLeading(l, leader) {
		leader = 0
	}
	if leader != l.leader || l.raftTerm != l.term {
		g.leaderChanged(l, leader, l.raftTerm)
	}
}

// seenLeading reports whether a bonded peer announces that it leads as the replica.
func (g *Group) seenLeading(l *localReplica, replica uint64) bool {
	for peer, a := range g.peers {
		if a.Epoch == l.epoch && a.replica(peer) == replica {
			return a.Leads
		}
	}
	return false
}

// leaderChanged handles a new leader or term; leader 0 means none.
func (g *Group) leaderChanged(l *localReplica, leader uint64, term sm.Term) {
	led := l.leads()
	l.leader, l.term, l.inSync = leader, term, false
	if l.leads() != led {
		g.announce()
	}
	l.leaderless = time.Now()
	g.reviewQuorum(l)
	if leader != 0 {
		g.readMembership(l)
	}
}
