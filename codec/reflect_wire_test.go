package codec_test

import (
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/codec"
)

// equalities compares what Reflect restores: unexported fields are not.
var equalities = cmp.Options{
	cmp.AllowUnexported(Text{}, Hex{}, Raw{}, hidden{}, Broad{}),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a == b }), // also the same zone
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }),
	cmpopts.IgnoreUnexported(Point{}),
	cmpopts.IgnoreFields(Broad{}, "Skipped", "private"),
}

// wire is one value with its encoding and others that decode to it.
type wire interface {
	name() string
	run(t *testing.T)
}

type vector[C any] struct {
	what  string
	value C
	bytes string
	also  []string
}

func (v vector[C]) name() string { return v.what }

func (v vector[C]) run(t *testing.T) {
	c := codec.Reflect[C]()
	got, err := c.Append([]byte("before"), v.value)
	if err != nil {
		if strconv.IntSize == 32 && strings.Contains(err.Error(), "has 32 bits here") {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	want := append([]byte("before"), bytesOf(t, v.bytes)...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("encoding of %+v (-want +got):\n%s", v.value, diff)
	}
	for _, text := range append([]string{v.bytes}, v.also...) {
		back, err := c.Decode(bytesOf(t, text))
		if err != nil {
			t.Errorf("Decode(%s): %v", text, err)
			continue
		}
		if diff := cmp.Diff(v.value, back, equalities); diff != "" {
			t.Errorf("Decode(%s) (-want +got):\n%s", text, diff)
		}
	}
}

func TestReflectWire(t *testing.T) {
	t.Parallel()
	five := int64(5)
	long := strings.Repeat("x", 300)
	for _, v := range []wire{
		vector[bool]{"true", true, "c3", nil},
		vector[bool]{"false", false, "c2", nil},
		vector[int]{"int compact", 5, "05", []string{"cc05", "d300000000 00000005"}},
		vector[int]{"int negative", -1, "ff", []string{"d0ff", "d1ffff", "d2ffffffff", "d3ffffffff ffffffff"}},
		vector[uint]{"uint compact", 300, "cd012c", []string{"ce0000012c", "d1012c"}},
		vector[int16]{"fixed integers lowest", -32, "d1ffe0", []string{"e0"}},
		vector[int16]{"fixed integers highest", 127, "d1007f", []string{"7f"}},
		vector[int8]{"int8 full width", -3, "d0fd", []string{"fd", "d1fffd"}},
		vector[int16]{"int16", -300, "d1fed4", []string{"d2fffffed4"}},
		vector[int32]{"int32", 1, "d200000001", []string{"01", "cc01", "cf00000000 00000001"}},
		vector[int64]{"int64 full width", 1, "d300000000 00000001", []string{"01"}},
		vector[int64]{"int64 lowest", math.MinInt64, "d380000000 00000000", nil},
		vector[int64]{"int64 highest", math.MaxInt64, "d37fffffff ffffffff", []string{"cf7fffffff ffffffff"}},
		vector[uint8]{"uint8 full width", 1, "cc01", []string{"01", "d10001"}},
		vector[uint16]{"uint16", 1, "cd0001", []string{"01", "d001"}},
		vector[uint32]{"uint32", math.MaxUint32, "ceffffffff", []string{"d300000000 ffffffff"}},
		vector[uint64]{"uint64 highest", math.MaxUint64, "cfffffffff ffffffff", nil},
		vector[float32]{"float32", 1.5, "ca3fc00000", nil},
		vector[float64]{"float64", 1.5, "cb3ff80000 00000000", []string{"ca3fc00000"}},
		vector[float64]{"float64 NaN", math.NaN(), "cb7ff80000 00000001", nil},
		vector[string]{"string", "hé", "a3'hé'", []string{"d903'hé'", "da0003'hé'", "db00000003'hé'"}},
		vector[string]{"string empty", "", "a0", nil},
		vector[string]{"string str16", long, "da012c'" + long + "'", nil},
		vector[[]byte]{"bytes", []byte{1, 2}, "c4020102", []string{"c500020102", "c6000000020102"}},
		vector[[]byte]{"bytes nil", nil, "c0", nil},
		vector[[]byte]{"bytes empty", []byte{}, "c400", nil},
		vector[[3]byte]{"byte array", [3]byte{1, 2, 3}, "c403010203", nil},
		vector[time.Duration]{"duration", time.Nanosecond, "d300000000 00000001", []string{"01"}},
		vector[time.Time]{"time of 4 bytes", time.Unix(1, 0).UTC(), "d6ff00000001", []string{"c704ff00000001", "d7ff0000000000000001"}},
		vector[time.Time]{"time of 8 bytes", time.Unix(1, 999_999_999).UTC(), "d7ffee6b27fc 00000001", nil},
		vector[time.Time]{"time of 12 bytes", time.Unix(-1, 2).UTC(), "c70cff00000002 ffffffff ffffffff", nil},
		vector[time.Time]{"time zero", time.Time{}, "c70cff00000000 fffffff1886e0900", nil},
		vector[[]string]{"strings", []string{"a", ""}, "92 a1'a' a0", []string{"dc0002 a1'a' a0", "dd00000002 a1'a' a0"}},
		vector[[]string]{"strings nil", nil, "c0", nil},
		vector[[]string]{"strings empty", []string{}, "90", nil},
		vector[[][]int8]{"nested", [][]int8{nil, {}, {1}}, "93 c0 90 91d001", nil},
		vector[[2]bool]{"array", [2]bool{true, false}, "92 c3 c2", nil},
		vector[map[string]string]{"map sorted", map[string]string{"b": "2", "a": "1", "c": "3"}, "83 a1'a' a1'1' a1'b' a1'2' a1'c' a1'3'", []string{"83 a1'c' a1'3' a1'b' a1'2' a1'a' a1'1'", "de0003 a1'a' a1'1' a1'b' a1'2' a1'c' a1'3'"}},
		vector[map[string]bool]{"map of bools sorted", map[string]bool{"b": true, "a": false}, "82 a1'a' c2 a1'b' c3", nil},
		vector[map[string]string]{"map nil", nil, "c0", nil},
		vector[map[string]string]{"map empty", map[string]string{}, "80", []string{"df00000000"}},
		vector[map[int16]Name]{"map by integer", map[int16]Name{-2: "x"}, "81 d1fffe a1'x'", []string{"81 fe a1'x'"}},
		vector[*Leg]{"pointer", &Leg{Amount: 1}, "83 a6'Amount'cc01 a4'Rate'ca00000000 a4'Memo'c0", []string{"81 a6'Amount' 01", "83 a4'Memo'c0 a6'Amount'cc01 a4'Rate'ca00000000"}},
		vector[[]*int64]{"pointers", []*int64{nil, &five}, "92 c0 d300000000 00000005", nil},
		vector[Point]{"as_array", Point{X: 1, Y: -1}, "92 d200000001 d2ffffffff", []string{"92 01 ff"}},
		vector[struct{}]{"nothing", struct{}{}, "80", nil},
		vector[struct{ Base }]{"embedded", struct{ Base }{Base{ID: 7, Time: time.Unix(1, 0).UTC()}}, "82 a2'ID' cf00000000 00000007 a4'Time' d6ff00000001", nil},
		vector[netip.Addr]{"binary marshaler", netip.MustParseAddr("1.2.3.4"), "c40401020304", nil},
		vector[Text]{"text marshaler", Text{"ab"}, "c402'ab'", nil},
		vector[[]net.IP]{"text marshaler with nil", []net.IP{nil, net.IPv4(1, 2, 3, 4)}, "92 c0 c407'1.2.3.4'", nil},
		vector[*Hex]{"text marshaler by pointer", &Hex{"k"}, "c402'6b'", nil},
		vector[Raw]{"MessagePack marshaler", Raw{"ab"}, "a2'ab'", nil},
		vector[Tree]{"recursive slice", Tree{nil, {}, {nil}}, "93 c0 90 91c0", nil},
	} {
		t.Run(v.name(), func(t *testing.T) {
			t.Parallel()
			v.run(t)
		})
	}
}

func TestReflectTimeZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("here", 3600)
	at := time.Date(2024, 5, 6, 7, 8, 9, 10, zone)
	type times struct {
		Slice  []time.Time
		Map    map[string][]time.Time
		Deep   map[string]struct{ At *time.Time }
		Array  [1]time.Time
		Direct time.Time
	}
	v := times{
		Slice: []time.Time{at}, Map: map[string][]time.Time{"k": {at}}, Direct: at, Array: [1]time.Time{at},
		Deep: map[string]struct{ At *time.Time }{"k": {&at}},
	}
	utc := at.UTC()
	want := times{
		Slice: []time.Time{utc}, Map: map[string][]time.Time{"k": {utc}}, Direct: utc, Array: [1]time.Time{utc},
		Deep: map[string]struct{ At *time.Time }{"k": {&utc}},
	}
	got, err := codec.Reflect[times]().Decode(encode(t, v))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, equalities); diff != "" {
		t.Errorf("times must come back in UTC (-want +got):\n%s", diff)
	}
}

func TestReflectDoesNotAlias(t *testing.T) {
	t.Parallel()
	type holder struct {
		S string
		B []byte
		M map[string]string
	}
	src := encode(t, holder{"text", []byte("bytes"), map[string]string{"key": "value"}})
	got, err := codec.Reflect[holder]().Decode(src)
	if err != nil {
		t.Fatal(err)
	}
	clear(src)
	if diff := cmp.Diff(holder{"text", []byte("bytes"), map[string]string{"key": "value"}}, got); diff != "" {
		t.Errorf("the value changed with the bytes (-want +got):\n%s", diff)
	}
}
