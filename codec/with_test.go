package codec_test

import (
	"bytes"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
)

var errWord = errors.New("no word")

// words is a codec that fails as it is told.
type words struct{}

func (words) Append(dst []byte, v string) ([]byte, error) {
	switch v {
	case "refuse":
		return dst, errWord
	case "panic":
		panic(errWord)
	case "elsewhere":
		return []byte(v), nil
	}
	return append(dst, v...), nil
}

func (words) Decode(src []byte) (string, error) {
	switch string(src) {
	case "refuse", "late":
		return "", errWord
	case "panic":
		panic("decode")
	}
	return string(src), nil
}

func decodeWord(r *codec.Reader, v *string) { *v = codec.DecodeWith(r, words{}, 70000) }

func TestWith(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 255, 256, 65535, 65536} {
		want := strings.Repeat("w", n)
		var e codec.Encoder
		room := make([]byte, 0, 3*n+100) // content is made in place
		for _, dst := range [][]byte{nil, []byte("before"), room} {
			b := codec.EncodeWith(&e, dst, words{}, want, 0)
			plain := e.Bytes(bytes.Clone(dst), []byte(want))
			if n == 0 {
				plain = append(bytes.Clone(dst), 0xc4, 0)
			}
			if d := cmp.Diff(plain, b); d != "" {
				t.Errorf("%d bytes after %q (-bytes +with):\n%s", n, dst, d)
			}
			r := codec.NewReader(b[len(dst):])
			if got := codec.DecodeWith(r, words{}, 0); got != want || r.Finish("T") != nil {
				t.Errorf("%d bytes: %d, %v", n, len(got), r.Finish("T"))
			}
		}
	}
	var e codec.Encoder
	if b := codec.EncodeWith(&e, []byte("x"), words{}, "elsewhere", 0); string(b) != "x\xc4\x09elsewhere" {
		t.Errorf("an Append that ignores dst: %q", b)
	}
}

func TestWithRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		word string
		max  int
		is   error
		want string
	}{
		{"refuse", 0, errWord, "codec: encode T: no word"},
		{"panic", 0, errWord, "codec: encode T: panic: no word"},
		{"late", 0, errWord, "codec: encode T: no word"},
		{strings.Repeat("w", 70001), 70000, codec.ErrTooLarge, "codec: encode T: 70001 bytes, at most 70000 are allowed"},
	} {
		var e codec.Encoder
		b := codec.EncodeWith(&e, nil, words{}, tt.word, tt.max)
		err := codec.Check(&e, b, "T", decodeWord)
		if !errors.Is(err, tt.is) || err.Error() != tt.want {
			t.Errorf("%.10s: %v; want %s", tt.word, err, tt.want)
		}
	}
	for text, want := range map[string]string{
		"\xc4\x05panic":        "codec: decode T: panic: decode (at byte 0)",
		"\xc4\x04late":         "codec: decode T: no word (at byte 0)",
		"\xc0":                 "codec: decode T: nil, where bytes is wanted (at byte 0)",
		"\xa4late":             "codec: decode T: a string, where bytes is wanted (at byte 0)",
		"\xc4\x05late":         "codec: decode T: bytes of length 5 is declared, 4 bytes remain (at byte 0)",
		"\xc6\xff\xff\xff\xff": "codec: decode T: bytes of length 4294967295 is declared, 0 bytes remain (at byte 0)",
		"\xc1":                 "codec: decode T: the byte 0xc1 starts no MessagePack value (at byte 0)",
	} {
		r := codec.NewReader([]byte(text))
		var v string
		decodeWord(r, &v)
		if err := r.Finish("T"); err == nil || err.Error() != want {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
}

// TestWithClips holds a registered codec off the bytes that follow its own.
func TestWithClips(t *testing.T) {
	t.Parallel()
	src := []byte("\xc4\x01ab")
	r := codec.NewReader(src)
	codec.DecodeWith(r, growing{}, 0)
	if string(src) != "\xc4\x01ab" {
		t.Errorf("the codec wrote over what follows: %q", src)
	}
}

// growing appends to what it is given to decode.
type growing struct{}

func (growing) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }
func (growing) Decode(src []byte) (string, error)           { return string(append(src, "XYZ"...)), nil }

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
func (b Blob) MarshalText() ([]byte, error)      { return []byte("t:" + b.s), nil }
func (b *Blob) UnmarshalText(src []byte) error   { b.s = string(src[2:]); return nil }

func TestNamedBytes(t *testing.T) {
	t.Parallel()
	type octet byte
	var e codec.Encoder
	for _, p := range [][]octet{nil, {}, {1, 255}, make([]octet, 300)} {
		b := codec.EncodeBytes(&e, []byte("x"), p)
		r := codec.NewReader(b[1:])
		if got := codec.DecodeBytes[octet](r, 300); r.Finish("T") != nil || !cmp.Equal(got, p) {
			t.Errorf("%v becomes %x becomes %v, %v", p, b, got, r.Finish("T"))
		}
		if p == nil {
			continue
		}
		r = codec.NewReader(codec.EncodeBytes(&e, nil, p))
		got := make([]octet, len(p))
		if codec.DecodeArray(r, got); r.Finish("T") != nil || !cmp.Equal(got, p) {
			t.Errorf("array %v becomes %v, %v", p, got, r.Finish("T"))
		}
	}
	for text, want := range map[string]string{
		"\xc4\x02ab":           "codec: decode T: 2 bytes, where 1 are wanted (at byte 0)",
		"\xc0":                 "codec: decode T: nil, where bytes is wanted (at byte 0)",
		"\xc6\x7f\xff\xff\xff": "codec: decode T: bytes of length 2147483647 is declared, 0 bytes remain (at byte 0)",
	} {
		r := codec.NewReader([]byte(text))
		codec.DecodeArray(r, make([]octet, 1))
		if err := r.Finish("T"); err == nil || err.Error() != want {
			t.Errorf("%x: %v; want %s", text, err, want)
		}
	}
	r := codec.NewReader([]byte("\xc4\x02ab"))
	if codec.DecodeBytes[octet](r, 1); !errors.Is(r.Finish("T"), codec.ErrTooLarge) {
		t.Errorf("2 bytes of at most 1: %v", r.Finish("T"))
	}
}
