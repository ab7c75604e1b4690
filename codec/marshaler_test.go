package codec_test

import (
	"encoding"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/codec"
)

// loose reads more than it writes: text in any case, which it writes in lower
// case.
type loose struct{ s string }

func (l loose) AppendText(b []byte) ([]byte, error) {
	if l.s == "bad" {
		return append(b, "rest"...), errWord
	}
	return append(b, l.s...), nil
}

func (l *loose) UnmarshalText(b []byte) error {
	if string(b) == "bad" {
		return errWord
	}
	l.s = strings.ToLower(string(b))
	return nil
}

func (l loose) AppendBinary(b []byte) ([]byte, error) { return l.AppendText(b) }
func (l *loose) UnmarshalBinary(b []byte) error       { return l.UnmarshalText(b) }

// mute can be read and not be written.
type mute struct{}

func (*mute) UnmarshalText([]byte) error   { return nil }
func (*mute) UnmarshalBinary([]byte) error { return nil }

var (
	_ encoding.TextAppender   = loose{}
	_ encoding.BinaryAppender = loose{}
)

func TestMarshalersAreCanonical(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]codec.Codec[loose]{
		"text": codec.Text[loose, *loose]{}, "binary": codec.Binary[loose, *loose]{},
	} {
		roundTrip(t, c, loose{"word"}, "word", func(a, b loose) bool { return a == b })
		if _, err := c.Decode([]byte("Word")); !errors.Is(err, codec.ErrCanonical) || err.Error() != `codec: not canonical: "Word", which is written "word"` {
			t.Errorf("%s: Decode: %v; want %v", name, err, codec.ErrCanonical)
		}
		if _, err := c.Decode([]byte("bad")); !errors.Is(err, errWord) {
			t.Errorf("%s: Decode: %v; want %v", name, err, errWord)
		}
		if b, err := c.Append([]byte("x"), loose{"bad"}); !errors.Is(err, errWord) || string(b) != "x" {
			t.Errorf("%s: Append: %q, %v; want dst and %v", name, b, err, errWord)
		}
	}
	for name, c := range map[string]codec.Codec[mute]{
		"text": codec.Text[mute, *mute]{}, "binary": codec.Binary[mute, *mute]{},
	} {
		if b, err := c.Append([]byte("x"), mute{}); !errors.Is(err, codec.ErrUnsupported) || string(b) != "x" {
			t.Errorf("%s: Append: %q, %v; want dst and %v", name, b, err, codec.ErrUnsupported)
		}
		if _, err := c.Decode(nil); !errors.Is(err, codec.ErrUnsupported) {
			t.Errorf("%s: Decode: %v; want %v", name, err, codec.ErrUnsupported)
		}
	}
}

var errWord = errors.New("no word")

// roundTrip holds c to the promises of Codec for v.
func roundTrip[T any](t *testing.T, c codec.Codec[T], v T, want string, equal func(a, b T) bool) {
	t.Helper()
	b, err := c.Append([]byte("x"), v)
	if err != nil || string(b) != "x"+want {
		t.Errorf("%T: Append = %q, %v; want %q", c, b, err, "x"+want)
		return
	}
	if got, err := c.Decode(b[1:]); err != nil || !equal(got, v) {
		t.Errorf("%T: Decode = %v, %v; want %v", c, got, err, v)
	}
}

func TestBinaryAndText(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr("1.2.3.4")
	same := func(a, b netip.Addr) bool { return a == b }
	roundTrip(t, codec.Binary[netip.Addr, *netip.Addr]{}, addr, "\x01\x02\x03\x04", same)
	roundTrip(t, codec.Text[netip.Addr, *netip.Addr]{}, addr, "1.2.3.4", same)
	roundTrip(t, codec.Binary[Blob, *Blob]{}, Blob{"b"}, "b", func(a, b Blob) bool { return a == b })
	roundTrip(t, codec.Text[Blob, *Blob]{}, Blob{"b"}, "t:b", func(a, b Blob) bool { return a == b })
	roundTrip(t, codec.Text[big.Int, *big.Int]{}, *big.NewInt(-77), "-77", func(a, b big.Int) bool { return a.Cmp(&b) == 0 })
	roundTrip(t, codec.Text[time.Time, *time.Time]{}, time.Unix(0, 0).UTC(), "1970-01-01T00:00:00Z", time.Time.Equal)
	if b, err := (codec.Binary[Blob, *Blob]{}).Append([]byte("x"), Blob{"bad"}); err == nil || string(b) != "x" {
		t.Errorf("Append = %q, %v; want dst and an error", b, err)
	}
	if _, err := (codec.Binary[netip.Addr, *netip.Addr]{}).Decode([]byte("abc")); err == nil {
		t.Error("an address of three bytes is decoded")
	}
}

// Blob has the marshalers and no appenders.
type Blob struct{ s string }

func (b Blob) MarshalBinary() ([]byte, error) {
	if b.s == "bad" {
		return nil, errWord
	}
	return []byte(b.s), nil
}

func (b *Blob) UnmarshalBinary(src []byte) error { b.s = string(src); return nil }

func (b Blob) MarshalText() ([]byte, error) { return []byte("t:" + b.s), nil }

func (b *Blob) UnmarshalText(src []byte) error { b.s = string(src[2:]); return nil }
