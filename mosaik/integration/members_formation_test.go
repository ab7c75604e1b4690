package integration_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestBootstrapperFails lets the member that makes the epoch fail at each of its
// first writes, and come back without a memory. One epoch must result, unless
// commands were let in by a majority that is gone: then the survivors must say
// that they have no quorum, since they cannot know that nothing was acknowledged.
func TestBootstrapperFails(t *testing.T) {
	t.Parallel()
	for write := 1; write <= 13; write++ {
		t.Run(fmt.Sprintf("write %d", write), func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 3)
			first := 0
			for i := range 3 {
				if c.Node(i).Peer().Compare(c.Node(first).Peer()) < 0 {
					first = i
				}
			}
			join := func(i, failAt int) tillGroup {
				storage := faultyStorage{failAt: new(atomic.Int64)}
				storage.failAt.Store(int64(failAt))
				return testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(c.Node(i).Builder(), newTill).WithLogStorage(storage))
			}
			groups := make([]tillGroup, 3)
			for i := range groups {
				failAt := 0
				if i == first {
					failAt = write
				}
				groups[i] = join(i, failAt)
			}
			ctx := soon(t)
			switch err := groups[first].When().Settled(ctx); {
			case err == nil && write > 7:
				return // this time forming took fewer writes
			case !errors.Is(err, errDisk):
				t.Fatalf("the bootstrapper did not fail: %v", err)
			}
			groups[first].Leave(gone())
			groups[first] = join(first, 0)

			lost := false
			for i, g := range groups {
				s, err := g.When().Until(ctx, func(s consensus.Status) bool { return s.Settled || s.Stalled && s.AcceptsCommands || lost })
				if err != nil {
					t.Fatalf("node %d neither settled nor said that it has no quorum: %+v", i, s)
				}
				lost = lost || !s.Settled
			}
			if lost {
				return
			}
			epochs := map[consensus.Epoch]bool{}
			for _, g := range groups {
				epochs[g.Status().Epoch] = true
				mustPay(t, g, 1)
			}
			if len(epochs) != 1 {
				t.Errorf("%d epochs resulted", len(epochs))
			}
		})
	}
}
