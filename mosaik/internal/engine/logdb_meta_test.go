package engine

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
)

var testIdentity = Identity{
	Shard:       0x0102030405060708,
	Replica:     0x1112131415161718,
	Epoch:       [16]byte{0xe0, 15: 0xef},
	Incarnation: [16]byte{0x10, 15: 0x1f},
}

// metadataGolden are records of format 1. They never change.
var metadataGolden = []struct {
	name string
	hex  string
	meta metadata
}{
	{
		"identity", "010000" + "0807060504030201" + "1817161514131211" +
			"e00000000000000000000000000000ef" + "1000000000000000000000000000001f" + "0000",
		metadata{id: testIdentity},
	},
	{
		"bootstrapped", "010101" + "0807060504030201" + "1817161514131211" +
			"e00000000000000000000000000000ef" + "1000000000000000000000000000001f" +
			"0200" + "0200000000000000" + "0300" + "747731" + "0000000000000080" + "0000",
		metadata{id: testIdentity, boot: &pb.Bootstrap{Addresses: map[uint64]string{2: "tw1", 1 << 63: ""}, Type: pb.RegularStateMachine}},
	},
	{
		"joined", "010302" + "0807060504030201" + "1817161514131211" +
			"e00000000000000000000000000000ef" + "1000000000000000000000000000001f" + "0000",
		metadata{id: testIdentity, boot: &pb.Bootstrap{Addresses: map[uint64]string{}, Join: true, Type: pb.ConcurrentStateMachine}},
	},
}

func TestMetadataGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range metadataGolden {
		b, err := tt.meta.marshal()
		if got := hex.EncodeToString(b); got != tt.hex || err != nil {
			t.Errorf("%s: marshal = %s, %v\nwant %s", tt.name, got, err, tt.hex)
		}
		want, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got, err := parseMetadata(want)
		if err != nil {
			t.Errorf("%s: parse: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(&tt.meta, got, cmp.AllowUnexported(metadata{})); diff != "" {
			t.Errorf("%s: parse (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestMetadataRefuses(t *testing.T) {
	t.Parallel()
	good, err := metadataGolden[1].meta.marshal()
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	for n := range good {
		if _, err := parseMetadata(good[:n]); !errors.Is(err, errMeta) {
			t.Errorf("parsing the first %d of %d bytes: %v, want %v", n, len(good), err, errMeta)
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
		"fewer members":           change(51, 1),
		"more members":            change(51, 3),
		"later format":            change(0, 2),
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
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was accepted and marshals to %x, %v", b, again, err)
		}
	})
}

func TestIdentityStays(t *testing.T) {
	t.Parallel()
	log := newMemoryLog(t)
	if p, ok, err := ReadPast(log); ok || err != nil {
		t.Fatalf("ReadPast of an empty log = %+v, %t, %v", p, ok, err)
	}
	id := testIdentity
	id.Shard, id.Replica = routerShard, routerReplica
	if err := Claim(log, id); err != nil {
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
	if err := Claim(log, id); !errors.Is(err, logstore.ErrClosed) {
		t.Errorf("Claim to a closed log: %v, want ErrClosed", err)
	}
}
