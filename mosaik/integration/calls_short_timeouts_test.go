package integration_test

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestShortTimeoutsDoNotKeepAGroupFromForming gives calls the shortest timeouts
// that Join permits, where a round trip takes longer. Calls may fail then, but the
// group must form.
func TestShortTimeoutsDoNotKeepAGroupFromForming(t *testing.T) {
	t.Parallel()
	const (
		shortest = 3 * fastTick
		oneWay   = 30 * time.Millisecond
	)
	c := testutil.NewCluster(t, 3)
	for i := range c.Len() {
		for j := range i {
			c.Delay(i, j, oneWay)
		}
	}
	timing := fast(consensus.Config{ForwardTimeout: shortest, QueryTimeout: shortest})
	groups := make([]tillGroup, c.Len())
	for i := range groups {
		groups[i] = testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(c.Node(i).Builder().WithConsensusConfig(timing), newTill))
	}
	testutil.Settle(t, groups...)
}
