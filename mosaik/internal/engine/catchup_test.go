package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
)

// TestCatchUpDoesNotWaitForHeartbeats lets a replica catch up by a log for which
// dragonboat needs more heartbeats than the test lasts.
func TestCatchUpDoesNotWaitForHeartbeats(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	slow := func(c *ReplicaConfig) {
		c.ElectionTimeout = 20 * time.Second // a heartbeat every two
		c.MaxBacklog = 1 << 30               // a replica that is behind does wait for heartbeats
	}
	first, second := newRecorder(), newRecorder()
	first.frozen = true
	r := nodes[0].start(1, first, true, slow)
	elect(t, r, first)
	for i := range 40 {
		must(t, r, fmt.Sprintf("%d %s", i, slices.Repeat([]byte{'x'}, raftlog.ReadSize*3/5)))
	}
	join(t, r, nodes[1], 2, second, slow)
	agree(t, []*recorder{first, second}, 40)
}
