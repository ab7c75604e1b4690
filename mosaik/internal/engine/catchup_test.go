package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
)

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

// TestSlowMachineCatchesUpWithoutHeartbeats is the same with a machine whose backlog is over its
// bound again and again.
func TestSlowMachineCatchesUpWithoutHeartbeats(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	slow := newHold()
	defer slow.release()
	never := func(c *ReplicaConfig) { c.ElectionTimeout, c.MaxBacklog = time.Hour, 100_000 }
	first := newRecorder()
	first.frozen = true
	r := nodes[0].start(1, first, true, never)
	elect(t, r, first)
	must(t, r, "slow")
	const count = 40
	for i := range count {
		must(t, r, fmt.Sprint(i, strings.Repeat(".", 50_000)))
	}
	addNonVoting(t, r, nodes[1], 2)
	second := &held{recorder: newRecorder(), applies: map[string]*hold{"slow": slow}}
	second.frozen = true
	joiner := nodes[1].start(2, second.recorder, false, on(shard, second, never))
	// The leader's first messages may have come before the joiner was there.
	_, term, _ := r.Leader()
	answer := pb.Message{Type: pb.HeartbeatResp, ShardID: shard, From: 2, To: 1, Term: uint64(term)}
	for begun := false; !begun; {
		if err := r.engine.inject(answer); err != nil {
			t.Fatal(err)
		}
		select {
		case <-slow.entered:
			begun = true
		case <-time.After(electionTimeout):
		}
	}
	second.wait(t, "Lagging", func() bool { return len(second.lags) > 0 })
	for i := range count { // while the joiner drops what it receives
		must(t, r, fmt.Sprint("more ", i, strings.Repeat(".", 50_000)))
	}
	slow.release()
	if err := joiner.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
	agree(t, []*recorder{first, second.recorder}, 1+2*count)
}
