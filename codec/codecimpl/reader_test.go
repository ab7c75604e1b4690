package codecimpl_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/codecimpl"
)

// unhex decodes hexadecimal digits.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// one appends a value by a method of Encoder, as generated code does.
type one struct {
	name   string
	value  any
	append func(e *codecimpl.Encoder, b []byte) []byte
	read   func(r *codecimpl.Reader) any
}

func ones() []one {
	var all []one
	for _, s := range []string{"", "a", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("x", 65535), strings.Repeat("x", 65536), "ünïcödé €𝄞"} {
		all = append(all, one{"string", s,
			func(e *codecimpl.Encoder, b []byte) []byte { return e.String(b, s) },
			func(r *codecimpl.Reader) any { return r.String(0) }})
	}
	for _, n := range []int{0, 1, 255, 256, 65535, 65536} {
		p := bytes.Repeat([]byte{7}, n)
		all = append(all, one{"bytes", p,
			func(e *codecimpl.Encoder, b []byte) []byte { return e.Bytes(b, p) },
			func(r *codecimpl.Reader) any { return r.Bytes(0) }})
	}
	all = append(all, one{"nil bytes", []byte(nil),
		func(e *codecimpl.Encoder, b []byte) []byte { return e.Bytes(b, nil) },
		func(r *codecimpl.Reader) any { return r.Bytes(0) }})
	for _, v := range []bool{false, true} {
		all = append(all, one{"bool", v,
			func(e *codecimpl.Encoder, b []byte) []byte { return e.Bool(b, v) },
			func(r *codecimpl.Reader) any { return r.Bool() }})
	}
	for _, v := range []time.Time{
		time.Unix(0, 0), time.Unix(1<<32-1, 0), time.Unix(1<<32, 0), time.Unix(5, 999_999_999),
		time.Unix(1<<34-1, 1), time.Unix(1<<34, 1), time.Unix(-1, 5), {}, time.Unix(math.MaxInt32<<8, 0),
	} {
		v = v.UTC()
		all = append(all, one{"time", v,
			func(e *codecimpl.Encoder, b []byte) []byte { return e.Time(b, v) },
			func(r *codecimpl.Reader) any { return r.Time() }})
	}
	for _, v := range []float64{0, 1.5, -2, math.Inf(1), math.SmallestNonzeroFloat64} {
		all = append(all, one{"float64", v,
			func(e *codecimpl.Encoder, b []byte) []byte { return e.Float64(append(b, 0xcb), v) },
			func(r *codecimpl.Reader) any { return r.Float64() }},
			one{"float32", float32(v),
				func(e *codecimpl.Encoder, b []byte) []byte { return e.Float32(append(b, 0xca), float32(v)) },
				func(r *codecimpl.Reader) any { return r.Float32() }})
	}
	for _, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		all = append(all, one{"int64", v,
			func(e *codecimpl.Encoder, b []byte) []byte { return e.Fixed64(append(b, 0xd3), uint64(v)) },
			func(r *codecimpl.Reader) any { return r.Int64() }})
	}
	return all
}

func TestEncoderLikeMsgpack(t *testing.T) {
	t.Parallel()
	for _, tt := range ones() {
		var e codecimpl.Encoder
		got := tt.append(&e, []byte("before"))
		want, err := msgpack.Marshal(tt.value)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "before"+string(want) {
			t.Errorf("%s: %.80x is appended, want %.80x", tt.name, got, want)
		}
		r := codecimpl.NewReader(want)
		if back := tt.read(r); !reflect.DeepEqual(back, tt.value) || r.Finish("T") != nil {
			t.Errorf("%s: %.80x is read as %v, want %v", tt.name, want, back, tt.value)
		}
		for n := range min(len(want), 40) {
			r := codecimpl.NewReader(want[:n])
			tt.read(r)
			if err := r.Finish("T"); !errors.Is(err, codec.ErrTruncated) {
				t.Errorf("%s: the first %d bytes of %.80x: %v, want ErrTruncated", tt.name, n, want, err)
			}
		}
	}
}

func TestEncoderHeaders(t *testing.T) {
	t.Parallel()
	var e codecimpl.Encoder
	for _, n := range []int{0, 15, 16, 65535, 65536} {
		var b bytes.Buffer
		m := msgpack.NewEncoder(&b)
		if err := errors.Join(m.EncodeArrayLen(n), m.EncodeMapLen(n)); err != nil {
			t.Fatal(err)
		}
		if got := e.MapHeader(e.SliceHeader(nil, n), n); !bytes.Equal(got, b.Bytes()) {
			t.Errorf("the headers for %d are %x, want %x", n, got, b.Bytes())
		}
	}
	for _, tag := range []int{0, 127, 128, 255, 256, 65535} {
		r := codecimpl.NewReader(append(e.Variant(nil, tag), 1))
		if got := r.Variant(65536); got != tag || r.Uint8() != 1 || r.Finish("T") != nil {
			t.Errorf("tag %d is read as %d, %v", tag, got, r.Finish("T"))
		}
	}
}

// reads reads integers of every width from b.
func reads(b []byte) map[string]any {
	out := map[string]any{}
	read := func(name string, f func(r *codecimpl.Reader) any) {
		r := codecimpl.NewReader(b)
		v := f(r)
		if err := r.Finish(name); err != nil {
			v = err.Error()
		}
		out[name] = v
	}
	read("int8", func(r *codecimpl.Reader) any { return int64(r.Int8()) })
	read("int16", func(r *codecimpl.Reader) any { return int64(r.Int16()) })
	read("int32", func(r *codecimpl.Reader) any { return int64(r.Int32()) })
	read("int64", func(r *codecimpl.Reader) any { return r.Int64() })
	read("uint8", func(r *codecimpl.Reader) any { return uint64(r.Uint8()) })
	read("uint16", func(r *codecimpl.Reader) any { return uint64(r.Uint16()) })
	read("uint32", func(r *codecimpl.Reader) any { return uint64(r.Uint32()) })
	read("uint64", func(r *codecimpl.Reader) any { return r.Uint64() })
	return out
}

// reflects is reads by the reflection codec.
func reflects(b []byte) map[string]any {
	out := map[string]any{}
	reflected[int8, int64](out, b)
	reflected[int16, int64](out, b)
	reflected[int32, int64](out, b)
	reflected[int64, int64](out, b)
	reflected[uint8, uint64](out, b)
	reflected[uint16, uint64](out, b)
	reflected[uint32, uint64](out, b)
	reflected[uint64, uint64](out, b)
	return out
}

func reflected[T interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}, W int64 | uint64](out map[string]any, b []byte) {
	v, err := codec.Reflect[T]().Decode(b)
	name := reflect.TypeFor[T]().Name()
	if out[name] = W(v); err != nil {
		out[name] = err.Error()
	}
}

func TestReaderIntegers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"00", "7f", "e0", "ff", "cc80", "ccff", "cd0100", "cdffff", "ce00010000", "ceffffffff",
		"cf0000000100000000", "cf7fffffffffffffff", "cf8000000000000000", "cfffffffffffffffff",
		"d080", "d07f", "d18000", "d1ff7f", "d280000000", "d2ffff7fff", "d38000000000000000", "d3ffffffff7fffffff", "d30000000000000001",
		"", "cc", "cd00", "d3000000", "c0", "c3", "a0", "ca00000000", "90", "80", "c1", "d6ff00000000", "0000",
	} {
		b := unhex(t, text)
		if d := cmp.Diff(reflects(b), reads(b)); d != "" {
			t.Errorf("%s is read otherwise than by the reflection codec (-reflection +reader):\n%s", text, d)
		}
	}
}

// TestReaderStops calls every method after an error. None of them does anything.
func TestReaderStops(t *testing.T) {
	t.Parallel()
	fields := codecimpl.NewFields("A")
	r := codecimpl.NewReader([]byte{0xc1, 1, 2, 3})
	r.Bool()
	slice, elements, m, s, tuple := r.Slice(1, 0), r.Elements(3), r.Map(1, 0), r.Struct(fields), r.Tuple(fields)
	var array [3]byte
	r.Array(array[:])
	if r.Element(&slice) || r.Element(&elements) || r.Key(&m, 0) || r.Field(&s) || r.Field(&tuple) {
		t.Error("a cursor moves after an error")
	}
	if r.Int64() != 0 || r.Uint64() != 0 || r.Int8() != 0 || r.String(0) != "" || r.Bytes(0) != nil || r.Float32() != 0 ||
		r.Float64() != 0 || r.Bool() || !r.Time().IsZero() || r.Pointer(8) || r.Nil() || r.Variant(3) != -1 || r.Charge(1) {
		t.Error("a value is read after an error")
	}
	if err := r.Finish("T"); err == nil || err.Error() != "codec: decode T: the byte 0xc1 starts no MessagePack value (at byte 0)" {
		t.Errorf("Finish = %v", err)
	}
}

func TestReaderLimits(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(r *codecimpl.Reader){
		"a3616263":       func(r *codecimpl.Reader) { r.String(2) },
		"c403616263":     func(r *codecimpl.Reader) { r.Bytes(2) },
		"93010203":       func(r *codecimpl.Reader) { r.Slice(1, 2) },
		"83010203010203": func(r *codecimpl.Reader) { r.Map(1, 2) },
	} {
		r := codecimpl.NewReader(unhex(t, name))
		read(r)
		if err := r.Finish("T"); !errors.Is(err, codec.ErrTooLarge) || !strings.Contains(err.Error(), "3 ") || !strings.Contains(err.Error(), "at most 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := codecimpl.NewReader(make([]byte, codec.MaxSize+1))
	if err := r.Finish("T"); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("more than MaxSize bytes: %v", err)
	}
}

// TestCharge takes a little more memory than a command of two bytes may.
func TestCharge(t *testing.T) {
	t.Parallel()
	r := codecimpl.NewReader([]byte("\xa1x"))
	if !r.Charge(64<<10) || !r.Charge(2*128-1) || r.String(0) != "x" || r.Charge(1) || r.Charge(0) {
		t.Error("the limit of memory is elsewhere")
	}
	if err := r.Finish("T"); !errors.Is(err, codec.ErrTooLarge) || !strings.Contains(err.Error(), "more than 65792 bytes of memory") {
		t.Errorf("Finish = %v", err)
	}
	r = codecimpl.NewReader([]byte("\xa1x"))
	if r.Charge(64<<10 + 2*128); r.String(0) != "" || !errors.Is(r.Finish("T"), codec.ErrTooLarge) {
		t.Error("a string is read beyond the limit of memory")
	}
}
