package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// decoding is what dragonboat's decoders may allocate: errors included.
var decoding = alloc.Bound{PerByte: maxExpansion, Fixed: 2 << 10}

// bombs returns batches that claim much, of about size bytes.
func bombs(size int) map[string][]byte {
	field := func(tag byte, content []byte) []byte {
		n := len(content)
		out := []byte{tag}
		for ; n >= 0x80; n >>= 7 {
			out = append(out, byte(n)|0x80)
		}
		return append(append(out, byte(n)), content...)
	}
	empty := marshal(&pb.Message{Type: pb.Heartbeat, From: 1, To: 2, Term: 1})
	of := func(what []byte) []byte { return field(1<<3|2, append(bytes.Clone(empty), what...)) }
	repeat := func(b []byte) []byte { return bytes.Repeat(b, size/len(b)) }
	return map[string][]byte{
		"messages of no bytes":      repeat([]byte{1<<3 | 2, 0}),
		"least messages":            repeat(field(1<<3|2, empty)),
		"messages apart":            repeat(append(field(1<<3|2, empty), 2<<3, 1)),
		"entries of no bytes":       of(repeat([]byte{11<<3 | 2, 0})),
		"blank entries":             of(repeat([]byte{11<<3 | 2, 1, 0x7f})),
		"least entries":             of(repeat(field(11<<3|2, []byte{0, 1, 1, 1, 0x7f}))),
		"entries of one byte":       of(repeat(field(11<<3|2, []byte{0, 1, 1, 1, 7, 1, 9, 0x7f}))),
		"entries apart":             of(repeat(append(field(11<<3|2, []byte{0, 1, 1, 1, 0x7f}), 1<<3, 1))),
		"one entry for each":        repeat(of(field(11<<3|2, []byte{0, 1, 1, 1, 0x7f}))),
		"members in snapshots":      of(field(12<<3|2, field(6<<3|2, repeat([]byte{0x1a, 3, 8, 1, 16})))),
		"files in snapshots":        of(field(12<<3|2, repeat([]byte{0x2a, 0}))),
		"snapshots of a byte":       of(repeat([]byte{12<<3 | 2, 0})),
		"the senders' addresses":    repeat(field(3<<3|2, make([]byte, 64))),
		"a long sender's address":   field(3<<3|2, repeat([]byte{'x'})),
		"numbers":                   repeat([]byte{2 << 3, 1}),
		"changes of the membership": of(repeat(field(11<<3|2, []byte{0, 1, 1, 1, 2, 1, 7, 4, 8, 0, 16, 1, 0x7f}))),
	}
}

// chunkBombs does so for pieces of snapshots.
func chunkBombs(size int) map[string][]byte {
	chunk := marshal(ptr(goodChunk(sm.PeerID{1})))
	long := func(tag []byte, content []byte) []byte {
		out := bytes.Clone(tag)
		n := len(content)
		for ; n >= 0x80; n >>= 7 {
			out = append(out, byte(n)|0x80)
		}
		return append(append(append(out, byte(n)), content...), chunk...)
	}
	repeat := func(b []byte) []byte { return bytes.Repeat(b, size/len(b)) }
	var removed, voters, nobody []byte
	for i := 0; len(removed) < size; i++ {
		k := []byte{byte(i) | 0x80, byte(i>>7) | 0x80, byte(i >> 14)}
		removed = append(append(append(removed, 0x1a, 6, 8), k...), 16, 1)
		nobody = append(append(nobody, 0x12, 4, 8), k...)
	}
	for i := 0; len(voters) < size; i++ {
		k := []byte{byte(i) | 0x80, byte(i>>7) | 0x80, byte(i >> 14)}
		voters = append(append(append(append(voters, 0x12, 70, 8), k...), 0x12, 64), make([]byte, 64)...)
	}
	return map[string][]byte{
		"data again and again":  append(repeat(append([]byte{7<<3 | 2, 0x80, 8}, make([]byte, 1024)...)), chunk...),
		"paths":                 append(repeat([]byte{12<<3 | 2, 1, 'x'}), chunk...),
		"a long path":           long([]byte{12<<3 | 2}, make([]byte, size)),
		"memberships":           append(repeat([]byte{10<<3 | 2, 0}), chunk...),
		"removed replicas":      long([]byte{10<<3 | 2}, removed),
		"voters":                long([]byte{10<<3 | 2}, voters),
		"voters without target": long([]byte{10<<3 | 2}, nobody),
		"metadata of a file":    long([]byte{18<<3&0x7f | 0x80 | 2, 1}, append([]byte{5<<3 | 2}, long(nil, make([]byte, size))...)),
	}
}

// TestDecodersAllocateWhatTheyRead measures what decoding allocates, over the seeds of
// the fuzz targets, what becomes of them, and what is made to claim as much as can be.
func TestDecodersAllocateWhatTheyRead(t *testing.T) {
	batches, chunks := samples()
	batch := func(b []byte) { decodeBatch(b) }
	chunk := func(b []byte) { decodeChunk(b) }
	decoding.Check(t, batch, alloc.Variants(batches...)...)
	decoding.Check(t, chunk, alloc.Variants(chunks...)...)
	for _, size := range []int{64, 1 << 10, 64 << 10, 1 << 20} {
		for what, bomb := range bombs(size) {
			t.Run(what, func(t *testing.T) { decoding.Check(t, batch, bomb) })
		}
		for what, bomb := range chunkBombs(size) {
			t.Run("chunk with "+what, func(t *testing.T) { decoding.Check(t, chunk, bomb) })
		}
	}
}

// TestHonestBatchesPassTheScan encodes the largest batches that cut makes.
func TestHonestBatchesPassTheScan(t *testing.T) {
	t.Parallel()
	heartbeat := pb.Message{Type: pb.Heartbeat, From: 1, To: 2, Term: 9}
	appends := pb.Message{Type: pb.Replicate, From: 1, To: 2, Term: 9}
	for i := range uint64(100_000) {
		appends.Entries = append(appends.Entries, pb.Entry{Index: i + 1, Term: 1})
	}
	big := pb.Message{Type: pb.Propose, From: 1, To: 2, Entries: []pb.Entry{
		{Type: pb.EncodedEntry, Key: 1, ClientID: proposalClient, Cmd: make([]byte, MaxProposal+1)}}}
	batch := batchOf(appends, big, heartbeat)
	for range 100_000 {
		batch.Requests = append(batch.Requests, heartbeat)
	}
	messages, entries := 0, 0
	err := cut(batch, func(piece pb.MessageBatch) error {
		got, err := decodeBatch(marshal(&piece))
		for _, m := range got.Requests {
			messages++
			entries += len(m.Entries)
		}
		return err
	})
	if err != nil || messages < len(batch.Requests) || entries != len(appends.Entries)+1 {
		t.Errorf("%d messages and %d entries arrive, with %v", messages, entries, err)
	}
}

// TestMemoryBomb has peers send frames that used to cost 150 times their length: one
// without a bond, of which nothing is read, and a member, whose frame is not decoded.
func TestMemoryBomb(t *testing.T) {
	g := newGroup(t, 1, nil)
	victim := g.nodes[0]
	a := newAdversary(t, victim)
	bomb := bytes.Repeat([]byte{1<<3 | 2, 0}, maxBatch/2) // messages of no bytes
	for _, admitted := range []bool{false, true} {
		c := a.dial(link.Raft)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if admitted {
			victim.engine.Admit(shard, a.peer, 9)
		} else if err := c.SetWriteDeadline(time.Now().Add(time.Second / 2)); err != nil {
			t.Fatal(err)
		}
		err := c.WriteFrame(frameBatch, bomb) // more than the system's buffers hold
		if !admitted {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a large frame of a stranger is read: %v", err)
			}
			c.Close()
		} else {
			hungUp(t, c)
		}
		runtime.ReadMemStats(&after)
		// The sender's part is one copy of the frame, the reader's memory doubles until
		// the frame has room.
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(6*len(bomb)); got > most {
			t.Errorf("admitted: %v: a frame of %d bytes costs %d, want %d at most", admitted, len(bomb), got, most)
		}
	}
	must(t, g.replicas[0], "after")
}

// TestLargeFrameWaitsForTheAnnouncement has peers send large frames before they are
// admitted. Each is read once its sender is.
func TestLargeFrameWaitsForTheAnnouncement(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1, nil)
	for i := range uint64(8) {
		a := newAdversary(t, g.nodes[0])
		c := a.dial(link.Raft)
		defer c.Close()
		data := append([]byte{plainPayload, byte(i)}, make([]byte, 100<<10)...)
		m := pb.Message{Type: pb.Propose, ShardID: shard, From: 9 + i, To: 1,
			Entries: []pb.Entry{{Type: pb.EncodedEntry, Key: 1 + i, ClientID: proposalClient, Cmd: data}}}
		if err := c.WriteFrame(frameBatch, marshal(ptr(batchOf(m)))); err != nil {
			t.Fatal(err)
		}
		g.nodes[0].engine.Admit(shard, a.peer, 9+i)
	}
	rec := g.recs[0]
	rec.wait(t, "all proposals to be applied", func() bool { return len(rec.applied) == 8 })
}

// hungUp waits until the other end hangs up.
func hungUp(t *testing.T, c *link.Conn) {
	t.Helper()
	defer c.Close()
	ctx := within(t)
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, _, err := c.ReadFrame(1, nil); err == nil {
		t.Error("the victim answered")
	}
	if ctx.Err() != nil {
		t.Error("the victim keeps the connection")
	}
}
