package support

import (
	"bytes"
	"io"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"
)

// Command is what is generated for a command that is held by a pointer.
type Command interface {
	MarshalMsgpack() ([]byte, error)
	UnmarshalMsgpack([]byte) error
}

// Case is a command whose codec is tested.
type Case struct {
	Command Command      // a pointer to one
	Plain   reflect.Type // its type without the methods, nil if vmihailenco/msgpack does not know such types
	Arrays  bool         // its machine encodes structs as arrays
	Lossy   bool         // methods IsZero of its types say of values that are not zero that they are
}

// Test encodes and decodes values of the command: none of its fields set, each
// alone, and random ones, in which each field of a struct is left zero as often
// as not.
func (c Case) Test(t *testing.T, r *Random, runs int) {
	t.Helper()
	r.Sparse, r.UnsortedEntries = true, 1
	typ := reflect.TypeOf(c.Command).Elem()
	c.value(t, reflect.New(typ))
	for i := range typ.NumField() {
		for range runs {
			v := reflect.New(typ)
			if f := v.Elem().Field(i); f.CanSet() {
				r.Fill(f, 1)
			}
			c.value(t, v)
		}
	}
	for range runs {
		v := reflect.New(typ)
		r.Fill(v.Elem(), 0)
		c.value(t, v)
	}
}

// value tests the codec with one value, which v points at.
func (c Case) value(t *testing.T, v reflect.Value) {
	t.Helper()
	b, err := v.Interface().(Command).MarshalMsgpack()
	if err != nil {
		t.Fatalf("encode %+v: %v", v.Elem(), err)
	}
	back := reflect.New(v.Type().Elem())
	if err := back.Interface().(Command).UnmarshalMsgpack(b); err != nil {
		t.Fatalf("%+v is encoded as\n%x\nand not decoded: %v", v.Elem(), b, err)
	}
	again, err := back.Interface().(Command).MarshalMsgpack()
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%+v is encoded as\n%x\nand, once decoded, as\n%x, %v", v.Elem(), b, again, err)
	}
	if !c.Lossy {
		// What is left out because it is empty is decoded as nil.
		if d := cmp.Diff(v.Interface(), back.Interface(), cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true })); d != "" {
			t.Fatalf("what is decoded of %x differs (-encoded +decoded):\n%s", b, d)
		}
	}
	if c.Plain == nil {
		return
	}
	var want bytes.Buffer
	e := msgpack.NewEncoder(&want)
	e.SetSortMapKeys(true)
	e.UseArrayEncodedStructs(c.Arrays)
	if err := e.Encode(v.Convert(reflect.PointerTo(c.Plain)).Interface()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want.Bytes()) {
		t.Fatalf("%+v is encoded as\n%x\nby vmihailenco/msgpack as\n%x", v.Elem(), b, want.Bytes())
	}
	theirs := reflect.New(c.Plain)
	if err := msgpack.Unmarshal(b, theirs.Interface()); err != nil {
		t.Fatalf("vmihailenco/msgpack cannot decode %x: %v", b, err)
	}
	again, err = theirs.Convert(v.Type()).Interface().(Command).MarshalMsgpack()
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("what vmihailenco/msgpack decodes of %x is encoded as %x, %v", b, again, err)
	}
}

// Snapshotter is a machine with snapshots.
type Snapshotter interface {
	Snapshot(io.Writer) error
	Restore(io.Reader) error
}

// Snapshot tests the snapshots of machines with random states, as Test does the
// codec of commands.
func Snapshot(t *testing.T, m Snapshotter, r *Random, runs int) {
	t.Helper()
	r.State, r.Sparse = true, true
	for range runs {
		want := reflect.New(reflect.TypeOf(m).Elem())
		r.Fill(want.Elem(), 0)
		var b, again bytes.Buffer
		if err := want.Interface().(Snapshotter).Snapshot(&b); err != nil {
			t.Fatal(err)
		}
		got := reflect.New(want.Type().Elem())
		if err := got.Interface().(Snapshotter).Restore(bytes.NewReader(b.Bytes())); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.Interface(), got.Interface(), cmp.Exporter(func(reflect.Type) bool { return true })); d != "" {
			t.Fatalf("what was restored differs (-written +restored):\n%s", d)
		}
		if err := got.Interface().(Snapshotter).Snapshot(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Fatalf("the snapshot of what was restored differs: %v", err)
		}
	}
}
