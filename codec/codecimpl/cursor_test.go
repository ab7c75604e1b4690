package codecimpl_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/codecimpl"
)

// TestStructCursor reads structs whose fields come in random orders, some left
// out, some twice, in the way that generated decoders do.
func TestStructCursor(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 5, 64, 65, 200} {
		var e codecimpl.Encoder
		names, keys := make([]string, n), make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("f%d", i)
			keys[i] = string(e.String(nil, names[i]))
		}
		fields := codecimpl.NewFields(names...)
		for range 300 {
			order := r.Perm(n)[:r.IntN(n)+1]
			switch r.IntN(3) {
			case 0:
				slices.Sort(order)
			case 1:
				slices.Sort(order)
				i, j := r.IntN(len(order)), r.IntN(len(order))
				order[i], order[j] = order[j], order[i]
			}
			twice := -1
			if r.IntN(2) == 0 {
				twice = order[r.IntN(len(order))]
				order = append(order, twice)
			}
			b := e.MapHeader(nil, len(order))
			for _, i := range order {
				b = append(append(b, keys[i]...), byte(i%100))
			}
			ways := []func(*codecimpl.Reader, *codecimpl.Fields, []string) []int{readInRows}
			if n <= 15 {
				ways = append(ways, readPlain)
			}
			for _, read := range ways {
				reader := codecimpl.NewReader(b)
				got := read(reader, fields, keys)
				err := reader.Finish("T")
				want := order
				if twice >= 0 {
					want = order[:len(order)-1]
					if text := fmt.Sprintf("codec: decode T.f%d: the field comes twice", twice); !errors.Is(err, codec.ErrDuplicate) || !strings.HasPrefix(err.Error(), text) {
						t.Fatalf("%v: %v; want %s", order, err, text)
					}
				} else if err != nil {
					t.Fatalf("%v: %v", order, err)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%v is read as %v", order, got)
				}
			}
		}
	}
}

// readInRows reads a struct as the decoder of one with containers does. It
// returns the fields whose values are their indices, in the order they came in.
func readInRows(r *codecimpl.Reader, fields *codecimpl.Fields, keys []string) (got []int) {
	f := r.Struct(fields)
	for r.First(&f, keys[0]) || r.Field(&f) {
		for {
			if int(r.Uint8()) == f.Index%100 {
				got = append(got, f.Index)
			}
			if f.Index+1 == len(keys) || !r.Next(&f, keys[f.Index+1]) {
				break
			}
		}
	}
	return got
}

// readPlain is readInRows for the decoder of a plain struct.
func readPlain(r *codecimpl.Reader, fields *codecimpl.Fields, keys []string) (got []int) {
	n := 0
	for n < len(keys) && (n == 0 && r.Begins(string([]byte{0x80 | byte(len(keys))})+keys[0]) || n > 0 && r.Follows(keys[n])) {
		if int(r.Uint8()) == n {
			got = append(got, n)
		}
		n++
	}
	if n == len(keys) && r.OK() {
		return got
	}
	f := r.Rest(fields, n)
	for r.Field(&f) {
		if int(r.Uint8()) == f.Index {
			got = append(got, f.Index)
		}
	}
	return got
}

// TestBegins holds the quick start of a struct against the checks of the slow one.
func TestBegins(t *testing.T) {
	t.Parallel()
	const start = "\x82\xa1a"
	for src, want := range map[string]bool{
		start + "\x01\xa1b\x02": true,
		start + "\x01\x00":      true,
		start + "\x01":          false, // two fields take four bytes
		"\x82\xa1":              false,
		"":                      false,
		"\x81\xa1a\x01\x01":     false,
		"\x82\xa1b\x01\x01":     false,
	} {
		if got := codecimpl.NewReader([]byte(src)).Begins(start); got != want {
			t.Errorf("Begins at %x is %v", src, got)
		}
	}
	deep := strings.Repeat("\x91", codec.MaxDepth-1)
	for _, c := range []struct {
		src  string
		want bool
	}{{deep + start + "\x01\xa1b\x02", true}, {deep + "\x91" + start + "\x01\xa1b\x02", false}} {
		r := codecimpl.NewReader([]byte(c.src))
		for range strings.Count(c.src, "\x91") {
			r.Elements(1)
		}
		if got := r.Begins(start); got != c.want {
			t.Errorf("Begins is %v behind %d arrays", got, strings.Count(c.src, "\x91"))
		}
	}
	// Behind a struct that was read in parts there is the depth of before.
	r := codecimpl.NewReader([]byte(deep + start + "\x01\xa1b\x02" + "\x91\x91\x01"))
	for range codec.MaxDepth - 1 {
		r.Elements(1)
	}
	got := readPlain(r, codecimpl.NewFields("a", "b"), []string{"\xa1a", "\xa1x"})
	if len(got) != 0 || !r.OK() {
		t.Errorf("the fields %v are read", got)
	}
	r.Elements(1)
	if r.Elements(1); r.OK() || !errors.Is(r.Finish("T"), codec.ErrDepth) {
		t.Errorf("an array is read at depth %d", codec.MaxDepth+1)
	}
}

// TestNextStaysWithin gives a struct an element less than its next field would
// need, which follows all the same, as part of what is around it.
func TestNextStaysWithin(t *testing.T) {
	t.Parallel()
	r := codecimpl.NewReader([]byte("\x81\xa1a\x01\xa1b\x02"))
	f := r.Struct(codecimpl.NewFields("a", "b"))
	if !r.First(&f, "\xa1a") || r.Uint8() != 1 || r.Next(&f, "\xa1b") || r.Field(&f) {
		t.Errorf("the cursor leaves its struct, at field %d", f.Index)
	}
	if err := r.Finish("T"); !errors.Is(err, codec.ErrTrailing) {
		t.Errorf("Finish = %v", err)
	}
}

// TestUTF8 puts bytes that are not ASCII at each place of strings of all short
// lengths.
func TestUTF8(t *testing.T) {
	t.Parallel()
	decode := func(r *codecimpl.Reader, s *string) { *s = r.String(0) }
	for n := range 70 {
		for at := range n {
			for _, odd := range []string{"\x80", "\xff", "é", "€"} {
				if at+len(odd) > n {
					continue
				}
				s := strings.Repeat("x", at) + odd + strings.Repeat("y", n-at-len(odd))
				for _, room := range []int{0, 100} {
					var e codecimpl.Encoder
					b := e.String(make([]byte, 0, room), s)
					if !strings.HasSuffix(string(b), s) || len(b) > n+2 {
						t.Fatalf("%q is encoded as %q", s, b)
					}
					err := codecimpl.Check(&e, b, "T", decode)
					r := codecimpl.NewReader(b)
					got := r.String(0)
					switch decoding := r.Finish("T"); {
					case len(odd) == 1 && (!errors.Is(err, codec.ErrUTF8) || !errors.Is(decoding, codec.ErrUTF8)):
						t.Fatalf("%q is accepted: %v, %v", s, err, decoding)
					case len(odd) > 1 && (err != nil || decoding != nil || got != s):
						t.Fatalf("%q is decoded as %q: %v, %v", s, got, err, decoding)
					}
				}
			}
		}
	}
}
