package main

import (
	"context"
	"time"

	"github.com/mosaik-go/mosaik/examples/quickstart/ledger"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// tick is Raft's clock tick on every node.
const tick = 20 * time.Millisecond

// group is a replicated ledger.
type group = mosaik.Group[ledger.Command, *ledger.Ledger]

// join joins the group that replicates the ledger and returns at once.
func join(ctx context.Context, net *mosaik.Network, key mosaik.GroupKey, members int) (*group, error) {
	// Faster than the default, so that a crash is detected soon.
	timing := consensus.Config{
		HeartbeatInterval: 200 * time.Millisecond,
		HeartbeatJitter:   50 * time.Millisecond,
		ElectionTimeout:   600 * time.Millisecond,
		ElectionJitter:    200 * time.Millisecond,
	}
	return mosaik.WithStateMachine(net.Groups().WithKey(key), ledger.New).
		WithConsensusConfig(timing).
		WithMembership(consensus.Policy{Expected: members}).
		Join(ctx)
}
