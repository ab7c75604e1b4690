package raftlog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

const routerShard, routerReplica = 7, 9

// newTestRouter returns a router with one bootstrapped replica on log.
func newTestRouter(t testing.TB, log logstore.Log, failed func(error)) *Router {
	t.Helper()
	r := NewRouter(2)
	if _, err := r.Register(routerShard, routerReplica, log, nil, failed); err != nil {
		t.Fatalf("register: %v", err)
	}
	boot := pb.Bootstrap{Addresses: map[uint64]string{routerReplica: "here"}, Type: pb.RegularStateMachine}
	if err := r.SaveBootstrapInfo(routerShard, routerReplica, boot); err != nil {
		t.Fatalf("SaveBootstrapInfo: %v", err)
	}
	return r
}

// noFailure is the callback of logs that do not fail.
func noFailure(t testing.TB) func(error) {
	return func(err error) { t.Errorf("the log failed: %v", err) }
}

// raftEntries returns entries of a term with indices in [lo, hi), of all the
// kinds that replicas write.
func raftEntries(term, lo, hi uint64) []pb.Entry {
	var out []pb.Entry
	for i := lo; i < hi; i++ {
		e := pb.Entry{Index: i, Term: term}
		switch i % 4 {
		case 0: // a new leader's
		case 1:
			e.Type, e.Key, e.ClientID = pb.EncodedEntry, i<<40+term, wire.ProposalClient
			e.Cmd = fmt.Appendf(nil, "\x00command %d of term %d", i, term)
		case 2:
			e.Type, e.Key, e.Cmd = pb.ConfigChangeEntry, i, []byte{8, 1}
		case 3: // an empty proposal
			e.Key, e.ClientID = i, wire.ProposalClient
		}
		out = append(out, e)
	}
	return out
}

// saveRaft saves an update of the test's replica.
func saveRaft(t testing.TB, r *Router, u pb.Update) {
	t.Helper()
	u.ShardID, u.ReplicaID = routerShard, routerReplica
	if err := r.SaveRaftState([]pb.Update{u}, 1); err != nil {
		t.Fatalf("SaveRaftState: %v", err)
	}
}

// wantEntries checks what iterating over [low, high) yields.
func wantEntries(t testing.TB, r *Router, low, high uint64, want []pb.Entry) {
	t.Helper()
	got, size, err := r.IterateEntries(nil, 0, routerShard, routerReplica, low, high, 0)
	if err != nil {
		t.Fatalf("IterateEntries(%d, %d): %v", low, high, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("IterateEntries(%d, %d) (-want +got):\n%s", low, high, diff)
	}
	if size != pb.GetEntrySliceSize(want) {
		t.Fatalf("IterateEntries(%d, %d): size %d, want %d", low, high, size, pb.GetEntrySliceSize(want))
	}
}

func TestRouterKeepsEntriesAsTheyAre(t *testing.T) {
	t.Parallel()
	log := enginetest.MemoryLog(t)
	r := newTestRouter(t, log, noFailure(t))
	entries := append(raftEntries(1, 1, 30), pb.Entry{Index: 30, Term: 2, Type: pb.MetadataEntry})
	saveRaft(t, r, pb.Update{EntriesToSave: entries, State: pb.State{Term: 2, Vote: 9, Commit: 12}})
	wantEntries(t, r, 1, 31, entries)
	wantEntries(t, r, 10, 20, entries[9:19])

	r.Unregister(routerShard, routerReplica)
	if _, err := r.Register(routerShard, routerReplica, log, nil, noFailure(t)); err != nil {
		t.Fatalf("register again: %v", err)
	}
	wantEntries(t, r, 1, 31, entries)
	want := raftio.RaftState{State: pb.State{Term: 2, Vote: 9, Commit: 12}, FirstIndex: 1, EntryCount: 30}
	if got, err := r.ReadRaftState(routerShard, routerReplica, 0); got != want || err != nil {
		t.Errorf("ReadRaftState = %+v, %v; want %+v", got, err, want)
	}
}

func TestRouterUnknownReplica(t *testing.T) {
	t.Parallel()
	r := NewRouter(2)
	if !r.Find(1, 2).Fenced() {
		t.Error("an unregistered replica is not fenced")
	}
	if term := r.Find(1, 2).TermAt(3); term != 0 {
		t.Errorf("termOf = %d, want 0", term)
	}
	if err := r.SaveRaftState([]pb.Update{{ShardID: 1, ReplicaID: 2, State: pb.State{Term: 1}}}, 1); err != nil {
		t.Errorf("SaveRaftState: %v", err)
	}
	if _, err := r.ReadRaftState(1, 2, 0); !errors.Is(err, raftio.ErrNoSavedLog) {
		t.Errorf("ReadRaftState: %v, want ErrNoSavedLog", err)
	}
	if _, err := r.GetBootstrapInfo(1, 2); !errors.Is(err, raftio.ErrNoBootstrapInfo) {
		t.Errorf("GetBootstrapInfo: %v, want ErrNoBootstrapInfo", err)
	}
	if err := r.SaveBootstrapInfo(1, 2, pb.Bootstrap{}); !errors.Is(err, errUnregistered) {
		t.Errorf("SaveBootstrapInfo: %v, want errUnregistered", err)
	}
	if err := r.ImportSnapshot(pb.Snapshot{ShardID: 1, Index: 5, Term: 1}, 2); !errors.Is(err, errUnregistered) {
		t.Errorf("ImportSnapshot: %v, want errUnregistered", err)
	}
	if s, err := r.GetSnapshot(1, 2); s.Index != 0 || err != nil {
		t.Errorf("GetSnapshot = %+v, %v; want none", s, err)
	}
	for _, err := range []error{r.RemoveEntriesTo(1, 2, 3), r.RemoveNodeData(1, 2), r.SaveSnapshots([]pb.Update{{ShardID: 1, ReplicaID: 2}})} {
		if err != nil {
			t.Errorf("a call for an unknown replica: %v", err)
		}
	}
	if nodes, err := r.ListNodeInfo(); len(nodes) != 0 || err != nil {
		t.Errorf("ListNodeInfo = %v, %v; want none", nodes, err)
	}
}

func TestRouterClosedChannelAfterCompaction(t *testing.T) {
	t.Parallel()
	done, err := NewRouter(2).CompactEntriesTo(1, 2, 3)
	if err != nil {
		t.Fatalf("CompactEntriesTo: %v", err)
	}
	if _, open := <-done; open {
		t.Error("CompactEntriesTo: the channel is not closed")
	}
}

// A snapshot that was taken here must not replace a later one that was received.
func TestRouterKeepsTheLatestSnapshot(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(1, 1, 11), State: pb.State{Term: 1, Commit: 10}})
	saveRaft(t, r, pb.Update{Snapshot: pb.Snapshot{Index: 20, Term: 2}, State: pb.State{Term: 2, Commit: 20}})
	old := pb.Update{ShardID: routerShard, ReplicaID: routerReplica, Snapshot: pb.Snapshot{Index: 8, Term: 1}}
	if err := r.SaveSnapshots([]pb.Update{old}); err != nil {
		t.Fatalf("SaveSnapshots: %v", err)
	}
	if s, err := r.GetSnapshot(routerShard, routerReplica); s.Index != 20 || err != nil {
		t.Errorf("GetSnapshot = %d, %v; want 20", s.Index, err)
	}
}

// dragonboat refuses to start from a commit index before its snapshot, which a
// crash at the wrong moment leaves behind.
func TestRouterCommitCoversSnapshot(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(1, 1, 11), State: pb.State{Term: 1, Commit: 4}})
	if err := r.SaveSnapshots([]pb.Update{{ShardID: routerShard, ReplicaID: routerReplica, Snapshot: pb.Snapshot{Index: 8, Term: 1}}}); err != nil {
		t.Fatalf("SaveSnapshots: %v", err)
	}
	want := raftio.RaftState{State: pb.State{Term: 1, Commit: 8}, FirstIndex: 9, EntryCount: 2}
	if got, err := r.ReadRaftState(routerShard, routerReplica, 8); got != want || err != nil {
		t.Errorf("ReadRaftState = %+v, %v; want %+v", got, err, want)
	}
}

// Each call returns a snapshot of its own: dragonboat counts references in it and panics over
// one that it has counted before.
func TestRouterSnapshotsAreFresh(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	saveRaft(t, r, pb.Update{
		Snapshot: pb.Snapshot{Index: 20, Term: 2, Membership: pb.Membership{Addresses: map[uint64]string{1: "a"}}},
		State:    pb.State{Term: 2, Commit: 20},
	})
	for range 2 {
		s, err := r.GetSnapshot(routerShard, routerReplica)
		if err != nil || s.Membership.Addresses[1] != "a" {
			t.Fatalf("GetSnapshot = %+v, %v", s, err)
		}
		s.Load(noCompactor{})
		s.Membership.Addresses[1] = "changed"
	}
}

type noCompactor struct{}

func (noCompactor) Compact(uint64) error { return nil }

func TestRouterRegisterRefuses(t *testing.T) {
	t.Parallel()
	meta := func(shard, replica uint64, boot *pb.Bootstrap) []byte {
		b, err := (&metadata{id: Identity{Shard: shard, Replica: replica}, boot: boot}).marshal()
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		return b
	}
	own := meta(routerShard, routerReplica, &pb.Bootstrap{Join: true})
	entries := []logstore.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}, {Index: 3, Term: 1}}
	snapshot, err := toRecord(&pb.Snapshot{Index: 2, Term: 1})
	if err != nil {
		t.Fatalf("toRecord: %v", err)
	}
	for name, tt := range map[string]struct {
		batch logstore.Batch
		prune sm.Index
		want  string
	}{
		"no metadata":       {batch: logstore.Batch{Entries: entries}, want: "lacks bootstrap info"},
		"never started":     {batch: logstore.Batch{Entries: entries, Meta: meta(routerShard, routerReplica, nil)}, want: "lacks bootstrap info"},
		"another replica's": {batch: logstore.Batch{Meta: meta(routerShard, 3, nil)}, want: "replica 3 of shard 7"},
		"another shard's":   {batch: logstore.Batch{Meta: meta(3, routerReplica, nil)}, want: "replica 9 of shard 3"},
		"damaged metadata":  {batch: logstore.Batch{Meta: own[:20]}, want: "damaged"},
		"later format":      {batch: logstore.Batch{Meta: []byte{3}}, want: "format 3"},
		"commit past end":   {batch: logstore.Batch{Meta: own, Entries: entries, Hard: &logstore.HardState{Term: 1, Commit: 4}}, want: "commit index 4"},
		"pruned too far":    {batch: logstore.Batch{Meta: own, Entries: entries, Snapshot: &snapshot}, prune: 3, want: "does not cover"},
		"ends too early":    {batch: logstore.Batch{Meta: own, Entries: entries[:1], Snapshot: &snapshot}, want: "before its snapshot"},
		"bad snapshot":      {batch: logstore.Batch{Meta: own, Snapshot: &logstore.Snapshot{Cursor: sm.Cursor{Term: 1, Index: 2}, Record: []byte{0xff}}}, want: "snapshot 2"},
		"wrong snapshot":    {batch: logstore.Batch{Meta: own, Snapshot: &logstore.Snapshot{Cursor: sm.Cursor{Term: 1, Index: 3}, Record: snapshot.Record}}, want: "describes 2"},
	} {
		log := enginetest.MemoryLog(t)
		if err := log.Save(tt.batch); err != nil {
			t.Fatalf("%s: Save: %v", name, err)
		}
		if err := log.Prune(tt.prune); err != nil {
			t.Fatalf("%s: Prune: %v", name, err)
		}
		r := NewRouter(2)
		_, err := r.Register(routerShard, routerReplica, log, nil, noFailure(t))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: register: %v, want an error that says %q", name, err, tt.want)
		}
		if !r.Find(routerShard, routerReplica).Fenced() {
			t.Errorf("%s: a replica whose registration failed is not fenced", name)
		}
	}
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	if _, err := r.Register(routerShard, routerReplica, enginetest.MemoryLog(t), nil, noFailure(t)); err == nil {
		t.Error("registering twice succeeded")
	}
	closed := enginetest.MemoryLog(t)
	_ = closed.Close()
	if _, err := NewRouter(2).Register(1, 1, closed, nil, noFailure(t)); !errors.Is(err, logstore.ErrClosed) {
		t.Errorf("registering a closed log: %v, want ErrClosed", err)
	}
}

func BenchmarkRouterSave(b *testing.B) {
	for _, n := range []uint64{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newTestRouter(b, enginetest.MemoryLog(b), noFailure(b))
			entries := make([]pb.Entry, n)
			updates := []pb.Update{{ShardID: routerShard, ReplicaID: routerReplica, EntriesToSave: entries}}
			next := uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				for i := range entries {
					entries[i] = pb.Entry{Index: next, Term: 1, Type: pb.EncodedEntry, Key: next, ClientID: wire.ProposalClient}
					next++
				}
				updates[0].State = pb.State{Term: 1, Commit: next - 1}
				_ = r.SaveRaftState(updates, 1)
				if next%(1<<20) < n {
					_ = r.RemoveEntriesTo(routerShard, routerReplica, next-100)
				}
			}
		})
	}
}

func BenchmarkRouterTermOf(b *testing.B) {
	r := newTestRouter(b, enginetest.MemoryLog(b), noFailure(b))
	saveRaft(b, r, pb.Update{EntriesToSave: raftEntries(1, 1, 1000), State: pb.State{Term: 1, Commit: 999}})
	b.ReportAllocs()
	for b.Loop() {
		if r.Find(routerShard, routerReplica).TermAt(500) != 1 || r.Find(routerShard, routerReplica).Fenced() {
			b.Fatal("wrong term")
		}
	}
}
