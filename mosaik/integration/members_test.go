package integration_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// three is the membership of groups that begin with three members and grow.
var three = consensus.Policy{Expected: 3}

func joinThree(n *testutil.Node) tillGroup {
	return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(three))
}

func TestLostLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testutil.Node){
		"crashed": (*testutil.Node).Crash,
		"closed":  (*testutil.Node).Close,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 3)
			groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
			testutil.Settle(t, groups...)
			leader := leaderOf(t, c, groups[0])
			mustPay(t, groups[leader.Index()], 3)
			mustPay(t, groups[leader.Index()], 4)
			rest := without(groups, leader)
			if _, err := mosaik.Execute(soon(t), rest[0], take(2)); err != nil {
				t.Fatal(err)
			}

			end(leader)
			next := newLeader(t, c, rest[0], leader)
			if _, err := rest[1].When().Until(soon(t), ledBy(next.Peer())); err != nil {
				t.Error(err)
			}
			mustPay(t, rest[0], 10)
			mustPay(t, rest[1], 20)
			wantSum(t, 35, rest...)
			wantHistory(t, []int64{3, 4, -2, 10, 20}, rest...)

			late := joinThree(c.Add())
			if _, err := late.When().Until(soon(t), ledBy(next.Peer())); err != nil {
				t.Error(err)
			}
			wantSum(t, 35, late)
		})
	}
}

func TestLateJoinersCatchUp(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	testutil.Settle(t, groups...)
	feed := func(g tillGroup, n int) {
		t.Helper()
		var last *mosaik.Pending
		for range n {
			var err error
			if last, err = g.Feed(soon(t), step{"pay", 1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := last.Wait(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	feed(groups[1], 200)
	for joiner := range 2 {
		late := joinThree(c.Add())
		if err := late.When().Online(soon(t)); err != nil {
			t.Fatal(err)
		}
		want := int64(200 * (joiner + 1))
		weak, err := mosaik.Query(soon(t), late, sum{}, mosaik.Weak)
		if err != nil || weak.Value != want {
			t.Errorf("an online joiner knows %d, error %v; want %d", weak.Value, err, want)
		}
		feed(late, 200)
		groups = append(groups, late)
		wantSum(t, want+200, groups...)
	}
	if got := groups[0].AppliedIndex(); got < 600 {
		t.Errorf("the first member has applied %d commands, want 600", got)
	}
}

func TestObserverReplicatesAndNeverVotes(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 4)
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	n := c.Node(3)
	observer := testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).
		WithMembership(three).WithRole(consensus.Role{Observer: true}))
	groups = append(groups, observer)
	testutil.Settle(t, groups...)

	mustPay(t, groups[0], 1)
	mustPay(t, observer, 2)
	wantSum(t, 3, groups...)
	wantMembers(t, append(voters(c.Node(0), c.Node(1), c.Node(2)),
		consensus.Member{Peer: n.Peer(), Observer: true, CaughtUp: true, Bonded: true}), groups...)
	for i, g := range groups {
		if got := g.Status().Members; got[3].Peer != n.Peer() {
			t.Errorf("node %d lists its members as %+v, want voters first", i, got)
		}
	}
}

// An observer takes no part in elections, but must notice that there is no
// leader any more.
func TestObserverNoticesTheLossOfTheQuorum(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 4)
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	observer := testutil.JoinWith(c.Node(3), mosaik.WithStateMachine(c.Node(3).Builder(), newTill).
		WithMembership(three).WithRole(consensus.Role{Observer: true}))
	testutil.Settle(t, append(groups, observer)...)
	mustPay(t, observer, 1)
	leader := leaderOf(t, c, observer)
	c.Node((leader.Index() + 1) % 3).Crash()
	c.Node((leader.Index() + 2) % 3).Crash()

	ctx := soon(t)
	if _, err := observer.When().Until(ctx, offline); err != nil {
		t.Fatal(err)
	}
	_, err := mosaik.Execute(ctx, observer, pay(1))
	wantError(t, "execute without a quorum", err, mosaik.ErrStalled)
	_, err = mosaik.Query(ctx, observer, sum{}, mosaik.Strong)
	wantError(t, "strong read without a quorum", err, mosaik.ErrStalled)
	weak, err := mosaik.Query(ctx, observer, sum{}, mosaik.Weak)
	if err != nil || weak.Value != 1 {
		t.Errorf("weak read without a quorum: %+v, error %v; want 1", weak, err)
	}
	if s := observer.Status(); led(s) {
		t.Errorf("the observer says that %s leads, want no leader", s.Leader.Short())
	}
}

func TestOverlappingGroups(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 4)
	keys := []mosaik.GroupKey{mosaik.RandomKey(), mosaik.RandomKey(), mosaik.RandomKey()}
	groups := make([][]tillGroup, len(keys))
	for k, key := range keys {
		for i := range 4 {
			if i == k {
				continue // each group lacks another node, and the last node is in all
			}
			n := c.Node(i)
			b := n.Net().Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus()).WithMembership(three)
			groups[k] = append(groups[k], testutil.JoinWith(n, mosaik.WithStateMachine(b, newTill)))
		}
	}
	for k := range groups {
		testutil.Settle(t, groups[k]...)
		for i, g := range groups[k] {
			mustPay(t, g, int64(100*(k+1)+i))
			if _, err := g.When().Until(soon(t), bonded(g, 2)); err != nil {
				t.Error(err)
			}
		}
	}
	for k := range groups {
		base := int64(100 * (k + 1))
		wantHistory(t, []int64{base, base + 1, base + 2}, groups[k]...)
		for _, g := range groups[k] {
			var peers []sm.PeerID
			for _, b := range g.Bonds() {
				peers = append(peers, b.Peer)
			}
			if len(peers) != 2 || slices.Contains(peers, c.Node(k).Peer()) {
				t.Errorf("group %d has bonds with %v; want two, none of them with node %d", k, peers, k)
			}
		}
	}
	for i := range 4 {
		if peers := c.Node(i).Net().Peers(); len(peers) != 3 {
			t.Errorf("node %d knows %d peers, want 3", i, len(peers))
		}
	}
}

// electorate is a group without state.
type electorate = mosaik.Group[struct{}, sm.NoOp]

func TestLeaderElectionOnly(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	var groups []*electorate
	for i := range 3 {
		g, err := c.Node(i).Builder().Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Leave(gone()) })
		groups = append(groups, g)
	}
	testutil.Settle(t, groups...)
	leader := leaderOf(t, c, groups[0])
	for _, g := range groups {
		if _, err := g.When().Until(soon(t), ledBy(leader.Peer())); err != nil {
			t.Error(err)
		}
	}
	if _, err := groups[leader.Index()].When().Leading(soon(t)); err != nil {
		t.Error(err)
	}
	if _, err := groups[(leader.Index()+1)%3].When().Until(soon(t), follows(groups[(leader.Index()+1)%3])); err != nil {
		t.Error(err)
	}
	if err := groups[leader.Index()].Leave(soon(t)); err != nil {
		t.Error(err)
	}
	newLeader(t, c, groups[(leader.Index()+1)%3], leader)
}

// gone returns a context that has ended: a leave with it waits for nobody.
func gone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Whoever leads an epoch that accepts nothing yet may be one of several, and does
// not lead for the world outside.
func TestNobodyLeadsAGroupThatForms(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := []tillGroup{testutil.Join(c.Node(0), newTill)}
	first := groups[0]
	if _, err := first.When().Until(soon(t), ledBy(c.Node(0).Peer())); err != nil {
		t.Fatal(err)
	}
	if lead, ok := first.Leadership(); ok || first.IsLeader() {
		t.Errorf("a lone member of three leads, with %+v", lead)
	}
	if _, err := first.When().Until(soon(t), follows(first)); err != nil {
		t.Error(err)
	}
	_, err := first.When().Leading(gone())
	wantMessage(t, "wait until it leads", err, "to be led by this member, which waits for enough voters to accept commands: 2 are needed")
	for i := 1; i < c.Len(); i++ {
		groups = append(groups, testutil.Join(c.Node(i), newTill))
	}
	testutil.Settle(t, groups...)
	leader := leaderOf(t, c, first).Index()
	if _, err := groups[leader].When().Leading(soon(t)); err != nil {
		t.Fatal(err)
	}
	if lead, ok := groups[leader].Leadership(); !ok || lead.Token == 0 {
		t.Errorf("the leader's claim is %+v, %t", lead, ok)
	}
}

// A memory member that crashed and comes back under its name is a new replica;
// the old one, which may have voted for things it forgot, is a member no more.
func TestReturningMemoryMemberIsANewReplica(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	mustPay(t, groups[0], 1)
	crashed := leaderOf(t, c, groups[0])
	crashed.Crash()
	rest := without(groups, crashed)
	newLeader(t, c, rest[0], crashed)
	mustPay(t, rest[0], 2)

	crashed.Restart()
	groups[crashed.Index()] = testutil.Join(crashed, newTill)
	testutil.Settle(t, groups...)
	wantHistory(t, []int64{1, 2}, groups...)
	wantMembers(t, voters(nodes(c, nil)...), groups...)
}

// A voter that stays away for longer than the grace loses its place to a spare.
func TestSpareReplacesDeadVoter(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 4)
	policy := consensus.Policy{Expected: 4, MaximumVoters: 3, Grace: 200 * time.Millisecond}
	var groups []tillGroup
	for i := range 4 {
		n := c.Node(i)
		groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(policy)))
	}
	testutil.Settle(t, groups...)
	mustPay(t, groups[0], 1)
	leader := leaderOf(t, c, groups[0])
	var dead *testutil.Node
	for _, m := range groups[leader.Index()].Status().Members {
		if m.Voter && m.Peer != leader.Peer() {
			dead = c.NodeOf(m.Peer)
		}
	}
	dead.Crash()
	rest := without(groups, dead)
	testutil.Settle(t, rest...)
	wantMembers(t, voters(nodes(c, dead)...), rest...)
	mustPay(t, rest[0], 1)
	wantSum(t, 2, rest...)
}
