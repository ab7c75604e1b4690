package codec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
)

// TestURLRefuses decodes bytes that are no URL, or not the ones that Append writes.
func TestURLRefuses(t *testing.T) {
	t.Parallel()
	const empty = "\xc4\x00"
	for src, want := range map[string]error{
		"":                                    codec.ErrTruncated,
		"http://a":                            codec.ErrType,
		"\xc0":                                codec.ErrNil,
		"\x9a\x00" + strings.Repeat(empty, 9): codec.ErrType,
		"\x9b\x00" + strings.Repeat(empty, 9): codec.ErrTruncated,
		"\x9b\x00" + strings.Repeat(empty, 10) + "\x00": codec.ErrTrailing,
		"\x9b\xcd\x01\x00" + strings.Repeat(empty, 10):  codec.ErrOverflow,
		"\x9b\xcc\x00" + strings.Repeat(empty, 10):      codec.ErrCanonical,
		"\x9b\x10" + strings.Repeat(empty, 10):          codec.ErrCanonical,
		"\x9b\x00\xc0" + strings.Repeat(empty, 9):       codec.ErrCanonical,
		"\x9b\x00\xa0" + strings.Repeat(empty, 9):       codec.ErrType,
		strings.Repeat("\x9b", codec.MaxSize+1):         codec.ErrTooLarge,
	} {
		if v, err := (codec.URL{}).Decode([]byte(src)); !errors.Is(err, want) {
			t.Errorf("%.40q is decoded as %v, error %v; want %v", src, v, err, want)
		}
	}
	_, err := codec.URL{}.Decode([]byte("\x9b\x00" + strings.Repeat(empty, 3) + "\xa0" + strings.Repeat(empty, 6)))
	if want := "codec: decode URL[4]: a string, where bytes is wanted (at byte 8)"; err == nil || err.Error() != want {
		t.Errorf("Decode: %v; want %s", err, want)
	}
}
