package wire

import (
	"bytes"
	"slices"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

// decoding bounds what decoding allocates, errors included.
var decoding = alloc.Bound{PerByte: maxExpansion, Fixed: 2 << 10}

// bombs returns batches of about size bytes that make a naive decoder allocate much more.
func bombs(size int) map[string][]byte {
	field := func(tag byte, content []byte) []byte {
		n := len(content)
		out := []byte{tag}
		for ; n >= 0x80; n >>= 7 {
			out = append(out, byte(n)|0x80)
		}
		return append(append(out, byte(n)), content...)
	}
	empty := enginetest.Marshal(&pb.Message{Type: pb.Heartbeat, From: 1, To: 2, Term: 1})
	of := func(what []byte) []byte { return field(1<<3|2, append(bytes.Clone(empty), what...)) }
	repeat := func(b []byte) []byte { return bytes.Repeat(b, size/len(b)) }
	return map[string][]byte{
		"messages of no bytes":           repeat([]byte{1<<3 | 2, 0}),
		"least messages":                 repeat(field(1<<3|2, empty)),
		"messages that are not adjacent": repeat(append(field(1<<3|2, empty), 2<<3, 1)),
		"entries of no bytes":            of(repeat([]byte{11<<3 | 2, 0})),
		"blank entries":                  of(repeat([]byte{11<<3 | 2, 1, 0x7f})),
		"least entries":                  of(repeat(field(11<<3|2, []byte{0, 1, 1, 1, 0x7f}))),
		"entries of one byte":            of(repeat(field(11<<3|2, []byte{0, 1, 1, 1, 7, 1, 9, 0x7f}))),
		"entries that are not adjacent":  of(repeat(append(field(11<<3|2, []byte{0, 1, 1, 1, 0x7f}), 1<<3, 1))),
		"one entry for each":             repeat(of(field(11<<3|2, []byte{0, 1, 1, 1, 0x7f}))),
		"members in snapshots":           of(field(12<<3|2, field(6<<3|2, repeat([]byte{0x1a, 3, 8, 1, 16})))),
		"files in snapshots":             of(field(12<<3|2, repeat([]byte{0x2a, 0}))),
		"snapshots of a byte":            of(repeat([]byte{12<<3 | 2, 0})),
		"the senders' addresses":         repeat(field(3<<3|2, make([]byte, 64))),
		"a long sender's address":        field(3<<3|2, repeat([]byte{'x'})),
		"numbers":                        repeat([]byte{2 << 3, 1}),
		"changes of the membership":      of(repeat(field(11<<3|2, []byte{0, 1, 1, 1, 2, 1, 7, 4, 8, 0, 16, 1, 0x7f}))),
	}
}

// chunkBombs returns such chunks of snapshots.
func chunkBombs(size int) map[string][]byte {
	chunk := enginetest.Marshal(new(enginetest.Chunk(sm.PeerID{1})))
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

// TestDecodersAllocateWhatTheyRead measures what decoding allocates: over the seeds of the fuzz
// targets, variants of them, and bombs.
func TestDecodersAllocateWhatTheyRead(t *testing.T) {
	batches, chunks := samples()
	batch := func(b []byte) { DecodeBatch(b) }
	chunk := func(b []byte) { DecodeChunk(b) }
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

// TestHonestBatchesPassTheScan encodes the largest batches that Cut makes.
func TestHonestBatchesPassTheScan(t *testing.T) {
	t.Parallel()
	heartbeat := pb.Message{Type: pb.Heartbeat, From: 1, To: 2, Term: 9}
	appends := pb.Message{Type: pb.Replicate, From: 1, To: 2, Term: 9}
	for i := range uint64(100_000) {
		appends.Entries = append(appends.Entries, pb.Entry{Index: i + 1, Term: 1})
	}
	big := pb.Message{Type: pb.Propose, From: 1, To: 2, Entries: []pb.Entry{
		{Type: pb.EncodedEntry, Key: 1, ClientID: ProposalClient, Cmd: make([]byte, MaxProposal+1)}}}
	batch := enginetest.Batch(appends, big, heartbeat)
	for range 100_000 {
		batch.Requests = append(batch.Requests, heartbeat)
	}
	messages, entries := 0, 0
	err := Cut(batch, func(piece pb.MessageBatch) error {
		got, err := DecodeBatch(enginetest.Marshal(&piece))
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

// BenchmarkScan is the part of BenchmarkReceive that checks the encoding of 64 messages.
func BenchmarkScan(b *testing.B) {
	answer := pb.Message{Type: pb.HeartbeatResp, ShardID: enginetest.Shard, From: 1, To: 2, Term: 3}
	frame := enginetest.Frame(slices.Repeat([]pb.Message{answer}, 64)...)
	b.ReportAllocs()
	for b.Loop() {
		if err := scanBatch(frame); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(64*b.N), "ns/message")
}
