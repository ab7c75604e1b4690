package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// Histories in which a group that counts who can be reached, rather than who is
// configured, loses what it acknowledged. docs/guarantees.md names the tests of
// the other rules.

// TestBondedMajorityIsNoQuorum loses two of five voters for longer than the
// grace, then cuts the three that are left into two and one. Two bonded members
// of three are no quorum of five, however long the others have been dead.
func TestBondedMajorityIsNoQuorum(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 5)
	policy := consensus.Policy{Expected: 3, Grace: 200 * time.Millisecond}
	var groups []tillGroup
	for i := range 5 {
		n := c.Node(i)
		groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(policy)))
	}
	testutil.Settle(t, groups...)
	leader := leaderOf(t, c, groups[0]).Index()
	pair := []int{leader, (leader + 1) % 5}
	third, dead := (leader+2)%5, []int{(leader + 3) % 5, (leader + 4) % 5}
	ctx := soon(t)
	for _, i := range dead {
		c.Node(i).Crash()
	}
	// The leader has missed them for longer than the grace, and commits what it
	// decides about it, before this.
	if _, err := groups[leader].When().Until(ctx, missed(2)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustPay(t, groups[leader], 1)
	}
	if got := len(voterIDs(groups[leader].Status())); got != 5 {
		t.Errorf("%d voters are configured, want all 5", got)
	}

	c.Isolate(third)
	for _, i := range pair {
		if err := awaitStalled(ctx, groups[i]); err != nil {
			t.Fatalf("node %d does not notice the loss of the quorum: %v", i, err)
		}
		_, err := mosaik.Execute(ctx, groups[i], pay(100))
		wantError(t, "execute on two of five voters", err, mosaik.ErrStalled)
	}
	c.HealAll()
	for _, i := range append(pair, third) {
		if err := groups[i].When().Online(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mustPay(t, groups[third], 1)
}

// TestWipedVoterDoesNotVote restarts a voter that had acknowledged a command and
// forgot it, beside the one that had never heard of it. Were the restarted one
// still a voter, the two would be a quorum that knows nothing.
func TestWipedVoterDoesNotVote(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	leader := leaderOf(t, c, groups[0]).Index()
	wiped, behind := (leader+1)%3, (leader+2)%3
	ctx := soon(t)

	c.Isolate(behind)
	mustPay(t, groups[leader], 1) // which the leader and the next member hold
	c.Isolate(leader)
	c.Node(wiped).Crash()
	c.Heal(wiped, behind)
	c.Node(wiped).Restart()
	groups[wiped] = testutil.Join(c.Node(wiped), newTill)

	for _, i := range []int{behind, wiped} {
		if err := awaitStalled(ctx, groups[i]); err != nil {
			t.Fatalf("node %d does not notice the loss of the quorum: %v", i, err)
		}
		_, err := mosaik.Execute(ctx, groups[i], pay(100))
		wantOutcome(t, "execute without the one that holds the command", err, mosaik.NotApplied)
	}
	c.HealAll()
	testutil.Settle(t, groups...)
	mustPay(t, groups[behind], 10)
	wantHistory(t, []int64{1, 10}, groups...)
}

// awaitStalled waits until a member says that it has no quorum.
func awaitStalled(ctx context.Context, g tillGroup) error {
	_, err := g.When().Until(ctx, stalled)
	return err
}

// missed holds once so many members cannot be reached.
func missed(n int) func(consensus.Status) bool {
	return func(s consensus.Status) bool {
		away := 0
		for _, m := range s.Members {
			if !m.LastSeen.IsZero() {
				away++
			}
		}
		return away >= n
	}
}
