package testutil_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestTmpShortBootstrap(t *testing.T) {
	for k := range 40 {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 3)
			var groups []group
			for i := range 3 {
				n := c.Node(i)
				groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newCounter).WithConsensusConfig(testutil.FastConsensus().WithBootstrapDelay(time.Duration(k)*time.Millisecond))))
			}
			testutil.Settle(t, groups...)
		})
	}
}
