package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	mustPay(t, groups[0], 1)
	leader := leaderOf(t, c, groups[0])
	for name, node := range map[string]*testutil.Node{"leader": leader, "follower": c.Node((leader.Index() + 1) % 3)} {
		t.Run(name, func(t *testing.T) {
			g := groups[node.Index()]
			c.Isolate(node.Index())
			defer func() {
				c.HealAll()
				testutil.Settle(t, groups...)
			}()
			ctx := soon(t)
			if _, err := g.When().Until(ctx, offline); err != nil {
				t.Fatal(err)
			}
			before := g.AppliedIndex()
			_, err := mosaik.Execute(ctx, g, pay(100))
			wantError(t, "execute", err, mosaik.ErrStalled)
			_, err = mosaik.Query(ctx, g, sum{}, mosaik.Strong)
			wantError(t, "strong read", err, mosaik.ErrStalled)
			weak, err := mosaik.Query(ctx, g, sum{}, mosaik.Weak)
			if err != nil || weak.Index < before {
				t.Errorf("weak read: %+v, error %v; want it to reflect index %d at least", weak, err, before)
			}
			if got, err := mosaik.Query(ctx, g, sum{}, mosaik.AtLeast(before)); err != nil || got != weak {
				t.Errorf("read at command %d: %+v, error %v; want %+v", before, got, err, weak)
			}
			_, err = mosaik.Query(ctx, g, sum{}, mosaik.AtLeast(weak.Index+1))
			wantError(t, "read at a later command", err, mosaik.ErrStalled)
			if g.IsLeader() {
				t.Error("a member without a quorum says that it leads")
			}

			// A caller who waits for less long than elections take gets its
			// context's error.
			short, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errShort)
			defer cancel()
			<-short.Done()
			_, err = mosaik.Query(short, g, sum{}, mosaik.Strong)
			if !errors.Is(err, errShort) && !errors.Is(err, mosaik.ErrStalled) {
				t.Errorf("strong read with an ended context: %v", err)
			}
			_, err = mosaik.Execute(short, g, pay(100))
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, mosaik.ErrStalled) {
				t.Errorf("execute with an ended context: %v", err)
			}
			if mosaik.OutcomeOf(err) == mosaik.Applied {
				t.Errorf("execute with an ended context does not say what is known: %v", err)
			}
		})
	}
	// What was on its way is applied once or not at all, before what follows it,
	// and everywhere alike.
	for _, g := range groups {
		mustPay(t, g, 1)
	}
	got, err := mosaik.Query(soon(t), groups[0], sum{}, mosaik.Strong)
	if err != nil {
		t.Fatal(err)
	}
	if hundreds := got.Value - 4; hundreds%100 != 0 || hundreds > 400 {
		t.Errorf("in the end the sum is %d, want 4 and at most four times 100", got.Value)
	}
	wantSum(t, got.Value, groups...)
}

func TestExpectedMembersKeepTheEpochClosed(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	join := func(n *testutil.Node) tillGroup {
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(three).
			WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None})))
	}
	lone := join(c.Node(0))
	if _, err := lone.When().Until(soon(t), ledBy(c.Node(0).Peer())); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, voters(c.Node(0)), lone)
	for range 10 { // it has every reason to open, but for its number
		_, err := mosaik.Execute(soon(t), lone, pay(1))
		wantError(t, "execute on one of three", err, mosaik.ErrForming)
		wantOutcome(t, "execute on one of three", err, mosaik.NotApplied)
	}

	// Two of the three could be a group elsewhere, of which it knows nothing.
	_, err := mosaik.Query(soon(t), lone, sum{}, mosaik.Strong)
	wantError(t, "strong read on one of three", err, mosaik.ErrForming)

	// What waits for the group to form goes on when the second comes.
	opened := make(chan error, 1)
	ctx := soon(t)
	go func() { opened <- lone.When().Online(ctx) }()
	second := join(c.Node(1))
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if err := second.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	if got := mustPay(t, second, 1); got != 1 {
		t.Errorf("the first sum is %d, want 1", got)
	}
	testutil.Settle(t, lone, second)
	wantMembers(t, voters(nodes(c, nil)...), lone, second)
	wantSum(t, 1, lone, second)
}

// Members that were apart at birth make an epoch each. While one of them is
// empty they become one when they meet.
func TestLoneEpochsMerge(t *testing.T) {
	t.Parallel()
	for name, pays := range map[string]int{"both empty": 0, "one with commands": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 2)
			c.Cut(0, 1)
			var groups []tillGroup
			for i := range 2 {
				n := c.Node(i)
				groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).
					WithMembership(consensus.Policy{}).
					WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None}))))
			}
			for _, g := range groups {
				if _, err := g.When().Leading(soon(t)); err != nil {
					t.Fatal(err)
				}
				if err := g.When().Online(soon(t)); err != nil {
					t.Fatal(err)
				}
			}
			for range pays {
				mustPay(t, groups[1], 5)
			}
			c.Heal(0, 1)
			ctx := soon(t)
			for _, g := range groups {
				if _, err := g.When().Until(ctx, bonded(g, 1)); err != nil {
					t.Fatal(err)
				}
			}
			testutil.Settle(t, groups...)
			leader := leaderOf(t, c, groups[0])
			if _, err := groups[1].When().Until(ctx, ledBy(leader.Peer())); err != nil {
				t.Fatal(err)
			}
			spare := c.Node(1 - leader.Index())
			wantMembers(t, append(voters(leader), consensus.Member{Peer: spare.Peer(), CaughtUp: true, Bonded: true}), groups...)
			for _, g := range groups {
				mustPay(t, g, 1)
			}
			wantSum(t, int64(5*pays+2), groups...)
		})
	}
}
