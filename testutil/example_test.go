package testutil_test

import (
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// A test of a service crashes the leader and sees that nothing is lost.
func ExampleNewCluster() {
	_ = func(t *testing.T) { // func TestLeaderCrash(t *testing.T)
		c := testutil.NewCluster(t, 3)
		groups := testutil.JoinAll(c, newCounter)
		if _, err := groups[0].Execute(t.Context(), 5); err != nil {
			t.Fatal(err)
		}

		s, err := groups[0].When().Until(t.Context(), func(s consensus.Status) bool { return !s.Leader.IsZero() })
		if err != nil {
			t.Fatal(err)
		}
		n := c.NodeOf(s.Leader)
		n.Crash()

		survivor := groups[(n.Index()+1)%c.Len()]
		sum, err := mosaik.Read(t.Context(), survivor, mosaik.Strong, func(c *counter) (int64, error) { return c.sum, nil })
		if err != nil || sum.Value != 5 {
			t.Fatalf("the sum is %d, error %v; want 5", sum.Value, err)
		}

		n.Restart()
		groups[n.Index()] = testutil.Join(n, newCounter)
		testutil.Settle(t, groups...)
	}
}

// A link that is cut loses nothing: what was sent arrives once it is healed.
func ExampleCluster_Isolate() {
	_ = func(t *testing.T) { // func TestPartition(t *testing.T)
		c := testutil.NewCluster(t, 3)
		groups := testutil.JoinAll(c, newCounter)

		c.Isolate(2)
		if _, err := groups[0].Execute(t.Context(), 5); err != nil { // two of three are a quorum
			t.Fatal(err)
		}
		c.Reconnect(2)
		if err := groups[2].When().Applied(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
}
