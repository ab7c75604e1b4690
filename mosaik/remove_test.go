package mosaik_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/testutil"
)

// wantUnremovable fails the test unless err says in words why a member is not removed.
func wantUnremovable(t *testing.T, what string, err error, words string) {
	t.Helper()
	wantError(t, what, err, mosaik.ErrCannotRemove)
	if err != nil && !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v; want it to say %q", what, err, words)
	}
}

// TestRemove removes voters that do not come back, and refuses where the group
// would suffer.
func TestRemove(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 5)
	groups := electAll(t, c, patient(5).WithMinimumVoters(3))
	leader := leaderOf(t, c, groups[0])
	g := groups[leader.Index()]
	others := nodes(c, leader)
	ctx := soon(t)

	wantUnremovable(t, "remove oneself", g.Remove(ctx, leader.Peer()), "call Leave")
	wantUnremovable(t, "remove a member that is here", g.Remove(ctx, others[0].Peer()), "connected")
	wantError(t, "remove on a follower", groups[others[0].Index()].Remove(ctx, others[1].Peer()), mosaik.ErrNotLeader)
	if err := g.Remove(ctx, mosaik.PeerID{1}); err != nil {
		t.Errorf("remove a peer that is no member: %v", err)
	}

	// With five voters, three of which must stay, one can go, and a second. The
	// third cannot: a newcomer must take its place first.
	c.Node(others[3].Index()).Crash()
	remove(t, g, others[3].Peer())
	wantMembers(t, voters(leader, others[0], others[1], others[2]), g)
	c.Node(others[2].Index()).Crash()
	remove(t, g, others[2].Peer())
	wantMembers(t, voters(leader, others[0], others[1]), g)
	c.Node(others[1].Index()).Crash()
	awaitLost(t, g, others[1].Peer())
	wantUnremovable(t, "remove one of three", g.Remove(ctx, others[1].Peer()), "must keep 3; start another member first")
	ghost := ghostOf(t, g, others[1].Peer())
	if !strings.Contains(ghost.Cost, "of 3 voters 2 are needed and 2 can be reached") || !strings.Contains(ghost.Cost, "call Remove") {
		t.Errorf("the ghost costs: %s", ghost.Cost)
	}
	n := c.Node(others[3].Index())
	n.RestartAnew()
	back := elect(n, patient(5).WithMinimumVoters(3))
	testutil.Settle(t, g, back)
	wantMembers(t, voters(leader, others[0], n), g, back)

	// Without a quorum nobody can be removed.
	n.Crash()
	others[0].Crash()
	for s := range g.When().Statuses(ctx) {
		if s.Stalled {
			break
		}
	}
	wantError(t, "remove without a quorum", g.Remove(ctx, n.Peer()), mosaik.ErrNotLeader)
}

// awaitLost waits until the member has no bond with the peer.
func awaitLost(t *testing.T, g electionGroup, peer mosaik.PeerID) {
	t.Helper()
	bonded := func(m mosaik.Member) bool { return m.Peer == peer && m.Bonded }
	for s := range g.When().Statuses(soon(t)) {
		if !slices.ContainsFunc(s.Members, bonded) {
			return
		}
	}
	t.Fatalf("the bond with %s does not end", peer.Short())
}

// remove removes a peer once its bond has ended.
func remove(t *testing.T, g electionGroup, peer mosaik.PeerID) {
	t.Helper()
	awaitLost(t, g, peer)
	if err := g.Remove(soon(t), peer); err != nil {
		t.Fatalf("remove: %v", err)
	}
}

// ghostOf waits until the member names the peer as a ghost.
func ghostOf(t *testing.T, g electionGroup, peer mosaik.PeerID) mosaik.Ghost {
	t.Helper()
	for s := range g.When().Statuses(soon(t)) {
		if i := slices.IndexFunc(s.Ghosts, func(g mosaik.Ghost) bool { return g.Peer == peer }); i >= 0 {
			return s.Ghosts[i]
		}
	}
	t.Fatalf("%s is no ghost", peer.Short())
	return mosaik.Ghost{}
}

// TestRemoveAfter loses voters one by one that nobody can prove to be gone. Where
// the policy says so they lose their vote, as long as enough are left.
func TestRemoveAfter(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 5)
	policy := mosaik.DefaultPolicy().WithMinimumVoters(2).WithGrace(time.Millisecond).WithRemoveAfter(100 * time.Millisecond)
	groups := electAll(t, c, policy)
	leader := leaderOf(t, c, groups[0])
	g := groups[leader.Index()]
	others := nodes(c, leader)
	for i := len(others) - 1; i > 0; i-- {
		c.Isolate(others[i].Index())
		for s := range g.When().Statuses(soon(t)) {
			if s.Leader == leader.Peer() && !slices.ContainsFunc(s.Members, func(m mosaik.Member) bool { return m.Peer == others[i].Peer() }) {
				break
			}
		}
	}
	wantMembers(t, voters(leader, others[0]), g)
	c.HealAll()
	testutil.Settle(t, groups...)
}
