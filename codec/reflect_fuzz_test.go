package codec_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
)

// Bounds of the memory that decoding may allocate: a fixed part, and a part per
// byte of input.
const (
	allocBase    = 1 << 20
	allocPerByte = 1024
)

// FuzzReflectDecode decodes hostile bytes as several types. Decoding must not panic
// or allocate out of proportion, and accepted values must round-trip.
func FuzzReflectDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		var v Broad
		fill(r, reflect.ValueOf(&v).Elem(), 2)
		f.Add(encode(f, v))
		var transfer Transfer
		fill(r, reflect.ValueOf(&transfer).Elem(), 2)
		f.Add(encode(f, transfer))
	}
	for _, text := range []string{
		"", "c0", "c1", "80", "90", "81 a1'T' c0",
		"ddffffffff", "dfffffffff", "dbffffffff", "c6ffffffff", "c9ffffffff ff",
		"81 a4'Legs' ddffffffff 80", "81 a5'Times' dd00ffffff c0c0c0c0",
		"81 a6'Strings' dcffff",
	} {
		f.Add(bytesOf(f, text))
	}
	f.Fuzz(attackAll)
}

// TestReflectDecodeAllocation decodes hostile inputs that are too long to fuzz. It
// measures the process, so it cannot be parallel.
func TestReflectDecodeAllocation(t *testing.T) {
	nils, empties := bytes.Repeat([]byte{0xc0}, 16383), bytes.Repeat([]byte{0x80}, 16383)
	for _, src := range [][]byte{
		bytes.Repeat([]byte{0x91}, 100_000),
		bytes.Repeat([]byte{0x81, 0xa1, 'k'}, 10_000),
		append([]byte{0xdc, 0x3f, 0xff}, nils...),
		append([]byte{0xdc, 0x3f, 0xff}, empties...),
		numbered(16383, 0x80),
		numbered(16383, 0xc0),
	} {
		attackAll(t, src)
	}
}

func attackAll(t *testing.T, src []byte) {
	attack[Broad](t, src)
	attack[*Transfer](t, src)
	attack[Tree](t, src)
	attack[[]Wide](t, src)
	attack[[]*Wide](t, src)
	attack[[][][]Patch](t, src)
	attack[map[uint16]Wide](t, src)
	attack[map[string][]string](t, src)
	attack[[]map[int8]struct{ P *Patch }](t, src)
	attack[Raw](t, src)
}

func attack[C any](t *testing.T, src []byte) {
	t.Helper()
	c := codec.Reflect[C]()
	given := bytes.Clone(src)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := c.Decode(src)
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(allocBase+allocPerByte*len(src)); got > limit {
		t.Fatalf("decoding %d bytes as %T allocated %d bytes, more than %d", len(src), v, got, limit)
	}
	if !bytes.Equal(src, given) {
		t.Fatal("Decode changed its input")
	}
	if err != nil {
		return
	}
	b, err := c.Append(nil, v)
	if err != nil {
		t.Fatalf("Append of the decoded value: %v", err)
	}
	again, err := c.Decode(b)
	if err != nil {
		t.Fatalf("Decode of the encoded value: %v", err)
	}
	if diff := cmp.Diff(v, again, equalities); diff != "" {
		t.Fatalf("round trip (-want +got):\n%s", diff)
	}
}
