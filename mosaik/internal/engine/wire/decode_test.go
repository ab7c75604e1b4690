package wire

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

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
		if err := checkMembership(m); !errors.Is(err, ErrBad) {
			t.Errorf("%s: %v; want ErrBad", what, err)
		}
		c := enginetest.Chunk(sm.PeerID{1})
		c.Membership = *m
		if _, err := DecodeChunk(enginetest.Marshal(&c)); !errors.Is(err, ErrBad) {
			t.Errorf("chunk with %s: %v; want ErrBad", what, err)
		}
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
	err := Cut(enginetest.Batch(small, big, small, small), func(b pb.MessageBatch) error {
		if n := b.SizeUpperLimit(); n > cutSize+1<<10 {
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

// samples returns bytes that decode.
func samples() (batches, chunks [][]byte) {
	peer := sm.PeerID{7}
	messages := []pb.Message{
		{Type: pb.Heartbeat, ShardID: 1, From: 2, To: 3, Term: 4, Commit: 5},
		{Type: pb.Propose, ShardID: 1, From: 2, To: 3, Entries: []pb.Entry{enginetest.Change(pb.AddNode, 5, peer.String()),
			{Type: pb.EncodedEntry, Key: 1, ClientID: ProposalClient, Cmd: []byte("\x00data")}}},
		{Type: pb.Replicate, ShardID: 1, From: 2, To: 3, Term: 4, LogIndex: 1, LogTerm: 2, Entries: []pb.Entry{{Index: 2, Term: 3}}},
	}
	for _, m := range messages {
		batches = append(batches, enginetest.Frame(m))
	}
	batches = append(batches, enginetest.Frame(messages...))
	return batches, [][]byte{enginetest.Marshal(new(enginetest.Chunk(peer)))}
}

func TestMutatedBytesDoNotPanic(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	batches, chunks := samples()
	for _, b := range batches {
		if _, err := DecodeBatch(b); err != nil {
			t.Fatalf("sample: %v", err)
		}
		for range 20_000 {
			DecodeBatch(mutate(r, b))
		}
	}
	for _, b := range chunks {
		if _, err := DecodeChunk(b); err != nil {
			t.Fatalf("sample: %v", err)
		}
		for range 20_000 {
			DecodeChunk(mutate(r, b))
		}
	}
}

// FuzzBatch checks that decoded batches meet the guarantees of DecodeBatch and decode again.
func FuzzBatch(f *testing.F) {
	batches, _ := samples()
	for _, b := range batches {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := DecodeBatch(b)
		if err != nil {
			return
		}
		for _, m := range batch.Requests {
			if !travels[m.Type] || m.From == 0 || m.To == 0 || !pb.IsEmptySnapshot(m.Snapshot) {
				t.Errorf("accepted %+v", m)
			}
		}
		if _, err := DecodeBatch(enginetest.Marshal(&batch)); err != nil {
			t.Errorf("does not decode again: %v", err)
		}
	})
}

// FuzzChunk is FuzzBatch for chunks of snapshots.
func FuzzChunk(f *testing.F) {
	_, chunks := samples()
	for _, b := range chunks {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		chunk, err := DecodeChunk(b)
		if err != nil {
			return
		}
		if want := SnapshotFile(chunk.Index); chunk.Filepath != want {
			t.Errorf("accepted the path %q", chunk.Filepath)
		}
		if _, err := DecodeChunk(enginetest.Marshal(&chunk)); err != nil {
			t.Errorf("does not decode again: %v", err)
		}
	})
}

// A term that leaves room for no later one ends all elections.
func TestLargestTermIsRefused(t *testing.T) {
	t.Parallel()
	heartbeat := pb.Message{Type: pb.Heartbeat, From: 1, To: 2, Term: math.MaxUint64}
	if _, err := DecodeBatch(enginetest.Frame(heartbeat)); !errors.Is(err, ErrBad) {
		t.Errorf("a heartbeat of term %d: %v, want ErrBad", heartbeat.Term, err)
	}
}
