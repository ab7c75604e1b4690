package codecimpl_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/codecimpl"
)

var errWord = errors.New("no word")

// words is a codec that fails for some words.
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

func decodeWord(r *codecimpl.Reader, v *string) { *v = codecimpl.DecodeWith(r, words{}, 70000) }

func TestWith(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 255, 256, 65535, 65536} {
		want := strings.Repeat("w", n)
		var e codecimpl.Encoder
		room := make([]byte, 0, 3*n+100) // content is made in place
		for _, dst := range [][]byte{nil, []byte("before"), room} {
			b := codecimpl.EncodeWith(&e, dst, words{}, want, 0)
			plain := e.Bytes(bytes.Clone(dst), []byte(want))
			if n == 0 {
				plain = append(bytes.Clone(dst), 0xc4, 0)
			}
			if d := cmp.Diff(plain, b); d != "" {
				t.Errorf("%d bytes after %q (-bytes +with):\n%s", n, dst, d)
			}
			r := codecimpl.NewReader(b[len(dst):])
			if got := codecimpl.DecodeWith(r, words{}, 0); got != want || r.Finish("T") != nil {
				t.Errorf("%d bytes: %d, %v", n, len(got), r.Finish("T"))
			}
		}
	}
	var e codecimpl.Encoder
	if b := codecimpl.EncodeWith(&e, []byte("x"), words{}, "elsewhere", 0); string(b) != "x\xc4\x09elsewhere" {
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
		var e codecimpl.Encoder
		b := codecimpl.EncodeWith(&e, nil, words{}, tt.word, tt.max)
		err := codecimpl.Check(&e, b, "T", decodeWord)
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
		r := codecimpl.NewReader([]byte(text))
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
	r := codecimpl.NewReader(src)
	codecimpl.DecodeWith(r, growing{}, 0)
	if string(src) != "\xc4\x01ab" {
		t.Errorf("the codec wrote over what follows: %q", src)
	}
}

// growing appends to what it is given to decode.
type growing struct{}

func (growing) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }

func (growing) Decode(src []byte) (string, error) { return string(append(src, "XYZ"...)), nil }

func TestNamedBytes(t *testing.T) {
	t.Parallel()
	type octet byte
	var e codecimpl.Encoder
	for _, p := range [][]octet{nil, {}, {1, 255}, make([]octet, 300)} {
		b := codecimpl.EncodeBytes(&e, []byte("x"), p)
		r := codecimpl.NewReader(b[1:])
		if got := codecimpl.DecodeBytes[octet](r, 300); r.Finish("T") != nil || !cmp.Equal(got, p) {
			t.Errorf("%v becomes %x becomes %v, %v", p, b, got, r.Finish("T"))
		}
		if p == nil {
			continue
		}
		r = codecimpl.NewReader(codecimpl.EncodeBytes(&e, nil, p))
		got := make([]octet, len(p))
		if codecimpl.DecodeArray(r, got); r.Finish("T") != nil || !cmp.Equal(got, p) {
			t.Errorf("array %v becomes %v, %v", p, got, r.Finish("T"))
		}
	}
	for text, want := range map[string]string{
		"\xc4\x02ab":           "codec: decode T: 2 bytes, where 1 are wanted (at byte 0)",
		"\xc0":                 "codec: decode T: nil, where bytes is wanted (at byte 0)",
		"\xc6\x7f\xff\xff\xff": "codec: decode T: bytes of length 2147483647 is declared, 0 bytes remain (at byte 0)",
	} {
		r := codecimpl.NewReader([]byte(text))
		codecimpl.DecodeArray(r, make([]octet, 1))
		if err := r.Finish("T"); err == nil || err.Error() != want {
			t.Errorf("%x: %v; want %s", text, err, want)
		}
	}
	r := codecimpl.NewReader([]byte("\xc4\x02ab"))
	if codecimpl.DecodeBytes[octet](r, 1); !errors.Is(r.Finish("T"), codec.ErrTooLarge) {
		t.Errorf("2 bytes of at most 1: %v", r.Finish("T"))
	}
}
