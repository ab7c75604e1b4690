package codecimpl_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/codecimpl"
)

func TestSortedEntries(t *testing.T) {
	t.Parallel()
	m := map[string]int{"": 0}
	for i := range 100 {
		m[strings.Repeat("k", i%7)+fmt.Sprint(i)] = i
	}
	var e codecimpl.Encoder
	entries := codecimpl.SortedEntries(&e, words{}, m)
	if !e.Valid(0) || len(entries) != len(m) {
		t.Errorf("sure %t, %d entries of %d", e.Valid(0), len(entries), len(m))
	}
	for i, entry := range entries {
		if entry.Key == nil || m[string(entry.Key)] != entry.Value {
			t.Errorf("%q has the value %d", entry.Key, entry.Value)
		}
		if i > 0 && bytes.Compare(entries[i-1].Key, entry.Key) >= 0 {
			t.Errorf("%q comes before %q", entries[i-1].Key, entry.Key)
		}
	}
	if got := codecimpl.SortedEntries(&e, words{}, map[string]int(nil)); len(got) > 0 {
		t.Errorf("entries of no map: %v", got)
	}
}

// pairs is a codec that makes the same bytes of two values.
type pairs struct{}

func (pairs) Append(dst []byte, v int8) ([]byte, error) { return append(dst, byte(v)/2), nil }

func (pairs) Decode(src []byte) (int8, error) { return int8(2 * src[0]), nil }

func TestSortedEntriesRefuse(t *testing.T) {
	t.Parallel()
	check := func(e *codecimpl.Encoder, b []byte) error {
		return codecimpl.Check(e, b, "T", func(r *codecimpl.Reader, _ *bool) {
			m := r.Map(1, 0)
			for held := 0; r.Key(&m, held); held++ {
				codecimpl.DecodeWith(r, words{}, 0)
				r.Value(&m)
				r.Int8()
			}
		})
	}
	for word, want := range map[string]string{
		"refuse": "codec: encode T[key]: no word",
		"panic":  "codec: encode T[key]: panic: no word",
		"late":   "codec: encode T[key]: no word",
	} {
		var e codecimpl.Encoder
		b := e.MapHeader(nil, 2)
		for _, x := range codecimpl.SortedEntries(&e, words{}, map[string]int8{word: 1, "ok": 2}) {
			b = append(e.Key(b, x.Key), byte(x.Value))
		}
		if err := check(&e, b); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", word, err, want)
		}
	}
	var e codecimpl.Encoder
	b := e.MapHeader(nil, 2)
	for _, x := range codecimpl.SortedEntries(&e, pairs{}, map[int8]int8{2: 1, 3: 2}) {
		b = append(e.Key(b, x.Key), byte(x.Value))
	}
	if err := check(&e, b); !errors.Is(err, codec.ErrDuplicate) || !strings.Contains(err.Error(), `two keys are encoded as "\x01"`) {
		t.Errorf("two keys of the same bytes: %v", err)
	}
}

// TestStateRefusal has a codec refuse a value of a state.
func TestStateRefusal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	v := "refuse"
	err := codecimpl.WriteState(&b, "T", &v, func(b []byte, v *string, e *codecimpl.Encoder) []byte {
		if b = e.Section(append(b, 0x81, 0xa1, 'V'), ".V"); b == nil {
			return nil
		}
		return codecimpl.EncodeWith(e, b, words{}, *v, 0)
	})
	if !errors.Is(err, errWord) || err.Error() != "codec: encode T.V: no word" {
		t.Errorf("%v; want %v", err, errWord)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	var e codecimpl.Encoder
	for _, n := range []int{0, 1, -1, math.MaxInt32, math.MinInt32, math.MaxInt, math.MinInt} {
		r := codecimpl.NewReader(e.Fixed64([]byte{0xd3}, uint64(n)))
		if got := r.Int(); got != n || r.Finish("T") != nil {
			t.Errorf("Int: %d, %v; want %d", got, r.Finish("T"), n)
		}
		r = codecimpl.NewReader(e.Fixed64([]byte{0xcf}, uint64(uint(n))))
		if got := r.Uint(); got != uint(n) || r.Finish("T") != nil {
			t.Errorf("Uint: %d, %v; want %d", got, r.Finish("T"), uint(n))
		}
	}
	fits := strconv.IntSize == 64
	for _, n := range []int64{math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64, math.MinInt64} {
		r := codecimpl.NewReader(e.Fixed64([]byte{0xd3}, uint64(n)))
		got := r.Int()
		if err := r.Finish("T"); fits && (err != nil || int64(got) != n) || !fits && !errors.Is(err, codec.ErrOverflow) {
			t.Errorf("Int of %d with %d bits: %d, %v", n, strconv.IntSize, got, err)
		}
	}
	for _, n := range []uint64{math.MaxUint32 + 1, math.MaxUint64} {
		r := codecimpl.NewReader(e.Fixed64([]byte{0xcf}, n))
		got := r.Uint()
		if err := r.Finish("T"); fits && (err != nil || uint64(got) != n) || !fits && !errors.Is(err, codec.ErrOverflow) {
			t.Errorf("Uint of %d with %d bits: %d, %v", n, strconv.IntSize, got, err)
		}
	}
}

func TestIsZero(t *testing.T) {
	t.Parallel()
	if !codecimpl.IsZero(netip.Addr{}) || codecimpl.IsZero(netip.IPv4Unspecified()) {
		t.Error("IsZero of addresses")
	}
}
