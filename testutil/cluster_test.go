package testutil_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// patience bounds waits that end sooner in every passing test.
const patience = time.Minute

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func led(s consensus.Status) bool { return !s.Leader.IsZero() }

// leaderOf returns the node that leads the group.
func leaderOf(t testing.TB, c *testutil.Cluster, g group) *testutil.Node {
	t.Helper()
	s, err := g.When().Until(soon(t), led)
	if err != nil {
		t.Fatal(err)
	}
	n := c.NodeOf(s.Leader)
	if n == nil {
		t.Fatalf("the leader, %s, is none of the cluster's nodes", s.Leader.Short())
	}
	return n
}

// newLeader waits until the group is led by another than the given node.
func newLeader(t testing.TB, c *testutil.Cluster, g group, old *testutil.Node) *testutil.Node {
	t.Helper()
	s, err := g.When().Until(soon(t), func(s consensus.Status) bool { return led(s) && s.Leader != old.Peer() })
	if err != nil {
		t.Fatal(err)
	}
	return c.NodeOf(s.Leader)
}

// without returns the handles but for one node's.
func without(groups []group, n *testutil.Node) []group {
	var rest []group
	for i, g := range groups {
		if i != n.Index() {
			rest = append(rest, g)
		}
	}
	return rest
}

func TestClusterOfEachSize(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 3; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			groups := testutil.JoinAll(testutil.NewCluster(t, n), newCounter)
			for i, g := range groups {
				if got, want := add(t, g, 1), int64(i+1); got != want {
					t.Errorf("the sum after command %d is %d, want %d", i+1, got, want)
				}
			}
			wantSum(t, int64(n), groups...)
		})
	}
}

func TestCrashAndRestart(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newCounter)
	add(t, groups[0], 1)

	crashed := leaderOf(t, c, groups[0])
	peer, addr := crashed.Net().Self(), crashed.Net().Addr().String()
	crashed.Crash()
	if _, err := groups[crashed.Index()].Execute(t.Context(), 1); !errors.Is(err, mosaik.ErrClosed) {
		t.Errorf("execute on the crashed node: %v, want %v", err, mosaik.ErrClosed)
	}
	rest := without(groups, crashed)
	newLeader(t, c, rest[0], crashed)
	add(t, rest[0], 2)
	wantSum(t, 3, rest...)

	crashed.Restart()
	if got := crashed.Net().Self(); got != peer || crashed.Peer() != peer {
		t.Errorf("after the restart the node is peer %s, want %s", got.Short(), peer.Short())
	}
	if got := crashed.Net().Addr().String(); got != addr || crashed.Addr() != addr {
		t.Errorf("after the restart the node listens on %s, want %s", got, addr)
	}
	groups[crashed.Index()] = testutil.Join(crashed, newCounter)
	testutil.Settle(t, groups...)
	add(t, groups[crashed.Index()], 3)
	wantSum(t, 6, groups...)
}

func TestIsolatedLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newCounter)
	old := leaderOf(t, c, groups[0])
	alone, rest := groups[old.Index()], without(groups, old)

	c.Isolate(old.Index())
	newLeader(t, c, rest[0], old)
	add(t, rest[0], 1)
	if _, err := alone.When().Until(soon(t), func(s consensus.Status) bool { return !s.Online }); err != nil {
		t.Fatal(err)
	}
	weak, err := mosaik.Read(t.Context(), alone, mosaik.Weak, func(c *counter) (int64, error) { return c.sum, nil })
	if err != nil || weak.Value != 0 {
		t.Errorf("the isolated node reads %d, error %v; want 0, as it was cut off before the command", weak.Value, err)
	}

	c.Reconnect(old.Index())
	if err := alone.When().Applied(soon(t), 1); err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, groups...)
	wantSum(t, 1, groups...)
}

func TestCutBetweenFollowersHurtsNobody(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newCounter)
	leader := leaderOf(t, c, groups[0])
	i, j := (leader.Index()+1)%3, (leader.Index()+2)%3
	c.Cut(i, j)
	add(t, groups[i], 1)
	add(t, groups[j], 1)
	wantSum(t, 2, groups...)
	c.HealAll()
	testutil.Settle(t, groups...)
}

func TestCloseLeavesTheGroup(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	c := testutil.NewCluster(t, 3, testutil.WithNodeOptions(func(int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))}
	}))
	groups := testutil.JoinAll(c, newCounter)
	c.Node(2).Close()
	if text := log.String(); strings.Contains(text, "leave not confirmed") {
		t.Errorf("the group did not confirm the leave:\n%s", text)
	}
	if _, err := groups[2].Execute(t.Context(), 1); !errors.Is(err, mosaik.ErrClosed) {
		t.Errorf("execute on the closed node: %v, want %v", err, mosaik.ErrClosed)
	}
	add(t, groups[0], 1)
	wantSum(t, 1, groups[:2]...)
	c.Node(2).Close()
	c.Node(2).Crash()
}

func TestAddedNodeCatchesUp(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	policy := consensus.Policy{Expected: 3}
	join := func(n *testutil.Node) group {
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newCounter).WithMembership(policy))
	}
	groups := []group{join(c.Node(0)), join(c.Node(1)), join(c.Node(2))}
	testutil.Settle(t, groups...)
	for range 20 {
		add(t, groups[1], 1)
	}
	groups = append(groups, join(c.Add()))
	if err := groups[3].When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	add(t, groups[3], 1)
	wantSum(t, 21, groups...)
}

func TestJoinWithoutAMachine(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	a := testutil.JoinWith(c.Node(0), c.Node(0).Builder())
	b := testutil.JoinWith(c.Node(1), c.Node(1).Builder())
	testutil.Settle(t, a, b)
	s, err := a.When().Until(soon(t), led)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.When().Until(soon(t), func(other consensus.Status) bool { return other.Leader == s.Leader }); err != nil {
		t.Error(err)
	}
}

func TestNodeOptions(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2, testutil.WithNodeOptions(func(node int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithTags(fmt.Sprintf("number %d", node))}
	}))
	testutil.JoinAll(c, newCounter)
	for i := range 2 {
		other := c.Node(1 - i)
		peers := c.Node(i).Net().Peers()
		if len(peers) != 1 || peers[0].ID != other.Peer() || !slices.Equal(peers[0].Tags, []string{fmt.Sprintf("number %d", 1-i)}) {
			t.Errorf("node %d knows %+v, want only node %d with its tag", i, peers, 1-i)
		}
	}
	if c.NodeOf(sm.PeerID{}) != nil {
		t.Error("the zero peer id is a node")
	}
}
