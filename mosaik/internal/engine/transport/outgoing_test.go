package transport

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// send sends messages and a snapshot to replica to, each on a connection of its own.
func (s *sender) send(t *testing.T, to uint64) {
	t.Helper()
	raft, err := s.GetConnection(context.Background(), s.peer.String())
	if err != nil {
		t.Fatal(err)
	}
	defer raft.Close()
	m := pb.Message{Type: pb.Heartbeat, ShardID: enginetest.Shard, From: 1, To: to, Term: 1}
	if err := raft.SendMessageBatch(enginetest.Batch(m, m)); err != nil {
		t.Errorf("send: %v; dragonboat's breaker would trip", err)
	}
	snap, err := s.GetSnapshotConnection(context.Background(), s.peer.String())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for range 2 {
		if err := snap.SendChunk(pb.Chunk{ShardID: enginetest.Shard, From: 1, ReplicaID: to}); err != nil {
			t.Errorf("send chunk: %v; dragonboat's breaker would trip", err)
		}
	}
}

func TestLossesAreReported(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	s.send(t, 2)
	want := []pb.Message{
		{Type: pb.Unreachable, ShardID: enginetest.Shard, From: 2, To: 1},
		{Type: pb.SnapshotStatus, ShardID: enginetest.Shard, From: 2, To: 1, Reject: true},
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

func TestReplicasSendToAdmittedPeersOnly(t *testing.T) {
	t.Parallel()
	for what, prepare := range map[string]func(*sender){
		"for a peer that is not admitted":  func(s *sender) { s.Expel(enginetest.Shard, s.peer) },
		"for another replica":              func(s *sender) { s.Admit(enginetest.Shard, s.peer, 3) },
		"from a failed replica":            func(s *sender) { s.owner.failed = true },
		"from a replica with a failed log": func(s *sender) { s.ep.Log.Abandon(0) },
		"from a detached replica":          func(s *sender) { s.Detach(s.ep) },
		"from another replica":             func(s *sender) { s.ep.Replica = 5 },
	} {
		s := newSender(t)
		prepare(s)
		s.send(t, 2)
		if s.network.dials != 0 {
			t.Errorf("%s: %d dials, want none", what, s.network.dials)
		}
		if s.receiver(s.peer, enginetest.Shard, 2, 1) != nil {
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
		if got := (&Transport{}).Validate(target); got != want {
			t.Errorf("Validate(%q) = %v, want %v", target, got, want)
		}
	}
}

// The end that sends data ignores frames of unknown kinds, too.
func TestUnknownAnswersAreIgnored(t *testing.T) {
	t.Parallel()
	book := &enginetest.Book{}
	receiver, peer := enginetest.Listen(t, book, 1)
	receiver.Handle(link.Snapshot, func(ctx context.Context, c *link.Conn) {
		defer c.Close()
		for kind := range 256 {
			if !wire.IsKnown(uint8(kind)) {
				c.WriteFrame(uint8(kind), make([]byte, maxAnswer))
			}
		}
		c.WriteFrame(wire.FrameDone)
		c.WriteFrame(wire.FrameBatch) // no answer
		<-ctx.Done()
	})
	receiver.Serve()
	t.Cleanup(func() { receiver.Close() })
	sender, _ := enginetest.Listen(t, book, 2)
	t.Cleanup(func() { sender.Close() })
	addr, err := book.Get(peer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sender.Dial(enginetest.Within(t), addr, peer, link.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	o := &outgoing{transport: newSender(t).Transport, done: make(chan struct{}, 1)}
	s := newStream(o, c)
	go s.listen()
	for what, done := range map[string]chan struct{}{"the answer": o.done, "the end": s.ended} {
		select {
		case <-done:
		case <-enginetest.Within(t).Done():
			t.Errorf("%s did not happen in time", what)
		}
	}
}
