package codec_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/codec"
)

// fill sets v to a random value of its type.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	length := func() int { return r.IntN(4) * min(1, depth) }
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		before, after := r.Int64()>>r.IntN(63), r.Int64()>>r.IntN(63)
		*p = time.Unix(after-before, r.Int64N(1_000_000_000)).UTC()
		return
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{byte(r.Uint32()), 1, 2, 3})
		return
	case *Text:
		p.s = randomString(r)
		return
	case *Hex:
		p.b = randomString(r)
		return
	case *Raw:
		p.s = "r"
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> (64 - v.Type().Bits()) >> r.IntN(v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()) >> r.IntN(v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, math.Copysign(0, -1), math.Inf(1), 1.5, -2}[r.IntN(5)])
	case reflect.String:
		v.SetString(randomString(r))
	case reflect.Slice:
		if r.IntN(4) > 0 {
			v.Set(reflect.MakeSlice(v.Type(), length(), 8))
			for i := range v.Len() {
				fill(r, v.Index(i), depth-1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth)
		}
	case reflect.Map:
		if r.IntN(4) > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range length() {
				key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(r, key, depth-1)
				fill(r, elem, depth-1)
				v.SetMapIndex(key, elem)
			}
		}
	case reflect.Pointer:
		if depth > 0 && r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth-1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Tag.Get("msgpack") == "-" || !f.IsExported() && f.Name != "hidden" {
				continue
			}
			if f.Name == "hidden" {
				v.Field(i).Field(0).SetBool(r.IntN(2) == 0)
				continue
			}
			fill(r, v.Field(i), depth)
			if f.Tag.Get("msgpack") == "mm,omitempty" && v.Field(i).Len() == 0 {
				v.Field(i).SetZero() // an empty map comes back as nil
			}
		}
	}
}

func randomString(r *rand.Rand) string {
	runes := make([]rune, r.IntN(5)*r.IntN(20))
	for i := range runes {
		runes[i] = []rune{'a', 'é', '世', '🜁', 0}[r.IntN(5)]
	}
	return string(runes)
}

// TestReflectRoundTrip also holds the encodings against vmihailenco's own
// decoder, whose reading of them must be the same.
func TestReflectRoundTrip(t *testing.T) {
	t.Parallel()
	c := codec.Reflect[Broad]()
	r := rand.New(rand.NewPCG(1, 2))
	var buf []byte
	for range 200 {
		var v Broad
		fill(r, reflect.ValueOf(&v).Elem(), 3)
		b, err := c.Append(buf[:0], v)
		if err != nil {
			t.Fatalf("Append(%+v): %v", v, err)
		}
		buf = b
		got, err := c.Decode(b)
		if err != nil {
			t.Fatalf("Decode(%x): %v", b, err)
		}
		if diff := cmp.Diff(v, got, equalities); diff != "" {
			t.Fatalf("round trip (-want +got):\n%s", diff)
		}
	}
}

// TestReflectAgainstVMihailenco compares encodings byte by byte where maps are
// not in the way.
func TestReflectAgainstVMihailenco(t *testing.T) {
	t.Parallel()
	c := codec.Reflect[Transfer]()
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var v Transfer
		fill(r, reflect.ValueOf(&v).Elem(), 2)
		v.Counts = nil
		for p := v.Parent; p != nil; p = p.Parent {
			p.Counts = nil
		}
		want := bytes.Buffer{}
		e := msgpack.NewEncoder(&want)
		e.SetSortMapKeys(true)
		if err := e.Encode(&v); err != nil {
			t.Fatal(err)
		}
		got, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want.Bytes(), got) {
			t.Fatalf("encoding of %+v (-vmihailenco +ours):\n%s", v, cmp.Diff(want.Bytes(), got))
		}
	}
}

// TestReflectDamaged decodes random damage to good bytes: what is accepted must
// be a value that encodes and decodes to itself.
func TestReflectDamaged(t *testing.T) {
	t.Parallel()
	c := codec.Reflect[Broad]()
	r := rand.New(rand.NewPCG(5, 6))
	accepted := 0
	for range 400 {
		var v Broad
		fill(r, reflect.ValueOf(&v).Elem(), 2)
		b := encode(t, v)
		for range 1 + r.IntN(2) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		got, err := c.Decode(b)
		if err != nil {
			continue
		}
		accepted++
		again, err := c.Decode(encode(t, got))
		if err != nil {
			t.Fatalf("Decode(Append(Decode(%x))): %v", b, err)
		}
		if diff := cmp.Diff(got, again, equalities); diff != "" {
			t.Fatalf("second round trip of %x (-want +got):\n%s", b, diff)
		}
	}
	if accepted == 0 {
		t.Error("all damage was refused; none of it hit a value")
	}
}
