package integration_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestHastyBootstraps forms groups whose bootstrap delay is shorter than it takes
// to meet, so that many members make an epoch of their own. The epochs that are
// found to be empty yield, and no member stays behind in one of them.
func TestHastyBootstraps(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, 5, 10, 15, 20, 30} {
		t.Run((delay * time.Millisecond).String(), func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 3)
			var groups []*mosaik.Group[struct{}, sm.NoOp]
			for n := range c.Len() {
				own := time.Duration(n) * delay * time.Millisecond
				hasty := fast(consensus.Config{BootstrapDelay: cmp.Or(own, consensus.None)})
				b := c.Node(n).Net().Groups().WithKey(c.Key()).WithConsensusConfig(hasty)
				groups = append(groups, testutil.JoinWith(c.Node(n), b))
			}
			for _, g := range groups {
				// A member that is alone has settled, too.
				if _, err := g.When().Until(t.Context(), bonded(g, c.Len()-1)); err != nil {
					t.Fatal(err)
				}
			}
			testutil.Settle(t, groups...)
			for n, g := range groups {
				if got := len(g.Status().Members); got != c.Len() {
					t.Errorf("node %d sees %d members, want %d", n, got, c.Len())
				}
			}
		})
	}
}
