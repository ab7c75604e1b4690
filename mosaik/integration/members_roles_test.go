package integration_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestReluctantLeaderHandsOn(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	b := mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithMembership(consensus.Policy{})
	reluctant := testutil.JoinWith(c.Node(0), b.WithRole(consensus.Role{Reluctance: 3}))
	testutil.Settle(t, reluctant)
	mustPay(t, reluctant, 1)
	groups := []tillGroup{reluctant}
	for range 2 {
		n := c.Add()
		groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(consensus.Policy{})))
	}
	s, err := reluctant.When().Until(soon(t), ledByOtherThan(c.Node(0).Peer()))
	if err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, groups...)
	mustPay(t, reluctant, 2)
	wantSum(t, 3, groups...)
	if now := reluctant.Status().Leader; now != s.Leader {
		t.Errorf("the leadership went from %s to %s", s.Leader.Short(), now.Short())
	}
}

func TestLeaveThatTheGroupCannotAllow(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	mustPay(t, groups[0], 1)
	if err := groups[2].Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, groups[:2]...)
	// Of three that are expected two are needed.
	wantError(t, "leave", groups[1].Leave(t.Context()), mosaik.ErrVoteNeeded)
	_, err := mosaik.Execute(soon(t), groups[0], pay(1))
	wantError(t, "execute on the last one", err, mosaik.ErrStalled)
	wantError(t, "leave the stalled group", groups[0].Leave(t.Context()), mosaik.ErrStalled)
}

func TestEvenVotersBecomeOdd(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 5)
	groups := make([]tillGroup, c.Len())
	for i := range groups {
		groups[i] = joinThree(c.Node(i))
	}
	testutil.Settle(t, groups...)
	voters := func(want int) {
		t.Helper()
		testutil.Settle(t, groups...)
		if _, err := groups[0].When().Until(soon(t), func(s consensus.Status) bool {
			n := 0
			for _, m := range s.Members {
				if m.Voter {
					n++
				}
			}
			return s.Settled && n == want && len(s.Members) == len(groups)
		}); err != nil {
			t.Fatalf("%d voters: %v; members %+v", want, err, groups[0].Status().Members)
		}
	}
	voters(5)
	if err := groups[4].Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	groups = groups[:4]
	voters(3)
	mustPay(t, groups[3], 1)
	wantSum(t, 1, groups...)
}

// A leader hands on the lead while commands go on. A request that got lost would
// cost an election timeout, of which the test has time for two.
func TestTransferUnderLoad(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := make([]tillGroup, c.Len())
	for i := range groups {
		n := c.Node(i)
		groups[i] = testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).
			WithConsensusConfig(fast(consensus.Config{ElectionTimeout: 20 * time.Second})))
	}
	testutil.Settle(t, groups...)
	ctx := soon(t)
	load, stop := context.WithCancel(ctx)
	var callers sync.WaitGroup
	for _, g := range groups {
		for range 4 {
			callers.Go(func() {
				for load.Err() == nil {
					if _, err := mosaik.Execute(load, g, pay(1)); err != nil && load.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	defer callers.Wait()
	defer stop()
	for range 12 {
		leader := leaderOf(t, c, groups[0])
		to := (leader.Index() + 1) % 3
		if err := groups[leader.Index()].TransferLeadership(ctx, c.Node(to).Peer()); err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if _, err := g.When().Until(ctx, ledBy(c.Node(to).Peer())); err != nil {
				t.Fatal(err)
			}
		}
	}
}
