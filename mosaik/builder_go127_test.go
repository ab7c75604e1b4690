//go:build go1.27

package mosaik_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// With Go 1.27 a group is joined in one chain.
func ExampleKeyedBuilder_WithStateMachine() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "bank")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	net, err := mosaik.Open(ctx, mosaik.NetworkID("bank"), mosaik.WithDir(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer net.Close()

	group, err := net.Groups().WithKey(mosaik.RandomKey()).
		WithConsensusConfig(consensus.Config{BootstrapDelay: consensus.None}).
		WithStateMachine(NewLedger).
		WithLogStorage(logstore.Disk[Add]()).
		Join(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := group.When().Online(ctx); err != nil {
		fmt.Println(err)
		return
	}
	balance, err := group.Execute(ctx, Add{"alice", 5})
	fmt.Println(balance.Value, err)
	// Output: 5 <nil>
}

// TestMethodIsTheFunction joins one group by the method and by the function: the
// types of the builders, and so the group, are the same.
func TestMethodIsTheFunction(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	n := c.Node(0)
	b := mosaik.WithStateMachine(n.Builder(), NewLedger)
	first := testutil.JoinWith(n, b)
	b = n.Builder().WithStateMachine(NewLedger)
	second := testutil.JoinWith(n, b)
	testutil.Settle(t, first, second)
	if first.ID() != second.ID() {
		t.Errorf("the groups are %s and %s", first.ID(), second.ID())
	}
	for i, g := range []*mosaik.Group[Add, *Ledger]{first, second} {
		want := int64(i + 1)
		if got, err := g.Execute(t.Context(), Add{"alice", 1}); err != nil || got.Value != want {
			t.Errorf("the balance is %v, error %v; want %d", got.Value, err, want)
		}
	}
}
