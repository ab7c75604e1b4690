package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// dropped writes a frame and expects the other end to close the connection.
func dropped(t *testing.T, c *link.Conn, kind uint8, frame []byte) {
	t.Helper()
	defer c.Close()
	if err := c.WriteFrame(kind, frame); err != nil {
		t.Fatal(err)
	}
	ctx := enginetest.Within(t)
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, _, err := c.ReadFrame(1, nil); err == nil {
		t.Error("the victim answered")
	}
	if ctx.Err() != nil {
		t.Error("the victim keeps the connection")
	}
}

// adversary is a peer that speaks raw frames.
type adversary struct {
	t      *testing.T
	link   *link.Link
	peer   sm.PeerID
	victim *node
}

// adversaries counts adversaries, so that each has an identity of its own.
var adversaries atomic.Int32

func newAdversary(t *testing.T, victim *node) *adversary {
	t.Helper()
	l, peer := enginetest.Listen(t, victim.book, byte(99+adversaries.Add(1)%100))
	l.Serve()
	t.Cleanup(func() { l.Close() })
	return &adversary{t, l, peer, victim}
}

func (a *adversary) dial(p link.Protocol) *link.Conn {
	a.t.Helper()
	addr, err := a.victim.book.Get(a.victim.peer)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := a.link.Dial(enginetest.Within(a.t), addr, a.victim.peer, p)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func TestAdversaryCostsOnlyItsConnection(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	must(t, g.replicas[0], "before")
	a := newAdversary(t, g.nodes[0])
	g.nodes[0].engine.Admit(shard, a.peer, 9)

	heartbeat := pb.Message{Type: pb.Heartbeat, ShardID: shard, From: 9, To: 1, Term: 1}
	with := func(change func(*pb.Message)) []byte {
		m := heartbeat
		change(&m)
		return enginetest.Frame(m)
	}
	badRaft := map[string][]byte{
		"noise":           []byte("noise"),
		"truncated":       enginetest.Frame(heartbeat)[:20],
		"to nobody":       with(func(m *pb.Message) { m.To = 0 }),
		"from nobody":     with(func(m *pb.Message) { m.From = 0 }),
		"without a term":  with(func(m *pb.Message) { m.Term = 0 }),
		"unknown type":    with(func(m *pb.Message) { m.Type = 77 }),
		"snapshot inside": with(func(m *pb.Message) { m.Snapshot = pb.Snapshot{Index: 5, Term: 1} }),
		"entries inside":  with(func(m *pb.Message) { m.Entries = []pb.Entry{{Index: 1, Term: 1}} }),
		"gap in entries":  with(func(m *pb.Message) { m.Type, m.Entries = pb.Replicate, []pb.Entry{{Index: 5, Term: 1}} }),
		"damaged change": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{{Type: pb.ConfigChangeEntry, Cmd: []byte{0xff}}}
		}),
		"invalid target": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{enginetest.Change(pb.AddNode, 5, "nowhere")}
		}),
		"a witness": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{enginetest.Change(pb.AddWitness, 5, a.peer.String())}
		}),
		"another's client": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{{Key: 1, ClientID: 77, SeriesID: 5}}
		}),
		"compressed": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{{Type: pb.EncodedEntry, Key: 1, ClientID: wire.ProposalClient, Cmd: []byte{2, 0}}}
		}),
	}
	for i := range int32(40) {
		if typ := pb.MessageType(i); !wire.Travels(typ) {
			badRaft[fmt.Sprint("type ", i)] = with(func(m *pb.Message) { m.Type = typ })
		}
	}
	for what, frame := range badRaft {
		t.Run(what, func(t *testing.T) {
			a.t = t
			dropped(t, a.dial(link.Raft), wire.FrameBatch, frame)
		})
	}
	a.t = t
	dropped(t, a.dial(link.Raft), wire.FrameChunk, enginetest.Frame(heartbeat))
	dropped(t, a.dial(link.Raft), wire.FrameDone, nil)
	dropped(t, a.dial(link.Snapshot), wire.FrameBatch, enginetest.Frame(heartbeat))
	dropped(t, a.dial(link.Snapshot), wire.FrameDone, nil)

	// Snapshots of a replica that does not lead are refused before anything else is checked.
	// To a leader, another heartbeat of its own term means nothing.
	lead(t, g.replicas[0], 1)
	_, term, _ := g.replicas[0].Leader()
	pretends := a.dial(link.Raft)
	claim := heartbeat
	claim.Term = uint64(term)
	if err := pretends.WriteFrame(wire.FrameBatch, enginetest.Frame(claim)); err != nil {
		t.Fatal(err)
	}
	dropped(t, pretends, wire.FrameBatch, []byte("the end")) // so that the heartbeat was read
	badChunks := map[string]func(*pb.Chunk){
		"index":             func(c *pb.Chunk) { c.Index, c.Filepath = 1<<63, wire.SnapshotFile(1<<63) },
		"term":              func(c *pb.Chunk) { c.Term = 1 << 40 },
		"voter has no vote": func(c *pb.Chunk) { c.Membership.NonVotings = map[uint64]string{1: a.victim.peer.String()} },
		"path":              func(c *pb.Chunk) { c.Filepath = "../../etc/passwd" },
		"no path":           func(c *pb.Chunk) { c.Filepath = "" },
		"parent":            func(c *pb.Chunk) { c.Filepath = ".." },
		"extra file":        func(c *pb.Chunk) { c.HasFileInfo = true },
		"witness":           func(c *pb.Chunk) { c.Witness = true },
		"stream":            func(c *pb.Chunk) { c.ChunkCount = pb.LastChunkCount },
		"poison":            func(c *pb.Chunk) { c.ChunkCount = pb.PoisonChunkCount },
		"size":              func(c *pb.Chunk) { c.FileSize = 1 << 40 },
		"bytes":             func(c *pb.Chunk) { c.Data = nil },
		"no membership":     func(c *pb.Chunk) { c.Membership = pb.Membership{} },
		"membership":        func(c *pb.Chunk) { c.Membership.Addresses = map[uint64]string{9: "nowhere"} },
		"other's replica":   func(c *pb.Chunk) { c.Membership.Addresses = map[uint64]string{9: a.peer.String(), 2: a.peer.String()} },
		"unknown shard":     func(c *pb.Chunk) { c.ShardID = 4711 },
		"unstarted replica": func(c *pb.Chunk) { c.ReplicaID = 5 },
		"forged from":       func(c *pb.Chunk) { c.From = 2 },
		"wrong checksum":    func(*pb.Chunk) {},
		"deployment":        func(c *pb.Chunk) { c.DeploymentId = 5 },
		"transport version": func(c *pb.Chunk) { c.BinVer = 5 },
		"starts in the midst": func(c *pb.Chunk) {
			c.FileSize, c.ChunkCount, c.FileChunkCount, c.ChunkId, c.FileChunkId = wire.ChunkSize+4, 2, 2, 1, 1
		},
	}
	for what, spoil := range badChunks {
		t.Run("chunk "+what, func(t *testing.T) {
			a.t = t
			c := enginetest.Chunk(a.peer)
			spoil(&c)
			dropped(t, a.dial(link.Snapshot), wire.FrameChunk, enginetest.Marshal(&c))
		})
	}
	a.t = t

	// Well-formed lies are dropped: none of these depose the leader.
	c := a.dial(link.Raft)
	defer c.Close()
	for _, m := range []pb.Message{
		{Type: pb.Heartbeat, ShardID: shard, From: 2, To: 1, Term: 1 << 40},     // another's replica
		{Type: pb.Heartbeat, ShardID: shard, From: 9, To: 2, Term: 1 << 40},     // not here
		{Type: pb.Heartbeat, ShardID: shard + 1, From: 9, To: 1, Term: 1 << 40}, // no such shard
		{Type: pb.Replicate, ShardID: shard, From: 3, To: 1, Term: 1 << 40},
	} {
		if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(m)); err != nil {
			t.Fatal(err)
		}
	}
	g.nodes[0].engine.Expel(shard, a.peer)
	expelled := heartbeat
	expelled.Term = 1 << 40
	if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(expelled)); err != nil {
		t.Fatal(err)
	}
	dropped(t, c, wire.FrameBatch, []byte("the end")) // so that all before was read
	for i, r := range g.replicas {
		must(t, r, fmt.Sprint("after ", i))
	}
	if _, now, _ := g.replicas[0].Leader(); now >= 1<<40 || now != term {
		t.Errorf("the term went from %d to %d", term, now)
	}
	agree(t, g.recs, 4)
}

// TestUnadmittedPeerGetsNothing has a leader add a replica of a peer that it did not admit.
func TestUnadmittedPeerGetsNothing(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	rec, other := newRecorder(), newRecorder()
	r := nodes[0].start(1, rec, true, nil)
	elect(t, r, rec)
	joiner := nodes[1].start(2, other, false, nil)
	nodes[1].engine.Admit(shard, nodes[0].peer, 1)
	addNonVoting(t, r, nodes[1], 2)
	for i := range 20 {
		must(t, r, fmt.Sprint(i))
	}
	if got := other.entries(); len(got) > 0 {
		t.Errorf("an unadmitted replica applied %d entries", len(got))
	}
	nodes[0].engine.Admit(shard, nodes[1].peer, 2)
	if err := joiner.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
	agree(t, []*recorder{rec, other}, 20)
}

// TestMemberOfAnotherGroupIsNotHeard has a member of one group send messages and snapshots for
// another group on the same node, with the replica ids of that group's members.
func TestMemberOfAnotherGroupIsNotHeard(t *testing.T) {
	t.Parallel()
	const other = shard + 1
	g := newGroup(t, 3, nil)
	must(t, g.replicas[0], "before")
	a := newAdversary(t, g.nodes[0])
	rec := newRecorder()
	theirs := g.nodes[0].start(1, rec, true, func(c *ReplicaConfig) { c.Shard = other })
	elect(t, theirs, rec)
	g.nodes[0].engine.Admit(other, a.peer, 9) // a member of the other group only
	_, term, _ := g.replicas[0].Leader()

	for _, from := range []uint64{2, 3, 9} {
		for _, typ := range []pb.MessageType{pb.Heartbeat, pb.Replicate, pb.RequestVote, pb.TimeoutNow} {
			c := a.dial(link.Raft)
			m := pb.Message{Type: typ, ShardID: shard, From: from, To: 1, Term: 1 << 40}
			if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(m)); err != nil {
				t.Fatal(err)
			}
			dropped(t, c, wire.FrameBatch, []byte("the end")) // so that the message was read
		}
	}
	for _, from := range []uint64{2, 9} {
		chunk := enginetest.Chunk(a.peer)
		chunk.From = from
		dropped(t, a.dial(link.Snapshot), wire.FrameChunk, enginetest.Marshal(&chunk))
	}
	for i, r := range g.replicas {
		must(t, r, fmt.Sprint("after ", i))
	}
	if _, now, _ := g.replicas[0].Leader(); now != term {
		t.Errorf("the term went from %d to %d", term, now)
	}
	agree(t, g.recs, 4)
}
