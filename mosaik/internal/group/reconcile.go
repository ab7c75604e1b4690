package group

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/sm"
)

// steward is what the leader of an epoch knows when it tends the membership.
type steward struct {
	now      time.Time
	self     sm.PeerID
	resigns  string // why it must not go on leading, "" when it may
	opened   bool
	empty    bool   // no command was applied yet
	level    uint32 // of the schema, active here
	supports uint32 // the highest that this member's machine supports, and by their bonds all others'
	epoch    Epoch
	policy   Policy
	members  engine.Membership
	peers    map[sm.PeerID]Announcement // of this member and of the peers with a live bond, any epoch
	lastSeen map[sm.PeerID]time.Time    // when the bond with a peer ended, for those without
	gone     map[uint64]string          // members' replicas that provably run no longer, and why

	// Of the leader: its token, what that must be above, and the highest token of
	// another epoch that it believes.
	token, tokenFloor, tokenLimit uint64
}

// changeKind says what a change does.
type changeKind uint8

const (
	changeNone     changeKind = iota
	changeRemove              // remove the replica
	changeAdd                 // add the replica as non-voting
	changePromote             // make the non-voting replica a voter
	changeRaise               // commit the level entry
	changeOpen                // commit the open entry
	changeSeal                // commit the seal entry: yield to another epoch
	changeTransfer            // hand leadership to the replica
)

var changeNames = [...]string{"none", "remove", "add", "promote", "raise", "open", "seal", "transfer"}

// change is the one next step towards the membership that the group should have.
type change struct {
	kind    changeKind
	replica uint64
	peer    sm.PeerID
	level   uint32 // of changeRaise
	tokens  uint64 // of changeOpen: the token base
	why     string
	wait    time.Duration // of changeNone: look again after this long, 0 for at the next event
}

func (c change) String() string {
	switch c.kind {
	case changeNone:
		if c.wait > 0 {
			return fmt.Sprintf("none, look again in %v", c.wait)
		}
		return "none"
	case changeOpen, changeSeal, changeRaise:
		return fmt.Sprintf("%s: %s", changeNames[c.kind], c.why)
	}
	return fmt.Sprintf("%s %s: %s", changeNames[c.kind], c.peer.Short(), c.why)
}

// next returns the one change to make now. It is a function of what is seen,
// keeps nothing, and may be asked again at any time: a leader that takes over
// half-way goes on where the last one stopped.
func (s steward) next() change {
	for _, rule := range []func(steward) change{
		steward.yield,
		steward.removeReplaced,
		steward.removeLeaving,
		steward.raise,
		steward.open,
		steward.raiseTokens,
		steward.add,
		steward.promote,
		steward.retireObservers,
		steward.replaceDead,
		steward.removeAbandoned,
		steward.evenOut,
		steward.handOver,
	} {
		if c := rule(s); c.kind != changeNone {
			return c
		}
	}
	return change{wait: s.nextGrace()}
}

// yield seals an empty epoch that met one which outranks it.
func (s steward) yield() change {
	if !s.empty {
		return change{}
	}
	own := Announcement{Epoch: s.epoch}
	for _, a := range s.peers {
		if a.Epoch.IsZero() || a.Epoch == s.epoch || a.Phase == Leaving {
			continue
		}
		if outranks(a, own) {
			return change{kind: changeSeal, why: fmt.Sprintf("empty, and met epoch %s", a.Epoch)}
		}
	}
	return change{}
}

// removeReplaced removes the replicas that a peer had before its present
// incarnation. A replica whose memory is gone must never vote again.
func (s steward) removeReplaced() change {
	for _, m := range []map[uint64]sm.PeerID{s.members.Voters, s.members.NonVoting} {
		for _, replica := range sortedReplicas(m) {
			peer := m[replica]
			if a, bonded := s.peers[peer]; bonded && a.Epoch == s.epoch && a.replica(peer) != replica {
				return change{kind: changeRemove, replica: replica, peer: peer, why: "replaced by a later incarnation"}
			}
		}
	}
	return change{}
}

// raise raises the level of the schema by one step until it is the one that the
// members' machines support, before commands are let in or after a group has come
// back with another program. Members with other levels have no bond with this one,
// and a leader is in touch with most voters, so most of them support it.
func (s steward) raise() change {
	if s.level >= s.supports || s.resigns != "" {
		return change{}
	}
	return change{kind: changeRaise, level: s.level + 1, why: fmt.Sprintf("to level %d of %d, which all members support", s.level+1, s.supports)}
}

// open lets commands in once the epoch has the voters that it was promised, and
// so many of them know that they vote. Who knows is bound to the epoch; who does
// not may give it up for another one.
func (s steward) open() change {
	if s.opened {
		return change{}
	}
	bound := 0
	for replica, peer := range s.members.Voters {
		if a, ok := s.peers[peer]; ok && a.Votes && a.Epoch == s.epoch && a.replica(peer) == replica {
			bound++
		}
	}
	if bound < floorOf(s.policy) {
		return change{}
	}
	return change{kind: changeOpen, why: fmt.Sprintf("%d voters, %d needed", bound, floorOf(s.policy))}
}

// add takes in the peers that joined the epoch.
func (s steward) add() change {
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		if a.Epoch != s.epoch || a.Phase == Leaving {
			continue
		}
		replica := a.replica(peer)
		if _, removed := s.members.Removed[replica]; removed || has(s.members, replica) {
			continue
		}
		return change{kind: changeAdd, replica: replica, peer: peer, why: "it joins"}
	}
	return change{}
}

// promote makes caught-up members voters while there are fewer than there
// should be. Before commands are let in it goes no further than that needs: the
// fewer voters there are, the easier an epoch is to give up. Afterwards a voter that cannot
// be reached is no reason for more voters: if it is dead, a spare must be left to take its
// place.
func (s steward) promote() change {
	voters, here := len(s.members.Voters), s.reachable(sm.PeerID{})
	if !s.opened {
		here = voters
	}
	if voters >= votersOf(s.policy, here+len(s.spares())) || !s.opened && voters >= floorOf(s.policy) {
		return change{}
	}
	c, ok := s.spare()
	if !ok {
		return change{}
	}
	c.why = fmt.Sprintf("it caught up; %d voters so far", voters)
	return c
}

// retireObservers takes the vote from observers, which have one only where a
// group was recovered from one, once there are other voters enough.
func (s steward) retireObservers() change {
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		replica := a.replica(peer)
		if _, votes := s.members.Voters[replica]; votes && a.Role.Observer && peer != s.self &&
			len(s.members.Voters) > s.floor() && s.quorumWithout(peer) {
			return change{kind: changeRemove, replica: replica, peer: peer, why: "an observer does not vote"}
		}
	}
	return change{}
}

// replaceDead puts a spare in the place of a voter that was missed for longer
// than the grace, or is provably gone: the spare is promoted first, then the dead
// voter removed, so that the group never has fewer voters than it had. Without a
// spare nothing happens. Dead non-voting members just go.
func (s steward) replaceDead() change {
	for _, replica := range sortedReplicas(s.members.NonVoting) {
		if peer := s.members.NonVoting[replica]; s.dead(replica, peer) {
			return change{kind: changeRemove, replica: replica, peer: peer, why: "a spare " + s.missed(replica)}
		}
	}
	for _, replica := range sortedReplicas(s.members.Voters) {
		peer := s.members.Voters[replica]
		if !s.dead(replica, peer) {
			continue
		}
		if voters := len(s.members.Voters); voters%2 == 0 && voters > s.floor() {
			return change{kind: changeRemove, replica: replica, peer: peer, why: s.missed(replica) + ", and replaced"}
		}
		if spare, ok := s.spare(); ok {
			spare.why = fmt.Sprintf("takes the place of %s, %s", peer.Short(), s.missed(replica))
			return spare
		}
	}
	return change{}
}

// evenOut takes the vote from one of an even number of voters, four or more,
// once all of them are well: an even number needs a larger quorum and survives
// no more crashes. The member comes back as a spare.
func (s steward) evenOut() change {
	voters := len(s.members.Voters)
	if AtRest(s.policy, voters, voters+len(s.spares())) || voters <= votersOf(s.policy, voters) {
		return change{}
	}
	var last change
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		if _, votes := s.members.Voters[a.replica(peer)]; !votes {
			continue
		}
		if !s.ready(a) {
			return change{}
		}
		voters--
		if peer != s.self {
			last = change{kind: changeRemove, replica: a.replica(peer), peer: peer, why: "an even number of voters is of no use; it becomes a spare"}
		}
	}
	if voters > 0 {
		return change{} // some cannot be reached
	}
	return last
}

// handOver lets a leader that leaves, or whose machine is poisoned, give the
// lead to another voter. One that leaves is then removed by its successor. A
// reluctant leader gives the lead to a voter that is not.
func (s steward) handOver() change {
	why := s.resigns
	if why == "" {
		if !isReluctant(s.peers[s.self].Role) {
			return change{}
		}
		why = "the leader is reluctant"
	}
	next, ok := s.successor(func(_ sm.PeerID, a Announcement) bool { return s.resigns != "" || !isReluctant(a.Role) })
	switch {
	case next.ready:
		return change{kind: changeTransfer, replica: next.replica, peer: next.peer, why: why}
	case ok || s.resigns == "":
		return change{} // its announcement will say when it is ready
	}
	if spare, ok := s.spare(); ok {
		spare.why = why
		return spare
	}
	return change{}
}

// missed says why a replica counts as dead.
func (s steward) missed(replica uint64) string {
	if s.gone[replica] != "" {
		return "gone for good"
	}
	return "missed for longer than the grace"
}

// quorumWithout reports whether the voters other than the peer have a quorum
// among those who can be reached.
func (s steward) quorumWithout(peer sm.PeerID) bool {
	return s.reachable(peer) > (len(s.members.Voters)-1)/2
}

// reachable returns how many voters other than the peer can be reached.
func (s steward) reachable(but sm.PeerID) int {
	live := 0
	for replica, voter := range s.members.Voters {
		if a, bonded := s.peers[voter]; bonded && voter != but && a.Epoch == s.epoch && a.replica(voter) == replica {
			live++
		}
	}
	return live
}

// floor returns the number of voters that leaving and repair keep.
func (s steward) floor() int { return max(1, floorOf(s.policy), s.policy.MinimumVoters) }

// ready reports whether a member is level with the epoch and means to stay.
func (s steward) ready(a Announcement) bool {
	return a.Epoch == s.epoch && a.Phase == CaughtUp && !a.Role.Observer && !a.Poisoned
}

// spares returns the bonded, caught-up, non-voting members that may be voters,
// in the order in which they are promoted.
func (s steward) spares() []sm.PeerID {
	var spares []sm.PeerID
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		if _, ok := s.members.NonVoting[a.replica(peer)]; ok && s.ready(a) {
			spares = append(spares, peer)
		}
	}
	return spares
}

// spare returns the promotion of the first spare.
func (s steward) spare() (change, bool) {
	spares := s.spares()
	if len(spares) == 0 {
		return change{}, false
	}
	return change{kind: changePromote, replica: s.peers[spares[0]].replica(spares[0]), peer: spares[0]}, true
}

// dead reports whether the peer's replica provably runs no longer, or the peer has
// been without a bond for longer than the grace.
func (s steward) dead(replica uint64, peer sm.PeerID) bool {
	if s.gone[replica] != "" {
		return true
	}
	left, missing := s.left(peer, s.policy.Grace)
	return missing && left <= 0
}

// left returns how much of a time the peer, if it has no bond, may still be missed.
func (s steward) left(peer sm.PeerID, of time.Duration) (left time.Duration, missing bool) {
	if _, bonded := s.peers[peer]; bonded {
		return 0, false
	}
	seen, ok := s.lastSeen[peer]
	if !ok {
		return 0, false
	}
	return seen.Add(of).Sub(s.now), true
}

// nextGrace returns how long until the next missing member is dead, or abandoned,
// 0 for none.
func (s steward) nextGrace() time.Duration {
	var next time.Duration
	for _, of := range []time.Duration{s.policy.Grace, s.policy.RemoveAfter} {
		for _, m := range []map[uint64]sm.PeerID{s.members.Voters, s.members.NonVoting} {
			for _, peer := range m {
				if left, missing := s.left(peer, of); missing && left > 0 && (next == 0 || left < next) {
					next = left
				}
			}
		}
	}
	return next
}

// sortedPeers returns the peers in the order in which they are preferred, so
// that every leader decides alike.
func sortedPeers(peers map[sm.PeerID]Announcement) []sm.PeerID {
	return slices.SortedFunc(maps.Keys(peers), func(p, q sm.PeerID) int {
		switch {
		case precedes(p, peers[p].Role, q, peers[q].Role):
			return -1
		case p == q:
			return 0
		}
		return 1
	})
}

func sortedReplicas(members map[uint64]sm.PeerID) []uint64 {
	return slices.Sorted(maps.Keys(members))
}

// unsettled says why not everybody who is here is in place, "" if all are: every
// bonded member of the group belongs to the epoch and has caught up, every voter
// can be reached, there are as many voters as there should be, and the level of the
// schema is the one that they support.
func (s steward) unsettled() string {
	if s.level < s.supports {
		return fmt.Sprintf("level %d of the schema; %d is active", s.supports, s.level)
	}
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		switch {
		case a.Phase == Leaving:
			return fmt.Sprintf("member %s to leave", peer.Short())
		case a.Epoch != s.epoch || !has(s.members, a.replica(peer)):
			return fmt.Sprintf("member %s to be added", peer.Short())
		case a.Phase != CaughtUp:
			return fmt.Sprintf("member %s to catch up", peer.Short())
		}
	}
	for _, replica := range sortedReplicas(s.members.Voters) {
		peer := s.members.Voters[replica]
		if a, ok := s.peers[peer]; !ok || a.replica(peer) != replica {
			return fmt.Sprintf("voter %s, which cannot be reached", peer.Short())
		}
	}
	if voters := len(s.members.Voters); !AtRest(s.policy, voters, voters+len(s.spares())) {
		return fmt.Sprintf("a different number of voters: there are %d", voters)
	}
	return ""
}

// has reports whether the replica is a voter or a non-voting member.
func has(m engine.Membership, replica uint64) bool {
	_, voter := m.Voters[replica]
	_, nonVoting := m.NonVoting[replica]
	return voter || nonVoting
}
