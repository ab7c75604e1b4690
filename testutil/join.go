package testutil

import (
	"context"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// patience is how long a helper waits before the test fails. What it waits for takes
// well under a second on an idle machine.
const patience = time.Minute

// FastConsensus returns a configuration for tests. A lost leader is replaced within a
// fraction of a second, but a busy machine under the race detector loses none without
// a cause. Its election timeout needs a tick of at most 100 ms; the nodes of a
// [Cluster] have 10 ms. Its bootstrap delay of 1 s passes only if fewer members join
// than are expected. To change a field:
//
//	config := testutil.FastConsensus()
//	config.BootstrapDelay = consensus.None
func FastConsensus() consensus.Config {
	return consensus.Config{
		HeartbeatInterval:   50 * time.Millisecond,
		HeartbeatJitter:     10 * time.Millisecond,
		MaxMissedHeartbeats: 20,
		ElectionTimeout:     300 * time.Millisecond,
		ElectionJitter:      100 * time.Millisecond,
		BootstrapDelay:      time.Second,
		ForwardTimeout:      time.Second,
		QueryTimeout:        time.Second,
	}
}

// Builder returns a builder of the cluster's group on this node, for [JoinWith]. It
// sets [FastConsensus] and a policy that expects as many members as the cluster has
// nodes now.
func (n *Node) Builder() mosaik.KeyedBuilder {
	return n.net.Groups().WithKey(n.cluster.key).
		WithConsensusConfig(FastConsensus()).
		WithMembership(consensus.Policy{Expected: n.cluster.Len()})
}

// Joiner is a builder of a group, with a machine or without.
type Joiner[C any, M sm.StateMachine[C]] interface {
	Join(context.Context) (*mosaik.Group[C, M], error)
}

// JoinWith joins a group on the node with a builder of the node's network. It does not
// wait for other members:
//
//	b := mosaik.WithStateMachine(n.Builder(), ledger.New).WithRole(consensus.Role{Observer: true})
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

// Join joins the cluster's group on one node, with a machine of its own. It does not
// wait for other members.
func Join[C any, M sm.StateMachine[C]](n *Node, newMachine func() M) *mosaik.Group[C, M] {
	n.cluster.t.Helper()
	return JoinWith(n, mosaik.WithStateMachine(n.Builder(), newMachine))
}

// JoinAll joins the cluster's group on every node and waits until it has settled. All
// nodes must be up. The handles are in the order of the nodes.
func JoinAll[C any, M sm.StateMachine[C]](c *Cluster, newMachine func() M) []*mosaik.Group[C, M] {
	c.t.Helper()
	groups := make([]*mosaik.Group[C, M], c.Len())
	for i, n := range c.nodes {
		groups[i] = Join(n, newMachine)
	}
	Settle(c.t, groups...)
	return groups
}

// Settle waits until the group of each handle has settled ([mosaik.When.Settled]):
// every member has its place, and a group of three or more survives the crash of any
// member. It ends the test if that takes longer than a minute.
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
