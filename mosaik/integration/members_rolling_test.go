package integration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

type electionGroup = *mosaik.Group[struct{}, sm.NoOp]

// patient is a policy whose grace no test waits for.
func patient(expected int) consensus.Policy {
	return consensus.Policy{Expected: expected, Grace: time.Hour}
}

func elect(n *testutil.Node, p consensus.Policy) electionGroup {
	return testutil.JoinWith(n, n.Builder().WithMembership(p))
}

// electAll lets all nodes join the election and waits until it has settled.
func electAll(t testing.TB, c *testutil.Cluster, p consensus.Policy) (groups []electionGroup) {
	t.Helper()
	for i := range c.Len() {
		groups = append(groups, elect(c.Node(i), p))
	}
	testutil.Settle(t, groups...)
	return groups
}

// TestRollingRestart restarts the processes of a leader election one after the
// other, twice round, in each way in which processes without a directory end and
// come back. The group never waits for a grace, and tokens never go back.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	for _, expected := range []int{0, 3} {
		for _, end := range []string{"crash", "close"} {
			for _, back := range []string{"as itself", "anew"} {
				t.Run(fmt.Sprintf("expected %d %s %s", expected, end, back), func(t *testing.T) {
					t.Parallel()
					c := testutil.NewCluster(t, 3)
					policy := patient(expected)
					groups := electAll(t, c, policy)
					var token uint64
					for i := range 2 * c.Len() {
						token = max(token, tokenOf(t, groups))
						n := c.Node(i % c.Len())
						restart(n, end, back)
						groups[n.Index()] = elect(n, policy)
						testutil.Settle(t, groups...)
						if got := tokenOf(t, groups); got < token {
							t.Errorf("after restart %d the token is %d, %d before", i, got, token)
						}
					}
				})
			}
		}
	}
}

func restart(n *testutil.Node, end, back string) {
	if end == "crash" {
		n.Crash()
	} else {
		n.Close()
	}
	if back == "anew" {
		n.RestartAnew()
	} else {
		n.Restart()
	}
}

// tokenOf returns the leader's token.
func tokenOf(t testing.TB, groups []electionGroup) uint64 {
	t.Helper()
	ctx := soon(t)
	for {
		if _, err := groups[0].When().Until(ctx, led); err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if l, ok := g.Leadership(); ok {
				return l.Token
			}
		}
	}
}

// TestLastVoterContinues ends all voters but one for good. A group that only elects
// a leader continues by itself, and so does one with commands that opted in; another
// one says who is missing and what an operator can do.
func TestLastVoterContinues(t *testing.T) {
	t.Parallel()
	for _, opts := range []bool{false, true} {
		t.Run(fmt.Sprintf("opted in %v", opts), func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 3)
			policy := patient(3)
			policy.ContinueAlone = opts
			join := func(n *testutil.Node) tillGroup {
				return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(policy))
			}
			var groups []tillGroup
			for i := range 3 {
				groups = append(groups, join(c.Node(i)))
			}
			testutil.Settle(t, groups...)
			mustPay(t, groups[0], 5)
			for _, g := range groups {
				if _, err := mosaik.Query(soon(t), g, sum{}, mosaik.AtLeast(1)); err != nil {
					t.Fatal(err)
				}
			}
			epoch := groups[0].Status().Epoch
			for _, i := range []int{1, 2} {
				c.Node(i).Crash()
			}
			for _, i := range []int{1, 2} {
				c.Node(i).Restart()
				groups[i] = join(c.Node(i))
			}
			if opts {
				testutil.Settle(t, groups...)
				if s := groups[0].Status(); s.Recoveries != 1 || len(s.Ghosts) != 0 {
					t.Errorf("the epoch continues %d, want 1; ghosts %+v", s.Recoveries, s.Ghosts)
				}
				wantSum(t, 5, groups...)
				return
			}
			awaitStatus(t, groups[0], "that names both as gone", func(s consensus.Status) bool {
				unknown := func(g consensus.Ghost) bool { return g.Gone == "" || !strings.Contains(g.Cost, "Recover") }
				return s.Stalled && len(s.Ghosts) == 2 && !slices.ContainsFunc(s.Ghosts, unknown)
			})
			if s := groups[0].Status(); s.Epoch != epoch || !s.Stalled {
				t.Errorf("the group has gone on: %s", tell(s))
			}
			if err := groups[0].Recover(soon(t)); err != nil {
				t.Fatal(err)
			}
			testutil.Settle(t, groups...)
			wantSum(t, 5, groups...)
		})
	}
}

// TestGoodbyeFreesTheLastVoter lets two of three voters leave, the second of which is
// needed. The last one continues, and accepts nothing before another member has come.
func TestGoodbyeFreesTheLastVoter(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	policy := patient(3)
	groups := electAll(t, c, policy)
	old := groups[0].Status().Epoch
	if err := groups[2].Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	err := groups[1].Leave(soon(t))
	wantError(t, "leave", err, mosaik.ErrVoteNeeded)
	s := awaitStatus(t, groups[0], "of another epoch", func(s consensus.Status) bool {
		return s.Epoch != old && s.Recoveries == 1 && s.Leader == c.Node(0).Peer()
	})
	if s.AcceptsCommands {
		t.Error("one of three accepts commands")
	}
	c.Node(1).Crash()
	c.Node(1).RestartAnew()
	groups[1] = elect(c.Node(1), policy)
	testutil.Settle(t, groups[:2]...)
}

// TestSurvivorsApart ends three of five voters, which come back without what they
// knew, and cuts the two survivors off from each other. Either could be the last
// one; neither may continue.
func TestSurvivorsApart(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 5)
	policy := patient(5)
	groups := electAll(t, c, policy)
	epoch := groups[0].Status().Epoch
	for i := 2; i < 5; i++ {
		c.Node(i).Crash()
	}
	c.Cut(0, 1)
	for i := 2; i < 5; i++ {
		c.Node(i).Restart()
		groups[i] = elect(c.Node(i), policy)
	}
	for _, g := range groups[:2] {
		s := awaitStatus(t, g, "that names three as gone", func(s consensus.Status) bool {
			gone := 0
			for _, ghost := range s.Ghosts {
				if ghost.Gone != "" {
					gone++
				}
			}
			return gone == 3 && len(s.Ghosts) == 4
		})
		if s.Epoch != epoch {
			t.Errorf("a survivor of two has begun another epoch: %s", tell(s))
		}
	}
	c.Heal(0, 1)
	if err := groups[0].Recover(soon(t)); err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, groups...)
}

// awaitStatus waits for a status of the member that is so.
func awaitStatus(t testing.TB, g interface{ When() mosaik.When }, what string, so func(consensus.Status) bool) (last consensus.Status) {
	t.Helper()
	for last = range g.When().Statuses(soon(t)) {
		if so(last) {
			return last
		}
	}
	t.Fatalf("no status %s; the last: %s", what, tell(last))
	return last
}
