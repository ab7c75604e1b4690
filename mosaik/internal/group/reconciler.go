package group

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/sm"
)

// reconciler holds what the leader of an epoch knows, from which next decides the next change
// of the membership.
type reconciler struct {
	now            time.Time
	self           sm.PeerID
	stepDownReason string // why the leader must step down, "" if it need not
	opened         bool   // the epoch accepts commands
	empty          bool   // no command has been applied
	level          uint32 // of the schema, active here
	supportedLevel uint32 // the highest that this member's machine supports; bonded peers support the same
	epoch          Epoch
	policy         Policy
	members        engine.Membership
	peers          map[sm.PeerID]Announcement // of this member and of bonded peers, of any epoch
	lastSeen       map[sm.PeerID]time.Time    // when the last bond of an absent peer ended
	gone           map[uint64]string          // replicas that provably do not run, with the reason

	token      uint64 // the leader's fencing token
	tokenFloor uint64 // which token must exceed
	tokenLimit uint64 // the highest token of another epoch that is believed
}

// changeKind is the kind of a change.
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

// change is a single step towards the membership that the group should have.
type change struct {
	kind      changeKind
	replica   uint64
	peer      sm.PeerID
	level     uint32 // of changeRaise
	tokenBase uint64 // of changeOpen: the token base
	why       string
	wait      time.Duration // of changeNone: decide again after this time, 0 for at the next event
}

func (c change) String() string {
	switch c.kind {
	case changeNone:
		if c.wait > 0 {
			return fmt.Sprintf("none, next check in %v", c.wait)
		}
		return "none"
	case changeOpen, changeSeal, changeRaise:
		return fmt.Sprintf("%s: %s", changeNames[c.kind], c.why)
	}
	return fmt.Sprintf("%s %s: %s", changeNames[c.kind], c.peer.Short(), c.why)
}

// next returns the one change to make now: that of the first rule that wants one. It depends only
// on the fields of s, so it may be called again at any time, and a new leader continues where
// the last one stopped.
func (s reconciler) next() change {
	for _, rule := range []func(reconciler) change{
		reconciler.yield,
		reconciler.removeReplaced,
		reconciler.removeLeaving,
		reconciler.raise,
		reconciler.open,
		reconciler.raiseTokens,
		reconciler.add,
		reconciler.promote,
		reconciler.demoteObservers,
		reconciler.replaceDead,
		reconciler.removeMissing,
		reconciler.makeOdd,
		reconciler.handOverLeadership,
	} {
		if c := rule(s); c.kind != changeNone {
			return c
		}
	}
	return change{wait: s.nextGrace()}
}

// yield seals an empty epoch if a peer is in an epoch that outranks it.
func (s reconciler) yield() change {
	if !s.empty {
		return change{}
	}
	own := Announcement{Epoch: s.epoch}
	for _, a := range s.peers {
		if a.Epoch.IsZero() || a.Epoch == s.epoch || a.Phase == Leaving {
			continue
		}
		if outranks(a, own) {
			return change{kind: changeSeal, why: fmt.Sprintf("it is empty, and epoch %s exists", a.Epoch)}
		}
	}
	return change{}
}

// removeReplaced removes the former replicas of peers that have a later incarnation. A replica
// that lost its votes must not vote again.
func (s reconciler) removeReplaced() change {
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

// raise raises the level of the schema by one, until it is the level that the members' machines
// support. Members with other levels have no bond with this one, and a leader has bonds with
// most voters, so most voters support the level. It comes before open, so that the first
// commands can use the highest level.
func (s reconciler) raise() change {
	if s.level >= s.supportedLevel || s.stepDownReason != "" {
		return change{}
	}
	return change{kind: changeRaise, level: s.level + 1, why: fmt.Sprintf("to level %d of %d, which all members support", s.level+1, s.supportedLevel)}
}

// open makes the epoch accept commands once it has enough voters that know that they vote. Such
// a voter is bound to the epoch. A voter that does not know may still give it up for another.
func (s reconciler) open() change {
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

// add adds peers that joined the epoch, as non-voting.
func (s reconciler) add() change {
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		if a.Epoch != s.epoch || a.Phase == Leaving {
			continue
		}
		replica := a.replica(peer)
		if _, removed := s.members.Removed[replica]; removed || has(s.members, replica) {
			continue
		}
		return change{kind: changeAdd, replica: replica, peer: peer, why: "it joined"}
	}
	return change{}
}

// promote makes members voters that have caught up, while there are fewer voters than there
// should be. Before the epoch is open, it stops at the floor: fewer voters make an epoch easier
// to give up. After that, a voter that cannot be reached is no reason to have more voters: if
// it is dead, a spare must be left to replace it.
func (s reconciler) promote() change {
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
	c.why = fmt.Sprintf("it caught up; voters before: %d", voters)
	return c
}

// demoteObservers removes the votes of observers once there are enough other voters. An observer
// votes only in a group that was recovered from it.
func (s reconciler) demoteObservers() change {
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

// replaceDead replaces a voter that has been missing for longer than the grace, or is provably
// gone. The spare is promoted before the dead voter is removed, so that the group never has
// fewer voters than before. Without a spare nothing happens. Dead non-voting members are
// removed.
func (s reconciler) replaceDead() change {
	for _, replica := range sortedReplicas(s.members.NonVoting) {
		if peer := s.members.NonVoting[replica]; s.dead(replica, peer) {
			return change{kind: changeRemove, replica: replica, peer: peer, why: "a spare " + s.deadReason(replica)}
		}
	}
	for _, replica := range sortedReplicas(s.members.Voters) {
		peer := s.members.Voters[replica]
		if !s.dead(replica, peer) {
			continue
		}
		if voters := len(s.members.Voters); voters%2 == 0 && voters > s.floor() {
			return change{kind: changeRemove, replica: replica, peer: peer, why: s.deadReason(replica) + ", and replaced"}
		}
		if spare, ok := s.spare(); ok {
			spare.why = fmt.Sprintf("it replaces %s, %s", peer.Short(), s.deadReason(replica))
			return spare
		}
	}
	return change{}
}

// makeOdd removes one vote if four or more voters are even in number and all are ready. An even
// number needs a larger quorum and tolerates no more failures. The member becomes a spare.
func (s reconciler) makeOdd() change {
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
			last = change{kind: changeRemove, replica: a.replica(peer), peer: peer, why: "the number of voters is even; it becomes a spare"}
		}
	}
	if voters > 0 {
		return change{} // some voters cannot be reached
	}
	return last
}

// handOverLeadership transfers leadership from a leader that leaves or whose machine is poisoned to
// any other voter, and from a reluctant leader to a voter that is not. The successor then removes a
// leader that leaves.
func (s reconciler) handOverLeadership() change {
	why := s.stepDownReason
	if why == "" {
		if !isReluctant(s.peers[s.self].Role) {
			return change{}
		}
		why = "the leader is reluctant"
	}
	next, ok := s.successor(func(_ sm.PeerID, a Announcement) bool { return s.stepDownReason != "" || !isReluctant(a.Role) })
	switch {
	case next.ready:
		return change{kind: changeTransfer, replica: next.replica, peer: next.peer, why: why}
	case ok || s.stepDownReason == "":
		return change{} // the announcement that it is ready is an event
	}
	if spare, ok := s.spare(); ok {
		spare.why = why
		return spare
	}
	return change{}
}

// deadReason states why a replica counts as dead.
func (s reconciler) deadReason(replica uint64) string {
	if s.gone[replica] != "" {
		return "gone for good"
	}
	return "missing for longer than the grace"
}

// quorumWithout reports whether, without the peer, the voters that can be reached are a quorum
// of the remaining voters.
func (s reconciler) quorumWithout(peer sm.PeerID) bool {
	return s.reachable(peer) > (len(s.members.Voters)-1)/2
}

// reachable returns how many voters other than but can be reached.
func (s reconciler) reachable(but sm.PeerID) int {
	live := 0
	for replica, voter := range s.members.Voters {
		if a, bonded := s.peers[voter]; bonded && voter != but && a.Epoch == s.epoch && a.replica(voter) == replica {
			live++
		}
	}
	return live
}

// floor returns the number of voters that leaving and removal must keep.
func (s reconciler) floor() int { return max(1, floorOf(s.policy), s.policy.MinimumVoters) }

// ready reports whether a member may vote and lead: it has caught up and is not leaving.
func (s reconciler) ready(a Announcement) bool {
	return a.Epoch == s.epoch && a.Phase == CaughtUp && !a.Role.Observer && !a.Poisoned
}

// spares returns the spares that may become voters, in the order in which they are promoted.
func (s reconciler) spares() []sm.PeerID {
	var spares []sm.PeerID
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		if _, ok := s.members.NonVoting[a.replica(peer)]; ok && s.ready(a) {
			spares = append(spares, peer)
		}
	}
	return spares
}

// spare returns the promotion of the first spare, without a reason.
func (s reconciler) spare() (change, bool) {
	spares := s.spares()
	if len(spares) == 0 {
		return change{}, false
	}
	return change{kind: changePromote, replica: s.peers[spares[0]].replica(spares[0]), peer: spares[0]}, true
}

// dead reports whether the peer's replica provably does not run, or the peer has been missing
// for longer than the grace.
func (s reconciler) dead(replica uint64, peer sm.PeerID) bool {
	if s.gone[replica] != "" {
		return true
	}
	left, missing := s.graceLeft(peer, s.policy.Grace)
	return missing && left <= 0
}

// graceLeft returns for how much of a duration a peer without a bond may still be missing.
func (s reconciler) graceLeft(peer sm.PeerID, of time.Duration) (left time.Duration, missing bool) {
	if _, bonded := s.peers[peer]; bonded {
		return 0, false
	}
	seen, ok := s.lastSeen[peer]
	if !ok {
		return 0, false
	}
	return seen.Add(of).Sub(s.now), true
}

// nextGrace returns how long it takes until the next missing member is dead or may be removed,
// 0 for none.
func (s reconciler) nextGrace() time.Duration {
	var next time.Duration
	for _, of := range []time.Duration{s.policy.Grace, s.policy.RemoveAfter} {
		for _, m := range []map[uint64]sm.PeerID{s.members.Voters, s.members.NonVoting} {
			for _, peer := range m {
				if left, missing := s.graceLeft(peer, of); missing && left > 0 && (next == 0 || left < next) {
					next = left
				}
			}
		}
	}
	return next
}

// sortedPeers returns the peers in the order in which they are promoted, so that every leader
// decides the same.
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

// unsettled describes what settling waits for, "" if the group is settled: every bonded member
// belongs to the epoch and has caught up, every voter can be reached, the number of voters is
// right, and the level of the schema is the highest that members support.
func (s reconciler) unsettled() string {
	if s.level < s.supportedLevel {
		return fmt.Sprintf("schema level %d to be raised to %d", s.level, s.supportedLevel)
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
		return fmt.Sprintf("the number of voters to change; it is %d", voters)
	}
	return ""
}

// has reports whether the replica is a voter or a non-voting member.
func has(m engine.Membership, replica uint64) bool {
	_, voter := m.Voters[replica]
	_, nonVoting := m.NonVoting[replica]
	return voter || nonVoting
}
