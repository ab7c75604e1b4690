package group

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrCannotRemove reports a member that must not be removed now. The error that wraps it states
// the reason.
var ErrCannotRemove = fmt.Errorf("%w: the member cannot be removed", ErrPrecondition)

// removal is an operator's request to remove a peer. The group's goroutine owns it.
type removal struct {
	peer   sm.PeerID
	answer chan error   // holds one
	done   func()       // the request no longer counts in the inbox
	ended  func() error // why its context has ended, nil if it has not
}

// Remove removes a peer that cannot be reached from the membership. If there is a spare, it
// replaces a voter first. Only the leader can remove: other members return [ErrNotLeader].
// [ErrCannotRemove] means that the group needs the peer. If ctx ends first, it is not known
// whether the peer will be removed.
func (g *Group) Remove(ctx context.Context, peer sm.PeerID) error {
	answer := make(chan error, 1)
	err := g.inbox.call(ctx, func(done func()) {
		r := &removal{peer, answer, done, func() error { return watch.Cause(ctx) }}
		g.removals = append(g.removals, r)
		g.reconcile()
		if l := g.local; l == nil || !l.leads() {
			g.refuseRemovals(ErrNotLeader)
		}
	})
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		g.inbox.postLatest(keyRemovals, g.dropCancelledRemovals)
		return watch.Cause(ctx)
	case <-g.done:
		return g.Ended()
	}
}

// reply answers the request.
func (r *removal) reply(err error) {
	r.answer <- err
	r.done()
}

// refuseRemovals answers all pending requests with err.
func (g *Group) refuseRemovals(err error) {
	for _, r := range g.removals {
		r.reply(err)
	}
	g.removals = nil
}

// dropCancelledRemovals drops the requests whose callers no longer wait.
func (g *Group) dropCancelledRemovals() {
	g.removals = slices.DeleteFunc(g.removals, func(r *removal) bool {
		err := r.ended()
		if err != nil {
			r.reply(err) // the caller may read this before it looks at its context
		}
		return err != nil
	})
}

// nextChange returns the next change to the membership. Requests of operators come first.
func (g *Group) nextChange(l *localReplica) change {
	g.dropCancelledRemovals()
	s := g.reconciler()
	for len(g.removals) > 0 {
		r := g.removals[0]
		c, err := s.removal(r.peer)
		if err == nil && c.kind != changeNone {
			return c
		}
		r.reply(err)
		g.removals = g.removals[1:]
	}
	return s.next()
}

// removal returns the next change towards a membership without the peer, changeNone if it is no
// member, and an error if the peer must not be removed.
func (s reconciler) removal(peer sm.PeerID) (change, error) {
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
		return refuse("it is this member; call Leave instead")
	}
	if _, bonded := s.peers[peer]; bonded {
		return refuse("it is connected to this member; end its process, or call Leave there")
	}
	remove := change{kind: changeRemove, replica: replica, peer: peer, why: "an operator removes it"}
	voters := len(s.members.Voters)
	if !votes {
		return remove, nil
	}
	if spare, ok := s.spare(); ok && voters%2 == 1 {
		spare.why = fmt.Sprintf("it replaces %s, which an operator removes", peer.Short())
		return spare, nil
	}
	if voters <= s.floor() {
		return refuse("the group has %d voters and must keep %d; start another member first", voters, s.floor())
	}
	if live := s.reachable(peer); !s.quorumWithout(peer) {
		return refuse("only %d of the remaining %d voters can be reached, which is no quorum; "+
			"restart a missing one or start another member first", live, voters-1)
	}
	return remove, nil
}

// replicaAmong returns the peer's replica among members, if it has one.
func replicaAmong(members map[uint64]sm.PeerID, peer sm.PeerID) (uint64, bool) {
	for replica, p := range members {
		if p == peer {
			return replica, true
		}
	}
	return 0, false
}

// removeMissing removes a voter that has been missing for longer than the policy allows without
// a spare to replace it, if the voters that can be reached are a quorum of the rest and the
// group keeps enough voters.
func (s reconciler) removeMissing() change {
	if s.policy.RemoveAfter == 0 || !s.opened {
		return change{}
	}
	for _, replica := range sortedReplicas(s.members.Voters) {
		peer := s.members.Voters[replica]
		left, missing := s.graceLeft(peer, s.policy.RemoveAfter)
		if !missing || left > 0 || len(s.members.Voters) <= s.floor() || !s.quorumWithout(peer) {
			continue
		}
		return change{kind: changeRemove, replica: replica, peer: peer,
			why: fmt.Sprintf("missing for longer than %v without a spare", s.policy.RemoveAfter)}
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
