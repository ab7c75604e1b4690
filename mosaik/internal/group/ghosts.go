package group

import (
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// ghosts returns the voters that have been missed for longer than the grace or are
// provably gone, and all that are missed while there is no quorum.
func (g *Group) ghosts(l *life) []Ghost {
	if len(g.unreached(l)) == 0 {
		return nil
	}
	s := g.steward()
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

// cost says what voters that cannot be reached cost the group.
func (s steward) cost(stalled bool) string {
	voters, reached := len(s.members.Voters), s.reachable(sm.PeerID{})
	needed := voters/2 + 1
	if reached < needed || stalled {
		return fmt.Sprintf("of %d voters %d are needed and %d can be reached: nothing is accepted. If those who are missing "+
			"do not come back, call Recover on the member with the highest Committed", voters, needed, reached)
	}
	bears := reached - needed
	return fmt.Sprintf("of %d voters %d are needed and %d can be reached: the group bears the loss of %d. Start another "+
		"member, which takes its place, or call Remove", voters, needed, reached, bears)
}

// warnStalled logs once what an operator must know of a group without a quorum.
func (g *Group) warnStalled(l *life) {
	g.log.Warn("no quorum", "missing", shortNames(g.unreached(l)), "advice", g.steward().cost(true))
}

// unreached returns the voters of the present membership without a bond.
func (g *Group) unreached(l *life) (missed []sm.PeerID) {
	for _, replica := range sortedReplicas(l.members.Voters) {
		peer := l.members.Voters[replica]
		if a, bonded := g.peers[peer]; replica != l.id && !(bonded && a.replica(peer) == replica) {
			missed = append(missed, peer)
		}
	}
	return missed
}
