package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lni/dragonboat/v4/config"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// deadEnd is a network on which nobody is reached.
type deadEnd struct{ dials int }

func (d *deadEnd) Connect(context.Context, sm.PeerID, link.Protocol) (*link.Conn, error) {
	d.dials++
	return nil, errors.New("dead end")
}

// sender is an engine without dragonboat: replica 1 of the shard sends to
// replica 2 of the peer, and what dragonboat would be told is kept.
type sender struct {
	*Engine
	network *deadEnd
	peer    sm.PeerID
	replica *Replica
	told    []pb.Message
}

func newSender(t *testing.T) *sender {
	t.Helper()
	s := &sender{network: &deadEnd{}, peer: sm.PeerID{2}}
	s.Engine = &Engine{
		self: sm.PeerID{1}, log: slog.New(slog.DiscardHandler), network: s.network,
		peers: newPeers(), router: raftlog.NewRouter(int(workers.ExecShards)), replicas: map[uint64]*Replica{}, courier: newCourier(),
	}
	t.Cleanup(s.courier.close)
	s.transport = &transport{engine: s.Engine}
	s.transport.Create(config.NodeHostConfig{}, func(b pb.MessageBatch) { s.told = append(s.told, b.Requests...) }, nil)
	rec := newRecorder()
	s.replica = newReplica(s.Engine, ReplicaConfig{Shard: shard, Replica: 1, Machine: rec, Events: rec})
	s.replicas[shard] = s.replica
	if _, err := s.router.Register(shard, 1, enginetest.MemoryLog(t), nil, s.replica.fail); err != nil {
		t.Fatal(err)
	}
	s.Admit(shard, s.peer, 2)
	return s
}

// send sends a message, and a snapshot, to replica to, on connections of their own.
func (s *sender) send(t *testing.T, to uint64) {
	t.Helper()
	raft, err := s.transport.GetConnection(context.Background(), s.peer.String())
	if err != nil {
		t.Fatal(err)
	}
	defer raft.Close()
	m := pb.Message{Type: pb.Heartbeat, ShardID: shard, From: 1, To: to, Term: 1}
	if err := raft.SendMessageBatch(enginetest.Batch(m, m)); err != nil {
		t.Errorf("send: %v; dragonboat's breaker would trip", err)
	}
	snap, err := s.transport.GetSnapshotConnection(context.Background(), s.peer.String())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for range 2 {
		if err := snap.SendChunk(pb.Chunk{ShardID: shard, From: 1, ReplicaID: to}); err != nil {
			t.Errorf("send chunk: %v; dragonboat's breaker would trip", err)
		}
	}
}

func TestLossesAreReported(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	s.send(t, 2)
	want := []pb.Message{
		{Type: pb.Unreachable, ShardID: shard, From: 2, To: 1},
		{Type: pb.SnapshotStatus, ShardID: shard, From: 2, To: 1, Reject: true},
	}
	if diff := cmp.Diff(want, s.told, cmp.Comparer(sameMessage)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	// The snapshot came within the pause after the failed dial.
	if s.network.dials != 1 {
		t.Errorf("%d dials, want 1", s.network.dials)
	}
}

func sameMessage(a, b pb.Message) bool {
	return a.Type == b.Type && a.ShardID == b.ShardID && a.From == b.From && a.To == b.To && a.Reject == b.Reject
}

func TestNothingLeaves(t *testing.T) {
	t.Parallel()
	for what, prepare := range map[string]func(*sender){
		"for a peer that is not admitted": func(s *sender) { s.Expel(shard, s.peer) },
		"for another replica":             func(s *sender) { s.Admit(shard, s.peer, 3) },
		"from a muted replica":            func(s *sender) { s.replica.fail(errors.New("muted")) },
		"from a replica without a log":    func(s *sender) { s.router.Unregister(shard, 1) },
		"from another replica":            func(s *sender) { s.replica.id = 5 },
	} {
		s := newSender(t)
		prepare(s)
		s.send(t, 2)
		if s.network.dials != 0 {
			t.Errorf("%s: %d dials, want none", what, s.network.dials)
		}
		if r, _ := s.receiver(s.peer, shard, 2, 1); r != nil {
			t.Errorf("%s: messages come in", what)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	peer := sm.PeerID{0xab}
	for target, want := range map[string]bool{
		peer.String(): true, "": false, "localhost:1": false, sm.PeerID{}.String(): false,
		peer.String()[:63]: false, "AB" + peer.String()[2:]: false,
	} {
		if got := (&transport{}).Validate(target); got != want {
			t.Errorf("Validate(%q) = %v, want %v", target, got, want)
		}
	}
}
