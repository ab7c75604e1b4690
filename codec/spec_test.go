package codec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/codecimpl"
)

// The vectors of this file follow the tables of MessagePack's specification
// (github.com/msgpack/msgpack/blob/master/spec.md, "Formats"), not our code.

// be returns the lowest width bytes of n, big-endian.
func be(n uint64, width int) []byte { return binary.BigEndian.AppendUint64(nil, n)[8-width:] }

// integers returns every encoding that the specification has for n; for a
// negative one n is its two's complement.
func integers(n uint64, negative bool) [][]byte {
	var all [][]byte
	if negative {
		v := int64(n)
		if v >= -32 {
			all = append(all, []byte{byte(v)}) // 111YYYYY
		}
		for i, width := range []int{1, 2, 4, 8} {
			if v >= math.MinInt64>>(64-8*width) {
				all = append(all, append([]byte{0xd0 + byte(i)}, be(n, width)...))
			}
		}
		return all
	}
	if n <= 127 {
		all = append(all, []byte{byte(n)}) // 0XXXXXXX
	}
	for i, width := range []int{1, 2, 4, 8} {
		if n <= math.MaxUint64>>(64-8*width) {
			all = append(all, append([]byte{0xcc + byte(i)}, be(n, width)...))
		}
		if n <= math.MaxInt64>>(64-8*width) {
			all = append(all, append([]byte{0xd0 + byte(i)}, be(n, width)...))
		}
	}
	return all
}

// read reads one value by a method of Reader.
func read[T any](b []byte, method func(*codecimpl.Reader) T) (T, error) {
	r := codecimpl.NewReader(b)
	v := method(r)
	return v, r.Finish("T")
}

// number is an integer type by both codecs.
type number struct {
	name     string
	low      int64
	high     uint64
	methods  []func([]byte) (uint64, error)
	fixed    byte // the first byte of its encodings
	width    int
	appended func(n uint64) ([]byte, error)
}

func numberOf[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](low int64, high uint64, fixed byte, width int, method func(*codecimpl.Reader) T) number {
	c := codec.Reflect[T]()
	return number{
		name: fmt.Sprintf("%T", T(0)), low: low, high: high, fixed: fixed, width: width,
		methods: []func([]byte) (uint64, error){
			func(b []byte) (uint64, error) { v, err := read(b, method); return uint64(v), err },
			func(b []byte) (uint64, error) { v, err := c.Decode(b); return uint64(v), err },
		},
		appended: func(n uint64) ([]byte, error) { return c.Append(nil, T(n)) },
	}
}

var numbers = []number{
	numberOf(math.MinInt8, math.MaxInt8, 0xd0, 1, (*codecimpl.Reader).Int8),
	numberOf(math.MinInt16, math.MaxInt16, 0xd1, 2, (*codecimpl.Reader).Int16),
	numberOf(math.MinInt32, math.MaxInt32, 0xd2, 4, (*codecimpl.Reader).Int32),
	numberOf(math.MinInt64, math.MaxInt64, 0xd3, 8, (*codecimpl.Reader).Int64),
	numberOf(0, math.MaxUint8, 0xcc, 1, (*codecimpl.Reader).Uint8),
	numberOf(0, math.MaxUint16, 0xcd, 2, (*codecimpl.Reader).Uint16),
	numberOf(0, math.MaxUint32, 0xce, 4, (*codecimpl.Reader).Uint32),
	numberOf(0, math.MaxUint64, 0xcf, 8, (*codecimpl.Reader).Uint64),
}

// TestSpecIntegers decodes the numbers on both sides of each boundary, in every
// encoding, as every type: the value comes back, or an overflow.
func TestSpecIntegers(t *testing.T) {
	t.Parallel()
	check := func(n uint64, negative bool) {
		for _, b := range integers(n, negative) {
			for _, typ := range numbers {
				fits := n <= typ.high
				if negative {
					fits = int64(n) >= typ.low
				}
				for i, decode := range typ.methods {
					got, err := decode(b)
					switch {
					case fits && (err != nil || got != n):
						t.Errorf("%s %d: %x is %d, %v; want %d", typ.name, i, b, int64(got), err, int64(n))
					case !fits && !errors.Is(err, codec.ErrOverflow):
						t.Errorf("%s %d: %x is %d, %v; want an overflow", typ.name, i, b, int64(got), err)
					}
				}
				if !fits {
					continue
				}
				want := append([]byte{typ.fixed}, be(n, typ.width)...)
				if got, err := typ.appended(n); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d is encoded as %x, %v; want %x", typ.name, int64(n), got, err, want)
				}
			}
		}
	}
	for _, n := range []uint64{0, 1, 31, 32, math.MaxUint64} {
		check(n, false)
	}
	for _, bits := range []int{7, 8, 15, 16, 31, 32, 63} {
		check(1<<bits-1, false)
		check(1<<bits, false)
		lowest := int64(math.MinInt64) >> (63 - bits)
		check(uint64(lowest), true)
		if bits < 63 {
			check(uint64(lowest-1), true)
		}
	}
	for _, v := range []int64{-1, -31, -32, -33} {
		check(uint64(v), true)
	}
}

// sized is a family of formats by the length that they hold.
type sized struct {
	fix     byte // the first byte of the one that holds the length itself
	fixMax  int  // its highest length, -1 for no such format
	formats []byte
	widths  []int
}

var (
	strs   = sized{0xa0, 31, []byte{0xd9, 0xda, 0xdb}, []int{1, 2, 4}}
	bins   = sized{0, -1, []byte{0xc4, 0xc5, 0xc6}, []int{1, 2, 4}}
	arrays = sized{0x90, 15, []byte{0xdc, 0xdd}, []int{2, 4}}
	maps   = sized{0x80, 15, []byte{0xde, 0xdf}, []int{2, 4}}
)

// headers returns every header that the specification has for a length, the
// shortest first.
func (s sized) headers(n int) [][]byte {
	var all [][]byte
	if n <= s.fixMax {
		all = append(all, []byte{s.fix | byte(n)})
	}
	for i, width := range s.widths {
		if uint64(n) < 1<<(8*width) {
			all = append(all, append([]byte{s.formats[i]}, be(uint64(n), width)...))
		}
	}
	return all
}

// held checks that both codecs decode content after each of the headers as v,
// and that the first is what they write.
func held[T any](t *testing.T, headers [][]byte, content []byte, v T, equal func(a, b T) bool, decode func(*codecimpl.Reader) T, encode func(*codecimpl.Encoder, []byte, T) []byte) {
	t.Helper()
	c := codec.Reflect[T]()
	for _, h := range headers {
		b := slices.Concat(h, content)
		if got, err := read(b, decode); err != nil || !equal(got, v) {
			t.Errorf("Reader: %x… with %d bytes: %v", h, len(b), err)
		}
		if got, err := c.Decode(b); err != nil || !equal(got, v) {
			t.Errorf("Reflect: %x… with %d bytes: %v", h, len(b), err)
		}
		if len(content) > 0 {
			if _, err := read(b[:len(b)-1], decode); !errors.Is(err, codec.ErrTruncated) {
				t.Errorf("Reader: %x… without its last byte: %v", h, err)
			}
		}
	}
	want := slices.Concat(headers[0], content)
	if got, err := c.Append(nil, v); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Reflect encodes %d bytes after %.8x, %v; want %x", len(content), got, err, headers[0])
	}
	var e codecimpl.Encoder
	if got := encode(&e, nil, v); !bytes.Equal(got, want) {
		t.Errorf("Encoder writes %d bytes after %.8x; want %x", len(content), got, headers[0])
	}
}

func TestSpecStringsAndBytes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 31, 32, 255, 256, 65535, 65536} {
		text := strings.Repeat("x", n)
		held(t, strs.headers(n), []byte(text), text, func(a, b string) bool { return a == b },
			func(r *codecimpl.Reader) string { return r.String(0) },
			func(e *codecimpl.Encoder, b []byte, v string) []byte { return e.String(b, v) })
		held(t, bins.headers(n), []byte(text), []byte(text), bytes.Equal,
			func(r *codecimpl.Reader) []byte { return r.Bytes(0) },
			func(e *codecimpl.Encoder, b []byte, v []byte) []byte { return e.Bytes(b, v) })
		type octet byte
		held(t, bins.headers(n), []byte(text), slices.Repeat([]octet{'x'}, n), slices.Equal,
			func(r *codecimpl.Reader) []octet { return codecimpl.DecodeBytes[octet](r, 0) },
			func(e *codecimpl.Encoder, b []byte, v []octet) []byte { return codecimpl.EncodeBytes(e, b, v) })
	}
}

func TestSpecArraysAndMaps(t *testing.T) {
	t.Parallel()
	entries := codec.Reflect[map[string]bool]()
	for _, n := range []int{0, 1, 15, 16, 65535, 65536} {
		elements := bytes.Repeat([]byte{0xc3}, n)
		held(t, arrays.headers(n), elements, slices.Repeat([]bool{true}, n), slices.Equal,
			func(r *codecimpl.Reader) (out []bool) {
				for s := r.Slice(1, 0); r.Element(&s); {
					out = append(out, r.Bool())
				}
				return out
			},
			func(e *codecimpl.Encoder, b []byte, v []bool) []byte {
				b = e.SliceHeader(b, len(v))
				for _, x := range v {
					b = e.Bool(b, x)
				}
				return b
			})
		var content []byte
		for i := range n {
			content = append(append(content, 0xa5), fmt.Sprintf("%05d", i)...)
			content = append(content, 0xc3)
		}
		for _, h := range maps.headers(n) {
			b := slices.Concat(h, content)
			v, err := entries.Decode(b)
			if err != nil || len(v) != n {
				t.Errorf("Reflect: %x…: %d entries, %v; want %d", h, len(v), err, n)
			}
			if again, err := entries.Append(nil, v); err != nil || !bytes.Equal(again, slices.Concat(maps.headers(n)[0], content)) {
				t.Errorf("Reflect: %d entries are encoded as %.16x…, %v", n, again, err)
			}
			count, err := read(b, func(r *codecimpl.Reader) (count int) {
				for m := r.Map(17, 0); r.Key(&m, count); count++ {
					_ = r.String(0)
					r.Value(&m)
					_ = r.Bool()
				}
				return count
			})
			if err != nil || count != n {
				t.Errorf("Reader: %x…: %d entries, %v; want %d", h, count, err, n)
			}
		}
		var e codecimpl.Encoder
		if got := e.MapHeader(nil, n); !bytes.Equal(got, maps.headers(n)[0]) {
			t.Errorf("MapHeader(%d) = %x; want %x", n, got, maps.headers(n)[0])
		}
	}
}

// TestSpecTimestamps follows the pseudo code of the specification's timestamp
// extension type, -1.
func TestSpecTimestamps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		seconds, nanoseconds int64
	}{
		{0, 0}, {1, 0}, {math.MaxUint32, 0}, {1 << 32, 0}, {0, 1}, {math.MaxUint32, 999_999_999},
		{1<<34 - 1, 999_999_999}, {1 << 34, 0}, {1 << 34, 999_999_999}, {-1, 0}, {-1, 1}, {-62135596800, 0}, {1 << 40, 5},
	} {
		at := time.Unix(tt.seconds, tt.nanoseconds).UTC()
		var all [][]byte
		if tt.nanoseconds == 0 && uint64(tt.seconds)>>32 == 0 {
			body := be(uint64(tt.seconds), 4)
			all = append(all, append([]byte{0xd6, 0xff}, body...), append([]byte{0xc7, 4, 0xff}, body...), append([]byte{0xc8, 0, 4, 0xff}, body...))
		}
		if uint64(tt.seconds)>>34 == 0 {
			body := be(uint64(tt.nanoseconds)<<34|uint64(tt.seconds), 8)
			all = append(all, append([]byte{0xd7, 0xff}, body...), append([]byte{0xc7, 8, 0xff}, body...))
		}
		body := append(be(uint64(tt.nanoseconds), 4), be(uint64(tt.seconds), 8)...)
		all = append(all, append([]byte{0xc7, 12, 0xff}, body...), append([]byte{0xc9, 0, 0, 0, 12, 0xff}, body...))
		c := codec.Reflect[time.Time]()
		for _, b := range all {
			if got, err := read(b, (*codecimpl.Reader).Time); err != nil || got != at {
				t.Errorf("Reader: %x is %v, %v; want %v", b, got, err, at)
			}
			if got, err := c.Decode(b); err != nil || got != at {
				t.Errorf("Reflect: %x is %v, %v; want %v", b, got, err, at)
			}
		}
		var e codecimpl.Encoder
		if got := e.Time(nil, at); !bytes.Equal(got, all[0]) {
			t.Errorf("Encoder: %v is encoded as %x; want %x", at, got, all[0])
		}
		if got, err := c.Append(nil, at); err != nil || !bytes.Equal(got, all[0]) {
			t.Errorf("Reflect: %v is encoded as %x, %v; want %x", at, got, err, all[0])
		}
	}
}

func TestSpecFloats(t *testing.T) {
	t.Parallel()
	for _, v := range []float64{0, math.Copysign(0, -1), 1, -1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, math.Inf(1), math.Inf(-1), math.NaN()} {
		narrow, wide := append([]byte{0xca}, be(uint64(math.Float32bits(float32(v))), 4)...), append([]byte{0xcb}, be(math.Float64bits(v), 8)...)
		same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b }
		for _, b := range [][]byte{narrow, wide} {
			if got, err := read(b, (*codecimpl.Reader).Float64); err != nil || !same(got, v) {
				t.Errorf("Reader: %x is %v, %v; want %v", b, got, err, v)
			}
			if got, err := codec.Reflect[float64]().Decode(b); err != nil || !same(got, v) {
				t.Errorf("Reflect: %x is %v, %v; want %v", b, got, err, v)
			}
		}
		if got, err := read(narrow, (*codecimpl.Reader).Float32); err != nil || !same(float64(got), v) {
			t.Errorf("Reader: %x is %v, %v; want %v", narrow, got, err, v)
		}
		if _, err := read(wide, (*codecimpl.Reader).Float32); !errors.Is(err, codec.ErrType) {
			t.Errorf("Reader: a float64 is a float32: %v", err)
		}
		if got, err := codec.Reflect[float64]().Append(nil, v); err != nil || !bytes.Equal(got, wide) {
			t.Errorf("Reflect: %v is encoded as %x, %v; want %x", v, got, err, wide)
		}
	}
}

// TestSpecFirstBytes reads each first byte as each kind of value: only those
// that the specification gives to the kind are taken.
func TestSpecFirstBytes(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 64<<10)
	in := func(ranges ...byte) func(byte) bool {
		return func(b byte) bool {
			for i := 0; i < len(ranges); i += 2 {
				if ranges[i] <= b && b <= ranges[i+1] {
					return true
				}
			}
			return false
		}
	}
	for _, kind := range []struct {
		name string
		is   func(byte) bool
		read func(*codecimpl.Reader)
	}{
		{"bool", in(0xc2, 0xc3), func(r *codecimpl.Reader) { r.Bool() }},
		{"integer", in(0x00, 0x7f, 0xcc, 0xd3, 0xe0, 0xff), func(r *codecimpl.Reader) { r.Int64() }},
		{"float", in(0xca, 0xcb), func(r *codecimpl.Reader) { r.Float64() }},
		{"string", in(0xa0, 0xbf, 0xd9, 0xdb), func(r *codecimpl.Reader) { r.String(0) }},
		{"bytes", in(0xc0, 0xc0, 0xc4, 0xc6), func(r *codecimpl.Reader) { r.Bytes(0) }},
		{"array", in(0xc0, 0xc0, 0x90, 0x9f, 0xdc, 0xdd), func(r *codecimpl.Reader) { r.Slice(1, 0) }},
		{"map", in(0xc0, 0xc0, 0x80, 0x8f, 0xde, 0xdf), func(r *codecimpl.Reader) { r.Map(1, 0) }},
	} {
		for first := range 256 {
			r := codecimpl.NewReader(append([]byte{byte(first)}, zeros...))
			kind.read(r)
			err := r.Finish("T") // at least what follows is too much
			if taken := errors.Is(err, codec.ErrTrailing); taken != kind.is(byte(first)) {
				t.Errorf("%s: the first byte 0x%02x is taken: %t, %v", kind.name, first, taken, err)
			}
		}
	}
}
