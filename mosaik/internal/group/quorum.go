package group

import "time"

// reviewQuorum decides whether the group is stalled: there is no leader, and either a quorum
// cannot be reached from here, or elections should have produced a leader by now. Reaching few
// voters alone does not count, since one of them may lead. An epoch that must still take over a
// carryover is never stalled: its only voter is here and elects itself. To recover from it
// would lose the carryover, which exists nowhere else.
func (g *Group) reviewQuorum(l *localReplica) {
	g.timers.clear("stalled")
	var left time.Duration
	if l.leader == 0 && !g.quorumLost(l) {
		left = time.Until(l.leaderless.Add(2 * g.cfg.Timing.ElectionLimit))
	}
	stalled := l.leader == 0 && left <= 0 && l.carryover == nil
	again := func(f func(*localReplica)) func() {
		return func() {
			if g.local == l {
				f(l)
			}
		}
	}
	if left > 0 {
		g.timers.set("stalled", left, again(g.reviewQuorum))
	}
	if stalled && !g.stalled {
		if !l.diskStalled && len(l.members.Voters) > 0 { // a joining member knows no voters yet
			g.logStalled(l)
		}
		g.inbox.postLatest(localKey{l, "stalled"}, again(func(l *localReplica) {
			if !g.continueAlone(l) && !g.abandonEpoch(l) {
				g.reconcile()
			}
		}))
	}
	g.stalled = stalled
}

// quorumLost reports whether the voters that can be reached from here are not a majority.
func (g *Group) quorumLost(l *localReplica) bool {
	reached := 0
	for replica, peer := range l.members.Voters {
		if a, bonded := g.peers[peer]; replica == l.id || bonded && a.Epoch == l.epoch && a.replica(peer) == replica {
			reached++
		}
	}
	return reached <= len(l.members.Voters)/2 && len(l.members.Voters) > 0
}
