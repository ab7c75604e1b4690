package codec_test

import (
	"encoding"
	"errors"
	"strings"
	"testing"

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
