package raftlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
)

var testIdentity = Identity{
	Shard:       0x0102030405060708,
	Replica:     0x1112131415161718,
	Epoch:       [16]byte{0xe0, 15: 0xef},
	Incarnation: [16]byte{0x10, 15: 0x1f},
}

const (
	goldenHead = "0807060504030201" + "1817161514131211" +
		"e00000000000000000000000000000ef" + "1000000000000000000000000000001f"
	goldenMembers = "0200" + "0200000000000000" + "0300" + "747731" + "0000000000000080" + "0000"
)

// metadataGolden are records of formats 1 and 2. They never change. Those of format 1
// are read, and written as format 2.
var metadataGolden = []struct {
	name   string
	format int
	hex    string
	meta   metadata
}{
	{"identity, 1", 1, "010000" + goldenHead + "0000", metadata{id: testIdentity}},
	{
		"bootstrapped, 1", 1, "010101" + goldenHead + goldenMembers,
		metadata{id: testIdentity, boot: &pb.Bootstrap{Addresses: map[uint64]string{2: "tw1", 1 << 63: ""}, Type: pb.RegularStateMachine}},
	},
	{
		"joined, 1", 1, "010302" + goldenHead + "0000",
		metadata{id: testIdentity, boot: &pb.Bootstrap{Addresses: map[uint64]string{}, Join: true, Type: pb.ConcurrentStateMachine}},
	},
	{"identity", 2, "020000" + goldenHead + "00000000" + "0000", metadata{id: testIdentity}},
	{"level", 2, "020000" + goldenHead + "04030201" + "0000", metadata{id: testIdentity, level: 0x01020304}},
	{
		"bootstrapped", 2, "020101" + goldenHead + "02000000" + goldenMembers,
		metadata{id: testIdentity, level: 2, boot: &pb.Bootstrap{Addresses: map[uint64]string{2: "tw1", 1 << 63: ""}, Type: pb.RegularStateMachine}},
	},
	{
		"joined", 2, "020302" + goldenHead + "03000000" + "0000",
		metadata{id: testIdentity, level: 3, boot: &pb.Bootstrap{Addresses: map[uint64]string{}, Join: true, Type: pb.ConcurrentStateMachine}},
	},
}

func TestMetadataGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range metadataGolden {
		b, err := tt.meta.marshal()
		if got := hex.EncodeToString(b); tt.format == metaFormat && got != tt.hex || err != nil {
			t.Errorf("%s: marshal = %s, %v\nwant %s", tt.name, got, err, tt.hex)
		}
		want, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		for _, b := range [][]byte{want, b} {
			got, err := parseMetadata(b)
			if err != nil {
				t.Errorf("%s: parse %x: %v", tt.name, b, err)
				continue
			}
			if diff := cmp.Diff(&tt.meta, got, cmp.AllowUnexported(metadata{})); diff != "" {
				t.Errorf("%s: parse %x (-want +got):\n%s", tt.name, b, diff)
			}
		}
	}
}

func TestMetadataRefuses(t *testing.T) {
	t.Parallel()
	good, err := metadataGolden[1].meta.marshal()
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	old, err := hex.DecodeString(metadataGolden[1].hex)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{good, old} {
		for n := range b {
			if _, err := parseMetadata(b[:n]); !errors.Is(err, errMeta) {
				t.Errorf("parsing the first %d of %d bytes: %v, want %v", n, len(b), err, errMeta)
			}
		}
	}
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"more bytes":              append(bytes.Clone(good), 0),
		"unknown flag":            change(1, 5),
		"joined, not started":     change(1, 2),
		"members, not started":    change(1, 0),
		"members out of order":    change(metaHead+10+3+7, 0),
		"fewer members":           change(metaHead-2, 1),
		"more members":            change(metaHead-2, 3),
		"later format":            change(0, 3),
		"format 0":                change(0, 0),
		"format 1 of this length": change(0, 1),
		"a target beyond the end": change(metaHead+8, 0xff),
	} {
		if m, err := parseMetadata(b); err == nil {
			t.Errorf("%s: parsed as %+v", name, m)
		}
	}
	for name, boot := range map[string]pb.Bootstrap{
		"long target":   {Addresses: map[uint64]string{1: strings.Repeat("x", math.MaxUint16+1)}},
		"machine type":  {Type: 256},
		"machine type-": {Type: -1},
	} {
		if _, err := (&metadata{boot: &boot}).marshal(); err == nil {
			t.Errorf("%s: marshalled", name)
		}
	}
}

func FuzzParseMetadata(f *testing.F) {
	for _, tt := range metadataGolden {
		b, err := hex.DecodeString(tt.hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMetadata(b)
		if err != nil {
			return
		}
		again, err := m.marshal()
		if err != nil || b[0] == metaFormat && !bytes.Equal(again, b) {
			t.Fatalf("%x was accepted and marshals to %x, %v", b, again, err)
		}
		if back, err := parseMetadata(again); err != nil || !cmp.Equal(m, back, cmp.AllowUnexported(metadata{})) {
			t.Fatalf("%x was accepted and marshals to %x, which reads as %+v, %v", b, again, back, err)
		}
	})
}

func TestIdentityStays(t *testing.T) {
	t.Parallel()
	log := enginetest.MemoryLog(t)
	if p, ok, err := ReadPast(log); ok || err != nil {
		t.Fatalf("ReadPast of an empty log = %+v, %t, %v", p, ok, err)
	}
	id := testIdentity
	id.Shard, id.Replica = routerShard, routerReplica
	if err := Claim(log, id, 0); err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if p, ok, err := ReadPast(log); p != (Past{Identity: id}) || !ok || err != nil {
		t.Errorf("ReadPast of a claimed log = %+v, %t, %v; want %+v, unused", p, ok, err, id)
	}
	r := newTestRouter(t, log, noFailure(t)) // saves bootstrap info
	if err := r.ImportSnapshot(pb.Snapshot{ShardID: routerShard, Index: 3, Term: 1}, routerReplica); err != nil {
		t.Fatalf("ImportSnapshot: %v", err)
	}
	if p, ok, err := ReadPast(log); p.Identity != id || !p.Used || !ok || err != nil {
		t.Errorf("ReadPast = %+v, %t, %v; want %+v, used", p, ok, err, id)
	}
	if err := log.Save(logstore.Batch{Meta: []byte{9}}); err != nil {
		t.Fatalf("Save: %v", err)
	}
	if _, _, err := ReadPast(log); err == nil {
		t.Error("ReadPast accepted metadata of format 9")
	}
	_ = log.Close()
	if _, _, err := ReadPast(log); !errors.Is(err, logstore.ErrClosed) {
		t.Errorf("ReadPast of a closed log: %v, want ErrClosed", err)
	}
	if err := Claim(log, id, 0); !errors.Is(err, logstore.ErrClosed) {
		t.Errorf("Claim to a closed log: %v, want ErrClosed", err)
	}
}
