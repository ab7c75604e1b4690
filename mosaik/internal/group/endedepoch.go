package group

import "github.com/mosaik-go/mosaik/sm"

// replicaRemoved handles the removal of this member's replica from its epoch.
func (g *Group) replicaRemoved(e Epoch, replica uint64) {
	l := g.local
	if l == nil || l.epoch != e || l.id != replica {
		return
	}
	if g.leaving {
		g.removedOnLeave = true
		g.leaveResult.Set(leaveResult{done: true})
		return
	}
	g.quitEpoch("the replica was removed")
}

// epochSealed handles the seal entry, by which the epoch yields to another one.
func (g *Group) epochSealed(l *localReplica) {
	g.endEpoch(l.epoch, l.state.Status().AppliedIndex)
	if g.leaving {
		g.removedOnLeave = true
		g.leaveResult.Set(leaveResult{done: true})
		return
	}
	g.quitEpoch("the epoch was sealed")
}

// endEpoch records that an epoch is over, and that its commands up to this index are given up.
// Members that are still in it may receive the news from nobody else, so they get a message.
func (g *Group) endEpoch(e Epoch, commands sm.Index) {
	g.endedEpochs[e] = max(g.endedEpochs[e], commands)
	for peer, a := range g.peers {
		if a.Epoch == e {
			g.sendSealed(peer, e)
		}
	}
	g.retireServing()
}

// receiveSealed handles the message that another member saw the end of an epoch. A member that
// applied more commands than were given up ignores it.
func (g *Group) receiveSealed(e Epoch, commands sm.Index) {
	if l := g.local; l != nil && l.epoch == e {
		applied := l.AppliedIndex()
		if applied > commands {
			return
		}
		if applied > 0 {
			g.log.Error("epoch is over: the commands applied here are given up", "epoch", e.String(), "commands", applied)
		}
		g.endedEpochs[e] = commands
		g.epochSealed(l)
		return
	}
	if _, known := g.endedEpochs[e]; !known && len(g.endedEpochs) >= maxEndedEpochs {
		return
	}
	g.endedEpochs[e] = max(g.endedEpochs[e], commands)
	g.retireServing()
}

// quitIfStranded leaves an epoch in which this member cannot catch up, and reports whether it did.
// The member never caught up, so it never became a voter, and no peer that it can reach has caught
// up: the members that could add it are gone. A replica that was resumed may have caught up before,
// and leaves only if its log holds nothing.
func (g *Group) quitIfStranded(l *localReplica) bool {
	if l.bootstrap || l.caughtUp || g.leaving || l.resumed && g.abandonment(l).decide() != decideQuit {
		return false
	}
	for _, a := range g.peers {
		if a.Epoch == l.epoch && (a.Phase == CaughtUp || a.Phase == Leaving) {
			return false
		}
	}
	g.quitEpoch("no member that caught up can be reached")
	return true
}
