package raftlog

import (
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// TestReadsAreCut asks for more than a read of the log yields, as dragonboat does.
func TestReadsAreCut(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	var entries []pb.Entry
	for i := range uint64(10) {
		entries = append(entries, pb.Entry{Index: i + 1, Term: 1, Type: pb.EncodedEntry, Key: 1, ClientID: wire.ProposalClient, Cmd: make([]byte, ReadSize*2/5)})
	}
	saveRaft(t, r, pb.Update{EntriesToSave: entries, State: pb.State{Term: 1, Commit: 10}})
	const maxSize = 64 << 20
	got, size, err := r.IterateEntries(nil, 0, routerShard, routerReplica, 1, 11, maxSize)
	if err != nil || len(got) != 3 || size <= maxSize {
		t.Errorf("read %d entries, size %d, error %v; want 3 of them, the last of which is dropped", len(got), size, err)
	}
	for index, want := range map[uint64]bool{1: false, 2: true, 3: false, 10: false} {
		if cut := r.Find(routerShard, routerReplica).WasCut(index); cut != want {
			t.Errorf("cut after entry %d: %v, want %v", index, cut, want)
		}
	}
	if got, size, _ = r.IterateEntries(nil, 0, routerShard, routerReplica, 9, 11, maxSize); len(got) != 2 || size > maxSize {
		t.Errorf("read %d entries, size %d; want the last two", len(got), size)
	}
	if r.Find(routerShard, routerReplica).WasCut(9) || r.Find(routerShard, routerReplica).WasCut(10) {
		t.Error("what was not cut counts as cut")
	}
}
