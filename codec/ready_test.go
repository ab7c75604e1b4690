package codec_test

import (
	"bytes"
	"net/url"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
)

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

// canonical checks that a value that c decodes is encoded as the same bytes.
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
