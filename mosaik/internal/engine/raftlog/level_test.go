package raftlog

import (
	"errors"
	"fmt"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// levelIn returns 3 for "level 3", and 0 for other data.
func levelIn(data []byte) (level uint32) {
	fmt.Sscanf(string(data), "level %d", &level)
	return level
}

// proposalAt returns a proposal as dragonboat saves it.
func proposalAt(index uint64, data string) pb.Entry {
	return pb.Entry{Index: index, Term: 1, Type: pb.EncodedEntry, ClientID: wire.ProposalClient, Cmd: append([]byte{0}, data...)}
}

// The level to which an entry raises the schema is written with the entry, and stays.
func TestLevelIsNotedWithItsEntry(t *testing.T) {
	t.Parallel()
	log := enginetest.MemoryLog(t)
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
	r.Find(routerShard, routerReplica).levelOf = levelIn
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
	r.Unregister(routerShard, routerReplica)
	if _, err := r.Register(routerShard, routerReplica, log, nil, noFailure(t)); err != nil {
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

// Nothing is written to an abandoned log by any call of dragonboat.
func TestAbandonedLogIsNotWritten(t *testing.T) {
	t.Parallel()
	log := &enginetest.CountedLog{Log: enginetest.MemoryLog(t)}
	r := newTestRouter(t, log, noFailure(t))
	r.Find(routerShard, routerReplica).Abandon(4)
	writes := log.Writes.Load()
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
	if now := log.Writes.Load(); now != writes {
		t.Errorf("%d writes to an abandoned log, want none", now-writes)
	}
	if p, ok, err := ReadPast(log); p.Level != 4 || !ok || err != nil {
		t.Errorf("the log's past is %+v, %t, %v; want level 4", p, ok, err)
	}
	if !r.Find(routerShard, routerReplica).Fenced() {
		t.Error("the replica of an abandoned log is not fenced")
	}
}
