package integration_test

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// overASlowLink returns a group of two, settled, between whom a message takes 100 ms.
func overASlowLink(t *testing.T, consensus consensus.Config) (groups []tillGroup) {
	t.Helper()
	c := testutil.NewCluster(t, 2)
	consensus.ElectionTimeout = 2 * time.Second
	c.Delay(0, 1, 100*time.Millisecond)
	for i := range 2 {
		b := c.Node(i).Builder().WithConsensusConfig(consensus)
		groups = append(groups, testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(b, newTill)))
	}
	testutil.Settle(t, groups...)
	return groups
}

// TestForwardTimeoutBelowTheRoundTrip has members whose round trip takes four times as
// long as an attempt of a command may. Commands take longer, and succeed on each.
func TestForwardTimeoutBelowTheRoundTrip(t *testing.T) {
	t.Parallel()
	groups := overASlowLink(t, fast(consensus.Config{ForwardTimeout: 50 * time.Millisecond}))
	want := int64(0)
	for _, g := range groups {
		for range 2 {
			if want++; mustPay(t, g, 1) != want {
				t.Errorf("the sum is not %d", want)
			}
		}
	}
}

// TestStrongReadsOverASlowLink has reads whose attempts may not take as long as an
// answer takes: two round trips, from a follower.
func TestStrongReadsOverASlowLink(t *testing.T) {
	t.Parallel()
	groups := overASlowLink(t, fast(consensus.Config{QueryTimeout: 300 * time.Millisecond}))
	for _, g := range groups {
		sumNow := mustPay(t, g, 1)
		for range 3 {
			got, err := mosaik.Query(soon(t), g, sum{}, mosaik.Strong)
			if err != nil || got.Value != sumNow {
				t.Errorf("a strong read returned %d, error %v; want %d", got.Value, err, sumNow)
			}
		}
	}
}
