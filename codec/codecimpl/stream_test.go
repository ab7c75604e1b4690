package codecimpl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
)

// depot is a machine, with what mosaik-gen writes for it.
type depot struct {
	items map[string][]crate
	names []string
}

type crate struct{ room [1 << 12]int64 }

var (
	depotFields = NewFields("items", "names")
	crateFields = NewFields("room")
)

func appendDepot(b []byte, v *depot, e *Encoder) []byte {
	b = append(b, 0x82)
	if b = e.Section(b, ".items"); b == nil {
		return nil
	}
	b = append(b, "\xa5items"...)
	if v.items == nil {
		b = append(b, 0xc0)
	} else {
		b = e.Entries(b, len(v.items))
		var room [16]string
		for _, k := range SortedKeys(room[:0], v.items) {
			if b = e.Flush(b); b == nil {
				return nil
			}
			b = e.String(b, k)
			b = e.Items(b, len(v.items[k]))
			for i := range v.items[k] {
				if b = e.Flush(b); b == nil {
					return nil
				}
				b = append(b, "\x81\xa4room\xdc\x10\x00"...)
				for _, n := range v.items[k][i].room {
					b = e.Fixed64(append(b, 0xd3), uint64(n))
				}
			}
		}
	}
	if b = e.Section(b, ".names"); b == nil {
		return nil
	}
	b = append(b, "\xa5names"...)
	b = e.Items(b, len(v.names))
	for i := range v.names {
		if b = e.Flush(b); b == nil {
			return nil
		}
		b = e.String(b, v.names[i])
	}
	return b
}

func decodeDepot(r *Reader, v *depot) {
	f := r.Struct(depotFields)
	for r.Section(&f) {
		switch f.Index {
		case 0:
			m := r.Entries(24)
			if !m.Nil {
				v.items = make(map[string][]crate, m.Cap)
			}
			for r.Entry(&m, len(v.items)) {
				k := r.String(0)
				r.EntryValue(&m)
				s := r.Items(8 << 12)
				x := make([]crate, 0, s.Cap)
				for r.Item(&s) {
					var y crate
					x = append(x, y)
					f := r.Struct(crateFields)
					for r.Field(&f) {
						s := r.Elements(1 << 12)
						for r.Element(&s) {
							x[len(x)-1].room[s.Index] = r.Int64()
						}
					}
				}
				v.items[k] = x
				EndEntry(r, &m, k)
			}
		case 1:
			s := r.Items(16)
			v.names = make([]string, 0, s.Cap)
			for r.Item(&s) {
				v.names = append(v.names, r.String(0))
			}
		}
	}
}

func TestStateRoundTrip(t *testing.T) {
	t.Parallel()
	want := depot{items: map[string][]crate{"a": make([]crate, 9), "": {}}, names: []string{"\xff", "", strings.Repeat("n", 1<<20)}}
	want.items["a"][8].room[4095] = -1
	for range 1000 {
		want.names = append(want.names, "name")
	}
	var b bytes.Buffer
	if err := WriteState(&b, "depot", &want, appendDepot); err != nil {
		t.Fatal(err)
	}
	var got depot
	if err := ReadState(&b, "depot", 4, &got, decodeDepot); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(depot{}, crate{})); d != "" {
		t.Errorf("state (-written +read):\n%s", d)
	}
}

// TestStateHostile checks that what is declared and never comes takes little
// memory. It measures the whole process and therefore runs alone.
func TestStateHostile(t *testing.T) {
	header := func(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
	chunk := func(s string) string { return header(len(s)) + s }
	names := "\x81\xa5names"
	for _, tt := range []struct {
		name, stream string
		is           error
		path         string
	}{
		{"chunk", header(maxChunk) + "abc", codec.ErrTruncated, "depot"},
		{"chunk too long", header(maxChunk + 1), codec.ErrTooLarge, "depot"},
		{"chunk of 4 GiB", header(-1), codec.ErrTooLarge, "depot"},
		{"slice", chunk(names + "\xdd\xff\xff\xff\xff\xa0"), codec.ErrTruncated, "depot.names[1]"},
		{"slice in many chunks", chunk(names+"\xdd\xff\xff\xff\xff") + chunk("\xa0") + chunk("\xa0"), codec.ErrTruncated, "depot.names[2]"},
		{"map", chunk("\x81\xa5items\xdf\xff\xff\xff\xff\xa0\x90"), codec.ErrTruncated, "depot.items"},
		{"large elements", chunk("\x81\xa5items\x81\xa0\xdd\xff\xff\xff\xff" + strings.Repeat("\x80", 1000)), codec.ErrTooLarge, `depot.items[""][`},
		{"string", chunk(names + "\x91\xdb\xff\xff\xff\xff"), codec.ErrTruncated, "depot.names[0]"},
		{"array", chunk("\x81\xa5items\x81\xa0\x91\x81\xa4room\xdd\xff\xff\xff\xff"), codec.ErrType, `depot.items[""][0]`},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := ReadState(strings.NewReader(stateMagic+tt.stream), "depot", 4, new(depot), decodeDepot)
		runtime.ReadMemStats(&after)
		var at *codec.Error
		if !errors.As(err, &at) || !errors.Is(err, tt.is) || !strings.HasPrefix(at.Path, tt.path) {
			t.Errorf("%s: %v; want %v at %s", tt.name, err, tt.is, tt.path)
		}
		// Slices that grow leave their smaller selves behind.
		if got := after.TotalAlloc - before.TotalAlloc; got > 4*memoryAhead {
			t.Errorf("%s: %d bytes are allocated", tt.name, got)
		}
	}
}

// TestStateOffsets checks that errors count the bytes of the whole stream.
func TestStateOffsets(t *testing.T) {
	t.Parallel()
	b := []byte(stateMagic + "\x07\x00\x00\x00\x82\xa5names" + "\x01\x00\x00\x00\x05")
	b = binary.LittleEndian.AppendUint32(append(b, 0, 0, 0, 0), crc32.Checksum(b, castagnoli))
	var at *codec.Error
	if err := ReadState(bytes.NewReader(b), "depot", 4, new(depot), decodeDepot); !errors.As(err, &at) || at.Offset != 19 {
		t.Errorf("ReadState: %v, want an error at byte 19, where the value of names should be", err)
	}
}

// TestStateNeverWritten checks that after an error nothing more is encoded: the
// rest of a state may be large.
func TestStateNeverWritten(t *testing.T) {
	t.Parallel()
	v := depot{names: make([]string, 1<<20)}
	calls := 0
	err := WriteState(writerFunc(func(b []byte) (int, error) {
		calls++
		if calls == 2 {
			return 0, bytes.ErrTooLarge
		}
		return len(b), nil
	}), "depot", &v, func(b []byte, v *depot, e *Encoder) []byte {
		if b = appendDepot(b, v, e); b != nil {
			t.Errorf("%d bytes are encoded behind an error", len(b))
		}
		return b
	})
	if !errors.Is(err, bytes.ErrTooLarge) || calls != 2 {
		t.Errorf("WriteState: %v after %d writes", err, calls)
	}
}

// TestStateMissing checks that a field is missed wherever it stands.
func TestStateMissing(t *testing.T) {
	t.Parallel()
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprintf("field%d", i)
	}
	fields := NewFields(names...)
	for missing := range names {
		var b bytes.Buffer
		err := WriteState(&b, "wide", new(struct{}), func(b []byte, _ *struct{}, e *Encoder) []byte {
			b = e.MapHeader(b, len(names)-1)
			for i, name := range names {
				if i != missing {
					b = e.Bool(e.String(b, name), true)
				}
			}
			return b
		})
		if err != nil {
			t.Fatal(err)
		}
		err = ReadState(&b, "wide", 1, new(struct{}), func(r *Reader, _ *struct{}) {
			f := r.Struct(fields)
			for r.Section(&f) {
				r.Bool()
			}
		})
		if want := "wide." + names[missing] + ": "; !errors.Is(err, codec.ErrMissing) || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadState: %v; want one about %s", err, want)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
