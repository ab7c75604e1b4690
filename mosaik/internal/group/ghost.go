package group

import (
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// ghosts returns the voters that have been missing for longer than the grace or are provably
// gone and, without a quorum, all voters that are missing.
func (g *Group) ghosts(l *localReplica) []Ghost {
	if len(g.unreached(l)) == 0 {
		return nil
	}
	s := g.reconciler()
	var ghosts []Ghost
	for _, replica := range sortedReplicas(l.members.Voters) {
		peer := l.members.Voters[replica]
		a, bonded := s.peers[peer]
		if bonded && a.replica(peer) == replica || !g.stalled && !s.dead(replica, peer) {
			continue
		}
		ghosts = append(ghosts, Ghost{Peer: peer, Since: g.lastSeen[peer], Gone: s.gone[replica], Cost: s.cost(g.stalled)})
	}
	return ghosts
}

// cost describes what voters that cannot be reached cost the group.
func (s reconciler) cost(stalled bool) string {
	voters, reached := len(s.members.Voters), s.reachable(sm.PeerID{})
	needed := voters/2 + 1
	if reached < needed || stalled {
		return fmt.Sprintf("of %d voters %d are needed and %d can be reached: commands are not accepted. If the missing "+
			"voters do not return, call Recover on the member with the highest AppliedIndex", voters, needed, reached)
	}
	return fmt.Sprintf("of %d voters %d are needed and %d can be reached: the group tolerates %d more failures. Start "+
		"another member to replace the missing voter, or call Remove", voters, needed, reached, reached-needed)
}

// logStalled logs that the group has no quorum, with advice for an operator.
func (g *Group) logStalled(l *localReplica) {
	g.log.Warn("no quorum", "missing", shortNames(g.unreached(l)), "advice", g.reconciler().cost(true))
}

// unreached returns the voters of the membership that have no bond.
func (g *Group) unreached(l *localReplica) (missed []sm.PeerID) {
	for _, replica := range sortedReplicas(l.members.Voters) {
		peer := l.members.Voters[replica]
		if a, bonded := g.peers[peer]; replica != l.id && !(bonded && a.replica(peer) == replica) {
			missed = append(missed, peer)
		}
	}
	return missed
}
