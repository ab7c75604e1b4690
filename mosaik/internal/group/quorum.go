package group

import "time"

// reviewQuorum decides whether the group is stalled: there is no leader, and
// either too few voters can be reached from here to elect one, or there should
// have been one by now. Only a lost leader counts, since a member that reaches
// few voters may well reach one that leads. An epoch that still takes over another
// has its only voter here, which elects itself, however long it takes: to recover
// from that would lose what lies nowhere else.
func (g *Group) reviewQuorum(l *life) {
	g.timers.clear("stalled")
	var left time.Duration
	if l.leader == 0 && !g.quorumLost(l) {
		left = time.Until(l.leaderless.Add(2 * g.cfg.Timing.ElectionLimit))
	}
	stalled := l.leader == 0 && left <= 0 && l.estate == nil
	again := func(f func(*life)) func() {
		return func() {
			if g.life == l {
				f(l)
			}
		}
	}
	if left > 0 {
		g.timers.set("stalled", left, again(g.reviewQuorum))
	}
	if stalled && !g.stalled {
		if !l.hangs && len(l.members.Voters) > 0 { // one that joins knows of no voters yet
			g.warnStalled(l)
		}
		g.inbox.post(again(func(l *life) {
			if !g.continueAlone(l) && !g.forsaken(l) {
				g.reconcile()
			}
		}))
	}
	g.stalled = stalled
}

// quorumLost reports whether the voters that can be reached from here are no
// majority.
func (g *Group) quorumLost(l *life) bool {
	reached := 0
	for replica, peer := range l.members.Voters {
		if a, bonded := g.peers[peer]; replica == l.id || bonded && a.Epoch == l.epoch && a.replica(peer) == replica {
			reached++
		}
	}
	return reached <= len(l.members.Voters)/2 && len(l.members.Voters) > 0
}
