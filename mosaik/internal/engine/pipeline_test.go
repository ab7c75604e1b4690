package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// TestLogYieldsLittleAtOnce reads a log of which dragonboat asks for much more
// than is yielded, and takes it for cut.
func TestLogYieldsLittleAtOnce(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, newMemoryLog(t), noFailure(t))
	var entries []pb.Entry
	for i := range uint64(10) {
		entries = append(entries, pb.Entry{Index: i + 1, Term: 1, Type: pb.EncodedEntry, Key: 1, ClientID: wire.ProposalClient, Cmd: make([]byte, readAim*2/5)})
	}
	saveRaft(t, r, pb.Update{EntriesToSave: entries, State: pb.State{Term: 1, Commit: 10}})
	const maxSize = 64 << 20
	got, size, err := r.IterateEntries(nil, 0, routerShard, routerReplica, 1, 11, maxSize)
	if err != nil || len(got) != 3 || size <= maxSize {
		t.Errorf("read %d entries, size %d, error %v; want 3 of them, the last of which is dropped", len(got), size, err)
	}
	for index, want := range map[uint64]bool{1: false, 2: true, 3: false, 10: false} {
		if cut := r.wasCut(routerShard, routerReplica, index); cut != want {
			t.Errorf("cut after entry %d: %v, want %v", index, cut, want)
		}
	}
	if got, size, _ = r.IterateEntries(nil, 0, routerShard, routerReplica, 9, 11, maxSize); len(got) != 2 || size > maxSize {
		t.Errorf("read %d entries, size %d; want the last two", len(got), size)
	}
	if r.wasCut(routerShard, routerReplica, 9) || r.wasCut(routerShard, routerReplica, 10) {
		t.Error("what was not cut counts as cut")
	}
}

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
		must(t, r, fmt.Sprintf("%d %s", i, slices.Repeat([]byte{'x'}, readAim*3/5)))
	}
	join(t, r, nodes[1], 2, second, slow)
	agree(t, []*recorder{first, second}, 40)
}
