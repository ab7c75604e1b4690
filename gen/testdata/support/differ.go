package support

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/codec"
)

// Message is a pointer to a command.
type Message[T any] interface {
	*T
	MarshalMsgpack() ([]byte, error)
	UnmarshalMsgpack([]byte) error
}

// Differential compares the codec of T with vmihailenco/msgpack on random
// values, in both directions. P is a type with T's fields and without its
// methods.
func Differential[T, P any, M Message[T]](t *testing.T, runs int) {
	t.Helper()
	r := New(1)
	r.UnsortedEntries = 1
	for run := range runs {
		var v T
		r.Fill(reflect.ValueOf(&v).Elem(), 0)
		ours, err := M(&v).MarshalMsgpack()
		if err != nil {
			t.Fatalf("run %d: encode %+v: %v", run, v, err)
		}
		plain := reflect.ValueOf(&v).Convert(reflect.TypeFor[*P]()).Interface()
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		e.SetSortMapKeys(true)
		if err := e.Encode(plain); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, b.Bytes()) {
			t.Fatalf("run %d: %+v is encoded as\n%x\nby vmihailenco/msgpack as\n%x", run, v, ours, b.Bytes())
		}
		var back T
		if err := M(&back).UnmarshalMsgpack(b.Bytes()); err != nil {
			t.Fatalf("run %d: decode %x: %v", run, b.Bytes(), err)
		}
		var theirs P
		if err := msgpack.Unmarshal(ours, &theirs); err != nil {
			t.Fatalf("run %d: vmihailenco/msgpack cannot decode %x: %v", run, ours, err)
		}
		// What tags left out is decoded as zero; what is encoded again tells.
		again, err := M(&back).MarshalMsgpack()
		if err != nil || !bytes.Equal(again, ours) {
			t.Fatalf("run %d: %x is encoded again as %x, %v", run, ours, again, err)
		}
		other := T(reflect.ValueOf(theirs).Convert(reflect.TypeFor[T]()).Interface().(T))
		again, err = M(&other).MarshalMsgpack()
		if err != nil || !bytes.Equal(again, ours) {
			t.Fatalf("run %d: what vmihailenco/msgpack decodes of %x is encoded as %x, %v", run, ours, again, err)
		}
	}
}

// RoundTrip encodes and decodes random values of the variants of C.
func RoundTrip[C any](t *testing.T, c codec.Codec[C], r *Random, runs int) {
	t.Helper()
	for run := range runs {
		var v C
		for reflect.ValueOf(&v).Elem().IsNil() {
			r.Fill(reflect.ValueOf(&v).Elem(), 0)
		}
		b, err := c.Append([]byte("before"), v)
		if err != nil {
			t.Fatalf("run %d: Append(%+v): %v", run, v, err)
		}
		b = b[len("before"):]
		got, err := c.Decode(b)
		if err != nil {
			t.Fatalf("run %d: Decode(%x): %v", run, b, err)
		}
		if d := cmp.Diff(v, got, cmp.Exporter(func(reflect.Type) bool { return true })); d != "" {
			t.Fatalf("run %d: what was decoded differs (-encoded +decoded):\n%s", run, d)
		}
		again, err := c.Append(nil, got)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("run %d: %x is encoded again as %x, %v", run, b, again, err)
		}
		Hostile(t, c, r, b)
	}
}

// Hostile decodes what is left of b after damage. The errors must be those of
// the codec, and what is accepted must be encodable.
func Hostile[C any](t *testing.T, c codec.Codec[C], r *Random, b []byte) {
	t.Helper()
	for range 20 {
		damaged := bytes.Clone(b)
		switch r.IntN(3) {
		case 0:
			damaged = damaged[:r.IntN(len(damaged))]
		case 1:
			damaged[r.IntN(len(damaged))] ^= byte(1 << r.IntN(8))
		case 2:
			damaged[r.IntN(len(damaged))] = byte(r.Uint32())
		}
		v, err := c.Decode(damaged)
		var at *codec.Error
		switch {
		case err == nil:
			if _, err := c.Append(nil, v); err != nil {
				t.Fatalf("Decode(%x) = %+v, which Append refuses: %v", damaged, v, err)
			}
		case !errors.As(err, &at) || at.Op != "decode" || at.Path == "" || at.Offset < 0 || at.Offset > len(damaged):
			t.Fatalf("Decode(%x): error %v is not one of the codec", damaged, err)
		}
	}
}
