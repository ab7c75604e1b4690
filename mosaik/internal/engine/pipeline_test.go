package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
)

func TestPipeline(t *testing.T) {
	t.Parallel()
	var p pipeline
	want := func(from, index uint64, want int) {
		t.Helper()
		if got := p.acknowledged(from, index); got != want {
			t.Errorf("%d more messages after %d was acknowledged, want %d", got, index, want)
		}
	}
	want(2, 10, 0)
	p.sent(2, 10)
	want(3, 10, 0) // another replica
	want(2, 9, 0)  // of an earlier one
	want(2, 10, 2)
	want(2, 10, 0) // again
	for i := range uint64(pipelineAim + 2) {
		p.sent(2, 20+i)
	}
	want(2, 20, 0) // too many are under way
	want(2, 21, 0)
	want(2, 22, 1)
	want(2, 24, 2)
	p.sent(2, 25) // once more, from there on
	p.sent(2, 25)
	want(2, 25, 2)
	want(2, 30, 0)
	if len(p.under) != 0 {
		t.Errorf("%v is under way, want nothing", p.under)
	}
}

// TestCatchUpDoesNotWaitForHeartbeats lets a replica catch up by a log for which
// dragonboat needs more heartbeats than the test lasts.
func TestCatchUpDoesNotWaitForHeartbeats(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	slow := func(c *ReplicaConfig) { c.ElectionTimeout = 20 * time.Second } // a heartbeat every two
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
