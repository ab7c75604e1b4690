package testutil

import (
	"context"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
)

// patience is how long a helper waits for what takes well under a second on an
// idle machine. A test that is stuck fails after it.
const patience = time.Minute

// FastConsensus returns a configuration for tests: a leader that is lost is
// replaced in a fraction of a second, and a busy machine under the race detector
// does not lose one for nothing. Its election timeout suits a tick of 10 ms. Its
// bootstrap delay, 1 s, passes only where fewer members come than are expected.
func FastConsensus() mosaik.ConsensusConfig {
	return mosaik.DefaultConsensusConfig().
		WithHeartbeatInterval(50 * time.Millisecond).
		WithHeartbeatJitter(10 * time.Millisecond).
		WithMaxMissedHeartbeats(20).
		WithElectionTimeout(300 * time.Millisecond).
		WithElectionJitter(100 * time.Millisecond).
		WithBootstrapDelay(time.Second).
		WithForwardTimeout(time.Second).
		WithQueryTimeout(time.Second)
}

// Builder begins to join the cluster's group on this node, with [FastConsensus]
// and a membership that expects every node which the cluster has now. It is for
// [JoinWith]; [Join] and [JoinAll] do the usual.
func (n *Node) Builder() mosaik.KeyedBuilder {
	return n.net.Groups().WithKey(n.cluster.key).
		WithConsensusConfig(FastConsensus()).
		WithMembership(mosaik.DefaultPolicy().WithExpected(n.cluster.Len()))
}

// Joiner is a builder of a group, with a machine or without.
type Joiner[C any, M sm.StateMachine[C]] interface {
	Join(context.Context) (*mosaik.Group[C, M], error)
}

// JoinWith joins a group on the node with a builder of the node's network, and
// returns at once:
//
//	b := mosaik.WithStateMachine(n.Builder(), ledger.New).WithRole(mosaik.Observer())
//	group := testutil.JoinWith(n, b)
func JoinWith[C any, M sm.StateMachine[C]](n *Node, b Joiner[C, M]) *mosaik.Group[C, M] {
	n.cluster.t.Helper()
	g, err := b.Join(n.cluster.t.Context())
	if err != nil {
		n.cluster.t.Fatalf("testutil: join on node %d: %v", n.index, err)
	}
	n.joined = append(n.joined, g)
	return g
}

// Join joins the cluster's group on one node, with a machine of its own, and
// returns at once.
func Join[C any, M sm.StateMachine[C]](n *Node, newMachine func() M) *mosaik.Group[C, M] {
	n.cluster.t.Helper()
	return JoinWith(n, mosaik.WithStateMachine(n.Builder(), newMachine))
}

// JoinAll joins the cluster's group on every node and waits until it has
// settled. The handles are in the order of the nodes, all of which must be up.
func JoinAll[C any, M sm.StateMachine[C]](c *Cluster, newMachine func() M) []*mosaik.Group[C, M] {
	c.t.Helper()
	groups := make([]*mosaik.Group[C, M], c.Len())
	for i, n := range c.nodes {
		groups[i] = Join(n, newMachine)
	}
	Settle(c.t, groups...)
	return groups
}

// Settle waits until every one of the handles says that its group has settled:
// everybody is in place, and a group of three or more survives the crash of any
// member. It ends the test when that takes longer than a minute.
func Settle[G interface{ When() mosaik.When }](t testing.TB, groups ...G) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, g := range groups {
		if err := g.When().Settled(ctx); err != nil {
			t.Fatalf("testutil: settle: handle %d of %d: %v", i+1, len(groups), err)
		}
	}
}
