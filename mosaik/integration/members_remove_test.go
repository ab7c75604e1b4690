package integration_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// wantUnremovable fails the test unless err says in words why a member is not removed.
func wantUnremovable(t *testing.T, what string, err error, words string) {
	t.Helper()
	wantError(t, what, err, mosaik.ErrPrecondition)
	if err != nil && !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v; want it to say %q", what, err, words)
	}
}

// TestRemove removes a voter that does not come back, and refuses where the group
// would suffer.
func TestRemove(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := electAll(t, c, patient(3))
	leader := leaderOf(t, c, groups[0])
	g := groups[leader.Index()]
	others := nodes(c, leader)
	ctx := soon(t)

	wantUnremovable(t, "remove oneself", g.Remove(ctx, leader.Peer()), "call Leave")
	wantUnremovable(t, "remove a member that is here", g.Remove(ctx, others[0].Peer()), "connected")
	wantError(t, "remove on a follower", groups[others[0].Index()].Remove(ctx, others[1].Peer()), mosaik.ErrNotLeader)
	if err := g.Remove(ctx, sm.PeerID{1}); err != nil {
		t.Errorf("remove a peer that is no member: %v", err)
	}

	gone := others[1].Peer()
	others[1].Crash()
	awaitLost(t, g, gone)
	if err := g.Remove(ctx, gone); err != nil {
		t.Fatalf("remove: %v", err)
	}
	wantMembers(t, voters(leader, others[0]), g, groups[others[0].Index()])
	if s := g.Status(); len(s.Ghosts) != 0 {
		t.Errorf("ghosts %+v", s.Ghosts)
	}

	// Without a quorum no member can be removed.
	others[0].Crash()
	awaitStatus(t, g, "without a quorum", func(s consensus.Status) bool { return s.Stalled })
	wantError(t, "remove without a quorum", g.Remove(ctx, others[0].Peer()), mosaik.ErrNotLeader)
}

// TestGhost names a dead voter that the group cannot do without, and lets a newcomer
// take its place.
func TestGhost(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	policy := patient(3)
	policy.MinimumVoters = 3
	groups := electAll(t, c, policy)
	leader := leaderOf(t, c, groups[0])
	g := groups[leader.Index()]
	others := nodes(c, leader)
	gone := others[1].Peer()
	others[1].Crash()
	ghost := ghostOf(t, g, gone)
	if !strings.Contains(ghost.Cost, "of 3 voters 2 are needed and 2 can be reached") || !strings.Contains(ghost.Cost, "call Remove") {
		t.Errorf("the ghost costs: %s", ghost.Cost)
	}
	wantUnremovable(t, "remove one of three", g.Remove(soon(t), gone), "must keep 3; start another member first")
	others[1].RestartAnew()
	back := elect(others[1], policy)
	testutil.Settle(t, g, back)
	wantMembers(t, voters(leader, others[0], others[1]), g, back)
}

// awaitLost waits until the member has no bond with the peer.
func awaitLost(t *testing.T, g electionGroup, peer sm.PeerID) {
	t.Helper()
	bonded := func(m consensus.Member) bool { return m.Peer == peer && m.Bonded }
	awaitStatus(t, g, "without a bond with "+peer.Short(), func(s consensus.Status) bool { return !slices.ContainsFunc(s.Members, bonded) })
}

// ghostOf waits until the member names the peer as a ghost.
func ghostOf(t *testing.T, g electionGroup, peer sm.PeerID) consensus.Ghost {
	t.Helper()
	is := func(g consensus.Ghost) bool { return g.Peer == peer }
	s := awaitStatus(t, g, "with the ghost "+peer.Short(), func(s consensus.Status) bool { return slices.ContainsFunc(s.Ghosts, is) })
	return s.Ghosts[slices.IndexFunc(s.Ghosts, is)]
}

// TestRemoveAfter loses voters one by one, without proof that they are gone for good. If the
// policy says so they lose their vote, as long as enough voters are left.
func TestRemoveAfter(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 5)
	policy := consensus.Policy{MinimumVoters: 2, Grace: time.Millisecond, RemoveAfter: 100 * time.Millisecond}
	groups := electAll(t, c, policy)
	leader := leaderOf(t, c, groups[0])
	g := groups[leader.Index()]
	others := nodes(c, leader)
	for i := len(others) - 1; i > 0; i-- {
		c.Isolate(others[i].Index())
		awaitStatus(t, g, "without the voter", func(s consensus.Status) bool {
			return s.Leader == leader.Peer() && !slices.ContainsFunc(s.Members, func(m consensus.Member) bool { return m.Peer == others[i].Peer() })
		})
	}
	wantMembers(t, voters(leader, others[0]), g)
	c.HealAll()
	testutil.Settle(t, groups...)
}
