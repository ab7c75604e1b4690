package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// batchOf returns a batch as our transport sends it.
func batchOf(messages ...pb.Message) pb.MessageBatch {
	return pb.MessageBatch{DeploymentId: 1, BinVer: raftio.TransportBinVersion, Requests: messages}
}

func marshal(m interface {
	Marshal() ([]byte, error)
}) []byte {
	b, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

// goodChunk is the only chunk of a snapshot.
func goodChunk(target sm.PeerID) pb.Chunk {
	return pb.Chunk{
		ShardID: shard, ReplicaID: 1, From: 9, Index: 100, Term: 1, DeploymentId: 1, BinVer: raftio.TransportBinVersion,
		ChunkCount: 1, FileChunkCount: 1, ChunkSize: 4, FileSize: 4, Data: []byte("data"),
		Filepath:   "/elsewhere/snapshot-0000000000000064.gbsnap",
		Membership: pb.Membership{ConfigChangeId: 1, Addresses: map[uint64]string{9: target.String()}},
	}
}

// dropped writes a frame and waits until the other end hangs up.
func dropped(t *testing.T, c *link.Conn, kind uint8, frame []byte) {
	t.Helper()
	defer c.Close()
	if err := c.WriteFrame(kind, frame); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
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

// adversaries counts them, so that each has an identity of its own.
var adversaries atomic.Int32

func newAdversary(t *testing.T, victim *node) *adversary {
	t.Helper()
	l, peer := listen(t, victim.book, byte(99+adversaries.Add(1)%100))
	l.Serve()
	t.Cleanup(func() { l.Close() })
	return &adversary{t, l, peer, victim}
}

func (a *adversary) dial(p link.Protocol) *link.Conn {
	a.t.Helper()
	addr, err := a.victim.book.get(a.victim.peer)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := a.link.Dial(within(a.t), addr, a.victim.peer, p)
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
		return marshal(ptr(batchOf(m)))
	}
	badRaft := map[string][]byte{
		"noise":           []byte("noise"),
		"truncated":       marshal(ptr(batchOf(heartbeat)))[:20],
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
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{change(pb.AddNode, 5, "nowhere")}
		}),
		"a witness": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{change(pb.AddWitness, 5, a.peer.String())}
		}),
		"another's client": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{{Key: 1, ClientID: 77, SeriesID: 5}}
		}),
		"compressed": with(func(m *pb.Message) {
			m.Type, m.Term, m.Entries = pb.Propose, 0, []pb.Entry{{Type: pb.EncodedEntry, Key: 1, ClientID: proposalClient, Cmd: []byte{2, 0}}}
		}),
	}
	for i := range int32(40) {
		if typ := pb.MessageType(i); !travels[typ] {
			badRaft[fmt.Sprint("type ", i)] = with(func(m *pb.Message) { m.Type = typ })
		}
	}
	for what, frame := range badRaft {
		t.Run(what, func(t *testing.T) {
			a.t = t
			dropped(t, a.dial(link.Raft), frameBatch, frame)
		})
	}
	a.t = t
	dropped(t, a.dial(link.Raft), frameChunk, marshal(ptr(batchOf(heartbeat))))
	dropped(t, a.dial(link.Raft), frameDone, nil)
	dropped(t, a.dial(link.Snapshot), frameBatch, marshal(ptr(batchOf(heartbeat))))
	dropped(t, a.dial(link.Snapshot), frameDone, nil)

	g.replicas[0].believe(9) // others' snapshots are not looked at
	badChunks := map[string]func(*pb.Chunk){
		"index":             func(c *pb.Chunk) { c.Index, c.Filepath = 1<<63, raftFile(1<<63) },
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
			c.FileSize, c.ChunkCount, c.FileChunkCount, c.ChunkId, c.FileChunkId = chunkSize+4, 2, 2, 1, 1
		},
	}
	for what, spoil := range badChunks {
		t.Run("chunk "+what, func(t *testing.T) {
			a.t = t
			c := goodChunk(a.peer)
			spoil(&c)
			dropped(t, a.dial(link.Snapshot), frameChunk, marshal(&c))
		})
	}
	a.t = t

	// Well-formed lies are dropped: none of these depose the leader.
	c := a.dial(link.Raft)
	defer c.Close()
	_, term, _ := g.replicas[0].Leader()
	for _, m := range []pb.Message{
		{Type: pb.Heartbeat, ShardID: shard, From: 2, To: 1, Term: 1 << 40},     // another's replica
		{Type: pb.Heartbeat, ShardID: shard, From: 9, To: 2, Term: 1 << 40},     // not here
		{Type: pb.Heartbeat, ShardID: shard + 1, From: 9, To: 1, Term: 1 << 40}, // no such shard
		{Type: pb.Replicate, ShardID: shard, From: 3, To: 1, Term: 1 << 40},
	} {
		if err := c.WriteFrame(frameBatch, marshal(ptr(batchOf(m)))); err != nil {
			t.Fatal(err)
		}
	}
	g.nodes[0].engine.Expel(shard, a.peer)
	expelled := heartbeat
	expelled.Term = 1 << 40
	if err := c.WriteFrame(frameBatch, marshal(ptr(batchOf(expelled)))); err != nil {
		t.Fatal(err)
	}
	dropped(t, c, frameBatch, []byte("the end")) // so that all before was read
	for i, r := range g.replicas {
		must(t, r, fmt.Sprint("after ", i))
	}
	if _, now, _ := g.replicas[0].Leader(); now >= 1<<40 || now != term {
		t.Errorf("the term went from %d to %d", term, now)
	}
	agree(t, g.recs, 4)
}

// believe makes a replica take another for the leader of its term.
func (r *Replica) believe(leader uint64) {
	r.claims.mu.Lock()
	defer r.claims.mu.Unlock()
	r.claims.term, r.claims.leader, r.claims.heard = r.engine.router.find(r.shard, r.id).term.Load(), leader, time.Now()
}

func ptr[T any](v T) *T { return &v }

// change returns the entry of a membership change.
func change(typ pb.ConfigChangeType, replica uint64, target string) pb.Entry {
	c := pb.ConfigChange{Type: typ, ReplicaID: replica, Address: target}
	return pb.Entry{Type: pb.ConfigChangeEntry, Key: 1, Cmd: marshal(&c)}
}

func TestCheckMembership(t *testing.T) {
	t.Parallel()
	a, b := sm.PeerID{1}.String(), sm.PeerID{2}.String()
	good := func() *pb.Membership {
		return &pb.Membership{ConfigChangeId: 1, Addresses: map[uint64]string{1: a}, NonVotings: map[uint64]string{2: b},
			Removed: map[uint64]bool{3: true}}
	}
	if err := checkMembership(good()); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*pb.Membership){
		"no change id":  func(m *pb.Membership) { m.ConfigChangeId = 0 },
		"no voters":     func(m *pb.Membership) { m.Addresses = nil },
		"a witness":     func(m *pb.Membership) { m.Witnesses = map[uint64]string{4: a} },
		"replica 0":     func(m *pb.Membership) { m.Addresses[0] = a },
		"a bad target":  func(m *pb.Membership) { m.NonVotings[2] = "nowhere" },
		"removed voter": func(m *pb.Membership) { m.Removed[1] = true },
		"voter and not": func(m *pb.Membership) { m.NonVotings[1] = a },
		"upper-case id": func(m *pb.Membership) { m.Addresses[1] = "AB" + a[2:] },
	} {
		m := good()
		spoil(m)
		if err := checkMembership(m); !errors.Is(err, errBad) {
			t.Errorf("%s: %v; want errBad", what, err)
		}
		c := goodChunk(sm.PeerID{1})
		c.Membership = *m
		if _, err := decodeChunk(marshal(&c)); !errors.Is(err, errBad) {
			t.Errorf("chunk with %s: %v; want errBad", what, err)
		}
	}
}

// TestUnadmittedPeerGetsNothing has a leader add a replica of a peer that it
// did not admit.
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
	if got := other.history(); len(got) > 0 {
		t.Errorf("an unadmitted replica applied %d entries", len(got))
	}
	nodes[0].engine.Admit(shard, nodes[1].peer, 2)
	if err := joiner.ReadIndex(within(t)); err != nil {
		t.Fatal(err)
	}
	agree(t, []*recorder{rec, other}, 20)
}

func TestAdmissions(t *testing.T) {
	t.Parallel()
	p := newPeers()
	a, b := sm.PeerID{1}, sm.PeerID{2}
	if !p.admit(1, 10, a) || p.admit(1, 10, b) {
		t.Error("a replica must belong to the first peer that is admitted for it")
	}
	if !p.speaksFor(a, 1, 10) || p.speaksFor(b, 1, 10) || p.speaksFor(a, 2, 10) || p.speaksFor(a, 1, 11) {
		t.Error("a speaks for replica 10 of shard 1 and nothing else")
	}
	if !p.admit(1, 11, a) || p.speaksFor(a, 1, 10) || !p.speaksFor(a, 1, 11) {
		t.Error("a new replica must take the place of the old one")
	}
	now := time.Now()
	p.missed(a, now)
	if !p.pausing(a, now) || p.pausing(a, now.Add(minPause)) {
		t.Error("a peer that was not reached must be left alone for a while")
	}
	p.missed(a, now)
	if !p.pausing(a, now.Add(minPause)) || p.pausing(a, now.Add(maxPause)) {
		t.Error("the second pause must be longer than the first")
	}
	if p.admit(1, 11, a); p.pausing(a, now) {
		t.Error("a peer that is admitted again must be dialled at once")
	}
	p.missed(a, now)
	if p.reached(a); p.pausing(a, now) {
		t.Error("a peer that dialled us must be dialled at once")
	}
	p.expel(1, a)
	if p.speaksFor(a, 1, 11) || p.admit(1, 11, b) {
		t.Error("an expelled peer must not speak, and keeps its replica ids")
	}
	if len(p.known) != 0 {
		t.Errorf("%d peers are remembered for nothing", len(p.known))
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	var entries []pb.Entry
	for i := range uint64(30) {
		entries = append(entries, pb.Entry{Index: 11 + i, Term: 3 + i/10, Cmd: make([]byte, 1<<20)})
	}
	small := pb.Message{Type: pb.Heartbeat, From: 1, To: 2, Term: 9}
	big := pb.Message{Type: pb.Replicate, From: 1, To: 2, Term: 9, LogIndex: 10, LogTerm: 3, Entries: entries, Commit: 12}
	var got []pb.Message
	pieces := 0
	err := cut(batchOf(small, big, small, small), func(b pb.MessageBatch) error {
		if n := b.SizeUpperLimit(); n > batchAim+1<<10 {
			t.Errorf("a piece of %d bytes", n)
		}
		pieces++
		got = append(got, b.Requests...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pieces < 8 || got[0].Type != pb.Heartbeat || got[len(got)-1].Type != pb.Heartbeat {
		t.Errorf("%d pieces, %d messages", pieces, len(got))
	}
	index, term := uint64(10), uint64(3)
	for _, m := range got {
		if m.Type != pb.Replicate {
			continue
		}
		if m.LogIndex != index || m.LogTerm != term || m.Commit != 12 {
			t.Errorf("append after %d (term %d), want %d (term %d)", m.LogIndex, m.LogTerm, index, term)
		}
		for _, e := range m.Entries {
			index, term = e.Index, e.Term
		}
	}
	if index != 40 {
		t.Errorf("the last entry is %d, want 40", index)
	}
}

// mutate flips some bytes.
func mutate(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(4) {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	return b
}

// samples are bytes that decode.
func samples() (batches, chunks [][]byte) {
	peer := sm.PeerID{7}
	messages := []pb.Message{
		{Type: pb.Heartbeat, ShardID: 1, From: 2, To: 3, Term: 4, Commit: 5},
		{Type: pb.Propose, ShardID: 1, From: 2, To: 3, Entries: []pb.Entry{change(pb.AddNode, 5, peer.String()),
			{Type: pb.EncodedEntry, Key: 1, ClientID: proposalClient, Cmd: []byte("\x00data")}}},
		{Type: pb.Replicate, ShardID: 1, From: 2, To: 3, Term: 4, LogIndex: 1, LogTerm: 2, Entries: []pb.Entry{{Index: 2, Term: 3}}},
	}
	for _, m := range messages {
		batches = append(batches, marshal(ptr(batchOf(m))))
	}
	batches = append(batches, marshal(ptr(batchOf(messages...))))
	return batches, [][]byte{marshal(ptr(goodChunk(peer)))}
}

func TestMutatedBytesDoNotPanic(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	batches, chunks := samples()
	for _, b := range batches {
		if _, err := decodeBatch(b); err != nil {
			t.Fatalf("sample: %v", err)
		}
		for range 20_000 {
			decodeBatch(mutate(r, b))
		}
	}
	for _, b := range chunks {
		if _, err := decodeChunk(b); err != nil {
			t.Fatalf("sample: %v", err)
		}
		for range 20_000 {
			decodeChunk(mutate(r, b))
		}
	}
}

// FuzzBatch checks that what decodes keeps its promises and encodes again.
func FuzzBatch(f *testing.F) {
	batches, _ := samples()
	for _, b := range batches {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := decodeBatch(b)
		if err != nil {
			return
		}
		for _, m := range batch.Requests {
			if !travels[m.Type] || m.From == 0 || m.To == 0 || !pb.IsEmptySnapshot(m.Snapshot) {
				t.Errorf("accepted %+v", m)
			}
		}
		if _, err := decodeBatch(marshal(&batch)); err != nil {
			t.Errorf("does not decode again: %v", err)
		}
	})
}

// FuzzChunk is FuzzBatch for pieces of snapshots.
func FuzzChunk(f *testing.F) {
	_, chunks := samples()
	for _, b := range chunks {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		chunk, err := decodeChunk(b)
		if err != nil {
			return
		}
		if want := raftFile(chunk.Index); chunk.Filepath != want {
			t.Errorf("accepted the path %q", chunk.Filepath)
		}
		if _, err := decodeChunk(marshal(&chunk)); err != nil {
			t.Errorf("does not decode again: %v", err)
		}
	})
}

// TestMemberOfAnotherGroupIsNotHeard has a member of one group send messages and
// snapshots for another that runs on the same node, with the replica ids of those
// who are its members.
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
			if err := c.WriteFrame(frameBatch, marshal(ptr(batchOf(m)))); err != nil {
				t.Fatal(err)
			}
			dropped(t, c, frameBatch, []byte("the end")) // so that the message was read
		}
	}
	for _, from := range []uint64{2, 9} {
		chunk := goodChunk(a.peer)
		chunk.From = from
		dropped(t, a.dial(link.Snapshot), frameChunk, marshal(&chunk))
	}
	for i, r := range g.replicas {
		must(t, r, fmt.Sprint("after ", i))
	}
	if _, now, _ := g.replicas[0].Leader(); now != term {
		t.Errorf("the term went from %d to %d", term, now)
	}
	agree(t, g.recs, 4)
}
