package codec_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
)

// TestStructCursor reads structs whose fields come in random orders, some left
// out, some twice, in the way that generated decoders do.
func TestStructCursor(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 5, 64, 65, 200} {
		var e codec.Encoder
		names, keys := make([]string, n), make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("f%d", i)
			keys[i] = string(e.String(nil, names[i]))
		}
		fields := codec.NewFields(names...)
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
			reader := codec.NewReader(b)
			var got []int
			f := reader.Struct(fields)
			for reader.First(&f, keys[0]) || reader.Field(&f) {
				for {
					got = append(got, f.Index)
					if v := reader.Uint8(); int(v) != f.Index%100 {
						t.Fatalf("%v: field %d is %d", order, f.Index, v)
					}
					if f.Index+1 == n || !reader.Next(&f, keys[f.Index+1]) {
						break
					}
				}
			}
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

// TestNextStaysWithin gives a struct an element less than its next field would
// need, which follows all the same, as part of what is around it.
func TestNextStaysWithin(t *testing.T) {
	t.Parallel()
	r := codec.NewReader([]byte("\x81\xa1a\x01\xa1b\x02"))
	f := r.Struct(codec.NewFields("a", "b"))
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
	decode := func(r *codec.Reader, s *string) { *s = r.String(0) }
	for n := range 70 {
		for at := range n {
			for _, odd := range []string{"\x80", "\xff", "é", "€"} {
				if at+len(odd) > n {
					continue
				}
				s := strings.Repeat("x", at) + odd + strings.Repeat("y", n-at-len(odd))
				for _, room := range []int{0, 100} {
					var e codec.Encoder
					b := e.String(make([]byte, 0, room), s)
					if !strings.HasSuffix(string(b), s) || len(b) > n+2 {
						t.Fatalf("%q is encoded as %q", s, b)
					}
					err := codec.Check(&e, b, 0, "T", decode)
					r := codec.NewReader(b)
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
