package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// newerError is what a machine says of an entry that needs a level.
type newerError struct{ level uint32 }

func (e *newerError) Error() string      { return fmt.Sprint("level ", e.level, " is needed") }
func (e *newerError) NeedsLevel() uint32 { return e.level }

// levelIn says that "level 3" raises to level 3.
func levelIn(data []byte) (level uint32) {
	fmt.Sscanf(string(data), "level %d", &level)
	return level
}

// proposalAt returns a proposal as it reaches the log.
func proposalAt(index uint64, data string) pb.Entry {
	return pb.Entry{Index: index, Term: 1, Type: pb.EncodedEntry, ClientID: wire.ProposalClient, Cmd: append([]byte{0}, data...)}
}

// The level to which entries raise the schema is written with them, and stays.
func TestLevelIsNotedWithItsEntry(t *testing.T) {
	t.Parallel()
	log := newMemoryLog(t)
	id := Identity{Shard: routerShard, Replica: routerReplica}
	if err := Claim(log, id, 2); err != nil {
		t.Fatal(err)
	}
	want := func(level uint32, when string) {
		t.Helper()
		if p, ok, err := ReadPast(log); p.Level != level || p.Identity != id || !ok || err != nil {
			t.Errorf("%s: the log's past is %+v, %t, %v; want level %d", when, p, ok, err, level)
		}
	}
	want(2, "claimed")
	r := newTestRouter(t, log, noFailure(t))
	r.find(routerShard, routerReplica).levelOf = levelIn
	save := func(entries ...pb.Entry) {
		t.Helper()
		u := pb.Update{ShardID: routerShard, ReplicaID: routerReplica, State: pb.State{Term: 1}, EntriesToSave: entries}
		if err := r.SaveRaftState([]pb.Update{u}, 0); err != nil {
			t.Fatal(err)
		}
	}
	want(2, "started")
	save(proposalAt(1, "command"), proposalAt(2, "level 1"))
	want(2, "a lower one")
	save(proposalAt(3, "level 3"), proposalAt(4, "level 5"), proposalAt(5, "level 4"))
	want(5, "several")
	internal := proposalAt(6, "level 9")
	internal.ClientID = 0
	save(internal)
	want(5, "an entry of Raft's own")
	save(proposalAt(3, "command"))
	want(5, "replaced")
	taken := pb.Update{ShardID: routerShard, ReplicaID: routerReplica, Snapshot: pb.Snapshot{Index: 3, Term: 1}}
	if err := errors.Join(r.SaveSnapshots([]pb.Update{taken}), r.RemoveEntriesTo(routerShard, routerReplica, 3)); err != nil {
		t.Fatal(err)
	}
	want(5, "pruned")
	if err := r.SaveBootstrapInfo(routerShard, routerReplica, pb.Bootstrap{Join: true}); err != nil {
		t.Fatal(err)
	}
	want(5, "bootstrap info saved")
	r.unregister(routerShard, routerReplica)
	if err := r.register(routerShard, routerReplica, log, noFailure(t)); err != nil {
		t.Fatal(err)
	}
	if err := r.SaveBootstrapInfo(routerShard, routerReplica, pb.Bootstrap{Join: true}); err != nil {
		t.Fatal(err)
	}
	want(5, "read again")
	if err := Claim(log, id, 0); err != nil {
		t.Fatal(err)
	}
	want(0, "claimed again")
}

// Nothing is written to a log that was abandoned, whatever dragonboat still does.
func TestAbandonedLogIsNotWritten(t *testing.T) {
	t.Parallel()
	log := &countedLog{Log: newMemoryLog(t)}
	r := newTestRouter(t, log, noFailure(t))
	r.find(routerShard, routerReplica).abandon(4)
	writes := log.writes.Load()
	u := pb.Update{
		ShardID: routerShard, ReplicaID: routerReplica,
		State: pb.State{Term: 7, Vote: 3}, EntriesToSave: []pb.Entry{proposalAt(1, "late")},
	}
	u.Snapshot = pb.Snapshot{Index: 3, Term: 1}
	if err := errors.Join(
		r.SaveRaftState([]pb.Update{u}, 0), r.SaveSnapshots([]pb.Update{u}),
		r.RemoveEntriesTo(routerShard, routerReplica, 1), r.RemoveNodeData(routerShard, routerReplica),
		r.SaveBootstrapInfo(routerShard, routerReplica, pb.Bootstrap{Join: true}),
	); err != nil {
		t.Error(err)
	}
	if now := log.writes.Load(); now != writes {
		t.Errorf("%d writes to an abandoned log, want none", now-writes)
	}
	if p, ok, err := ReadPast(log); p.Level != 4 || !ok || err != nil {
		t.Errorf("the log's past is %+v, %t, %v; want level 4", p, ok, err)
	}
	if !r.muted(routerShard, routerReplica) {
		t.Error("the replica of an abandoned log is not muted")
	}
}

// countedLog counts what is written.
type countedLog struct {
	logstore.Log
	writes atomic.Int64
}

func (l *countedLog) Save(b logstore.Batch) error {
	l.writes.Add(1)
	return l.Log.Save(b)
}

// A machine that cannot apply an entry, since that needs another program, ends its
// replica. Nothing is written to the log any more, but the level that is needed.
func TestRefusedEntryLeavesTheLogAsItIs(t *testing.T) {
	t.Parallel()
	log := &countedLog{Log: enginetest.MemoryLog(t)}
	g := newGroup(t, 3, func(c *ReplicaConfig) {
		if c.Replica == 3 {
			c.Log = log
		}
	})
	old := g.recs[2]
	must(t, g.replicas[0], "before")
	old.wait(t, "the first entry", func() bool { return len(old.applied) > 0 })
	old.update(func() { old.refuses = map[string]error{"newer": &newerError{7}} })
	must(t, g.replicas[0], "newer")
	old.wait(t, "the end of the replica", func() bool { return len(old.failures) > 0 })
	old.mu.Lock()
	err := old.failures[0]
	old.mu.Unlock()
	if newer := new(newerError); !errors.As(err, &newer) || errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "apply entry") {
		t.Errorf("the replica ended with %v", err)
	}
	if p, ok, err := ReadPast(log); p.Level != 7 || !ok || err != nil {
		t.Errorf("the log's past is %+v, %t, %v; want level 7", p, ok, err)
	}
	state, err := log.State()
	if err != nil {
		t.Fatal(err)
	}
	writes := log.writes.Load()
	for i := range 50 {
		must(t, g.replicas[0], fmt.Sprint("after ", i))
	}
	after, err := log.State()
	if diff := cmp.Diff(state, after); diff != "" || err != nil {
		t.Errorf("the log changed: %v (-before +after):\n%s", err, diff)
	}
	if now := log.writes.Load(); now != writes {
		t.Errorf("%d writes after the replica ended, want none", now-writes)
	}
	if got := data(old.history()); cmp.Diff([]string{"before"}, got[:1]) != "" || len(got) != 1 {
		t.Errorf("the machine applied %q, want what came before", got)
	}
}

// A snapshot that needs another program ends the replica, and its level is noted.
func TestRefusedSnapshotNotesItsLevel(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	every := func(c *ReplicaConfig) { c.SnapshotEvery = 5 }
	rec, joiner := newRecorder(), newRecorder()
	joiner.restores = &newerError{9}
	r := nodes[0].start(1, rec, true, every)
	elect(t, r, rec)
	for i := range 20 {
		must(t, r, fmt.Sprint(i))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.snapshots > 0 })
	addNonVoting(t, r, nodes[1], 2)
	log := enginetest.MemoryLog(t)
	nodes[1].start(2, joiner, false, func(c *ReplicaConfig) { c.Log = log })
	joiner.wait(t, "Failed", func() bool { return len(joiner.failures) > 0 })
	if newer := new(newerError); !errors.As(joiner.failures[0], &newer) {
		t.Errorf("failed with %v; want %v", joiner.failures[0], joiner.restores)
	}
	if p, ok, err := ReadPast(log); p.Level != 9 || !ok || err != nil {
		t.Errorf("the log's past is %+v, %t, %v; want level 9", p, ok, err)
	}
}
