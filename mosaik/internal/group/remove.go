package group

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrCannotRemove reports a member that must not be removed now; what it is
// wrapped in says why.
var ErrCannotRemove = fmt.Errorf("%w: the member cannot be removed", ErrPrecondition)

// removal is an operator's wish that a peer be no member. The loop owns it.
type removal struct {
	peer   sm.PeerID
	answer chan error // holds one
}

// Remove removes a peer that cannot be reached from the membership, and lets a
// spare take its vote first where there is one. Only the leader can: others
// return [ErrNotLeader]. [ErrCannotRemove] says why the peer must not go. When the
// context ends first it is not known whether the peer is removed.
func (g *Group) Remove(ctx context.Context, peer sm.PeerID) error {
	r := &removal{peer: peer, answer: make(chan error, 1)}
	g.inbox.post(func() {
		g.removals = append(g.removals, r)
		g.reconcile()
		if l := g.life; l == nil || !l.leads() {
			g.refuseRemovals(ErrNotLeader)
		}
	})
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		g.inbox.post(func() {
			g.removals = slices.DeleteFunc(g.removals, func(o *removal) bool { return o == r })
		})
		return watch.Cause(ctx)
	case <-g.done:
		return g.Ended()
	}
}

// refuseRemovals answers all wishes that are left.
func (g *Group) refuseRemovals(err error) {
	for _, r := range g.removals {
		r.answer <- err
	}
	g.removals = nil
}

// nextChange returns the next change to the membership. What an operator asks for
// comes before what the group does by itself.
func (g *Group) nextChange(l *life) change {
	s := g.steward()
	for len(g.removals) > 0 {
		r := g.removals[0]
		c, err := s.removal(r.peer)
		if err == nil && c.kind != changeNone {
			return c
		}
		r.answer <- err
		g.removals = g.removals[1:]
	}
	return s.next()
}

// removal returns the next change on the way to a membership without the peer,
// none if there is one already, and an error if the peer must not go.
func (s steward) removal(peer sm.PeerID) (change, error) {
	refuse := func(format string, args ...any) (change, error) {
		return change{}, fmt.Errorf("%w: %s: %s", ErrCannotRemove, peer.Short(), fmt.Sprintf(format, args...))
	}
	replica, votes := replicaAmong(s.members.Voters, peer)
	if !votes {
		spare, member := replicaAmong(s.members.NonVoting, peer)
		if !member {
			return change{}, nil
		}
		replica = spare
	}
	if peer == s.self {
		return refuse("it is this member itself, which must call Leave")
	}
	if _, bonded := s.peers[peer]; bonded {
		return refuse("it is connected to this member; end its process, or let it call Leave")
	}
	remove := change{kind: changeRemove, replica: replica, peer: peer, why: "an operator removes it"}
	voters := len(s.members.Voters)
	if !votes {
		return remove, nil
	}
	if spare, ok := s.spare(); ok && voters%2 == 1 {
		spare.why = fmt.Sprintf("takes the place of %s, which an operator removes", peer.Short())
		return spare, nil
	}
	if voters <= s.floor() {
		return refuse("the group has %d voters and must keep %d; start another member first, which takes its place", voters, s.floor())
	}
	if live := s.reachable(peer); !s.quorumWithout(peer) {
		return refuse("of the %d voters that were left only %d can be reached, which is no quorum; "+
			"bring one back or start another member first", voters-1, live)
	}
	return remove, nil
}

// replicaAmong returns the peer's replica among members.
func replicaAmong(members map[uint64]sm.PeerID, peer sm.PeerID) (uint64, bool) {
	for replica, p := range members {
		if p == peer {
			return replica, true
		}
	}
	return 0, false
}

// removeAbandoned removes a voter that was missed for longer than the policy
// allows though no spare took its place, as long as those who can be reached are
// a quorum of the rest, and no fewer than the group must keep.
func (s steward) removeAbandoned() change {
	if s.policy.RemoveAfter == 0 || !s.opened {
		return change{}
	}
	for _, replica := range sortedReplicas(s.members.Voters) {
		peer := s.members.Voters[replica]
		left, missing := s.left(peer, s.policy.RemoveAfter)
		if !missing || left > 0 || len(s.members.Voters) <= s.floor() || !s.quorumWithout(peer) {
			continue
		}
		return change{kind: changeRemove, replica: replica, peer: peer,
			why: fmt.Sprintf("missed for longer than %v, and nobody took its place", s.policy.RemoveAfter)}
	}
	return change{}
}

// shortNames joins the short forms of peers.
func shortNames(peers []sm.PeerID) string {
	short := make([]string, len(peers))
	for i, p := range peers {
		short[i] = p.Short()
	}
	return strings.Join(short, ", ")
}
