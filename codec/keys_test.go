package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
)

func TestSortedEntries(t *testing.T) {
	t.Parallel()
	m := map[string]int{"": 0}
	for i := range 100 {
		m[strings.Repeat("k", i%7)+fmt.Sprint(i)] = i
	}
	var e codec.Encoder
	entries := codec.SortedEntries(&e, words{}, m)
	if !e.Sure(0) || len(entries) != len(m) {
		t.Errorf("sure %t, %d entries of %d", e.Sure(0), len(entries), len(m))
	}
	for i, entry := range entries {
		if entry.Key == nil || m[string(entry.Key)] != entry.Value {
			t.Errorf("%q has the value %d", entry.Key, entry.Value)
		}
		if i > 0 && bytes.Compare(entries[i-1].Key, entry.Key) >= 0 {
			t.Errorf("%q comes before %q", entries[i-1].Key, entry.Key)
		}
	}
	if got := codec.SortedEntries(&e, words{}, map[string]int(nil)); len(got) > 0 {
		t.Errorf("entries of no map: %v", got)
	}
}

// pairs is a codec that makes the same bytes of two values.
type pairs struct{}

func (pairs) Append(dst []byte, v int8) ([]byte, error) { return append(dst, byte(v)/2), nil }
func (pairs) Decode(src []byte) (int8, error)           { return int8(2 * src[0]), nil }

func TestSortedEntriesRefuse(t *testing.T) {
	t.Parallel()
	check := func(e *codec.Encoder, b []byte) error {
		return codec.Check(e, b, "T", func(r *codec.Reader, _ *bool) {
			m := r.Map(1, 0)
			for held := 0; r.Key(&m, held); held++ {
				codec.DecodeWith(r, words{}, 0)
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
		var e codec.Encoder
		b := e.MapHeader(nil, 2)
		for _, x := range codec.SortedEntries(&e, words{}, map[string]int8{word: 1, "ok": 2}) {
			b = append(e.Key(b, x.Key), byte(x.Value))
		}
		if err := check(&e, b); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", word, err, want)
		}
	}
	var e codec.Encoder
	b := e.MapHeader(nil, 2)
	for _, x := range codec.SortedEntries(&e, pairs{}, map[int8]int8{2: 1, 3: 2}) {
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
	err := codec.WriteState(&b, "T", &v, func(b []byte, v *string, e *codec.Encoder) []byte {
		if b = e.Section(append(b, 0x81, 0xa1, 'V'), ".V"); b == nil {
			return nil
		}
		return codec.EncodeWith(e, b, words{}, *v, 0)
	})
	if !errors.Is(err, errWord) || err.Error() != "codec: encode T.V: no word" {
		t.Errorf("%v; want %v", err, errWord)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	var e codec.Encoder
	for _, n := range []int{0, 1, -1, math.MaxInt32, math.MinInt32, math.MaxInt, math.MinInt} {
		r := codec.NewReader(e.Fixed64([]byte{0xd3}, uint64(n)))
		if got := r.Int(); got != n || r.Finish("T") != nil {
			t.Errorf("Int: %d, %v; want %d", got, r.Finish("T"), n)
		}
		r = codec.NewReader(e.Fixed64([]byte{0xcf}, uint64(uint(n))))
		if got := r.Uint(); got != uint(n) || r.Finish("T") != nil {
			t.Errorf("Uint: %d, %v; want %d", got, r.Finish("T"), uint(n))
		}
	}
	fits := strconv.IntSize == 64
	for _, n := range []int64{math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64, math.MinInt64} {
		r := codec.NewReader(e.Fixed64([]byte{0xd3}, uint64(n)))
		got := r.Int()
		if err := r.Finish("T"); fits && (err != nil || int64(got) != n) || !fits && !errors.Is(err, codec.ErrOverflow) {
			t.Errorf("Int of %d with %d bits: %d, %v", n, strconv.IntSize, got, err)
		}
	}
	for _, n := range []uint64{math.MaxUint32 + 1, math.MaxUint64} {
		r := codec.NewReader(e.Fixed64([]byte{0xcf}, n))
		got := r.Uint()
		if err := r.Finish("T"); fits && (err != nil || uint64(got) != n) || !fits && !errors.Is(err, codec.ErrOverflow) {
			t.Errorf("Uint of %d with %d bits: %d, %v", n, strconv.IntSize, got, err)
		}
	}
}

// TestURLFields fails when a release of Go adds a field to url.URL, which the
// codec would lose.
func TestURLFields(t *testing.T) {
	t.Parallel()
	var got []string
	for f := range reflect.TypeFor[url.URL]().Fields() {
		got = append(got, f.Name)
	}
	want := []string{"Scheme", "Opaque", "User", "Host", "Path", "Fragment", "RawQuery", "RawPath", "RawFragment", "ForceQuery", "OmitHost"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the fields of url.URL (-known +now):\n%s", d)
	}
}

func FuzzReadyMade(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x08"))
	f.Add([]byte("-12345678901234567890"))
	b, _ := codec.URL{}.Append(nil, url.URL{Scheme: "a", User: url.UserPassword("u", "p"), OmitHost: true})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		canonical(t, codec.Addr{}, b)
		canonical(t, codec.Prefix{}, b)
		canonical(t, codec.Integer{}, b)
		canonical(t, codec.URL{}, b)
	})
}

// canonical sees that what c decodes it encodes as the same bytes.
func canonical[T any](t *testing.T, c codec.Codec[T], b []byte) {
	t.Helper()
	v, err := c.Decode(b)
	if err != nil {
		return
	}
	if again, err := c.Append(nil, v); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%T: %x is encoded again as %x, %v", c, b, again, err)
	}
}

func TestIsZero(t *testing.T) {
	t.Parallel()
	if !codec.IsZero(netip.Addr{}) || codec.IsZero(netip.IPv4Unspecified()) {
		t.Error("IsZero of addresses")
	}
}
