package mosaik

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

const maskedTestKey = "50****b4"

type keyHolder struct {
	Name string
	Key  GroupKey
}

type privateKeyHolder struct {
	name string
	key  GroupKey
	ptr  *GroupKey
	list []any
}

type embeddedKeyHolder struct{ GroupKey }

// keyNotations lists every four bytes in a row of the test key as printers
// write them.
var keyNotations = sync.OnceValue(func() (all []string) {
	key := sm.ID("test-key")
	for i := range len(key) - 3 {
		a, b, c, d := key[i], key[i+1], key[i+2], key[i+3]
		for _, format := range []string{
			"%02x%02x%02x%02x", "%02x %02x %02x %02x", "%#x, %#x, %#x, %#x",
			"%d %d %d %d", "%d,%d,%d,%d", "%b %b %b %b", "%o %o %o %o",
		} {
			all = append(all, fmt.Sprintf(format, a, b, c, d))
		}
	}
	return append(all, strings.ToLower(base64.StdEncoding.EncodeToString(key[:])[:6]))
})

// leak returns the part of the test key that text shows, "" if it shows none.
func leak(text string) string {
	text = strings.ToLower(text)
	for _, part := range keyNotations() {
		if strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

// The other tests of secrecy stand on leak.
func TestLeakFindsABareSecret(t *testing.T) {
	t.Parallel()
	bare := sm.ID("test-key")
	for _, text := range []string{
		bare.String(), fmt.Sprintf("%x", bare[:]), fmt.Sprintf("%X", bare[:]), fmt.Sprintf("% x", bare[:]),
		fmt.Sprintf("%#v", [32]byte(bare)), fmt.Sprintf("%v", [32]byte(bare)), fmt.Sprintf("%d", [32]byte(bare)),
		fmt.Sprintf("%b", [32]byte(bare)), fmt.Sprintf("%o", [32]byte(bare)), base64.StdEncoding.EncodeToString(bare[:]),
	} {
		if leak(text) == "" {
			t.Errorf("leak overlooks %s", text)
		}
	}
}

func TestGroupKeyPrintsMasked(t *testing.T) {
	t.Parallel()
	key := textKey(t, "test-key")
	for format, want := range map[string]string{
		"%v":  maskedTestKey,
		"%+v": maskedTestKey,
		"%#v": "mosaik.GroupKey(" + maskedTestKey + ")",
		"%s":  maskedTestKey,
		"%q":  `"` + maskedTestKey + `"`,
		"%x":  maskedTestKey,
		"%X":  maskedTestKey,
		"%d":  maskedTestKey,
		"%T":  "mosaik.GroupKey",
	} {
		if got := fmt.Sprintf(format, key); got != want {
			t.Errorf("%s prints %q, want %q", format, got, want)
		}
		if got := fmt.Sprintf(format, GroupKey{}); format == "%s" && got != "none" {
			t.Errorf("%s prints the zero key as %q, want none", format, got)
		}
	}
	for _, value := range []any{
		&key, keyHolder{"a", key}, &keyHolder{"a", key}, embeddedKeyHolder{key}, []GroupKey{key},
		map[string]GroupKey{"a": key}, map[string]*keyHolder{"a": {"a", key}}["a"], [1]any{key},
	} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, value); !strings.Contains(got, maskedTestKey) {
				t.Errorf("%s of %T prints %q, want %s in it", format, value, got, maskedTestKey)
			}
		}
	}
}

// No verb and no flag prints the secret, not even where fmt can't call methods:
// in private fields, and for %p.
func TestGroupKeyNeverPrintsWhole(t *testing.T) {
	t.Parallel()
	key := textKey(t, "test-key")
	private := privateKeyHolder{"a", key, &key, []any{key, &key}}
	values := []any{
		key, &key, keyHolder{"a", key}, &keyHolder{"a", key}, private, &private, []privateKeyHolder{private},
		map[string]privateKeyHolder{"a": private}, embeddedKeyHolder{key}, struct{ embeddedKeyHolder }{embeddedKeyHolder{key}},
		textKey(t, "other").Rotate(key), key.Accepting(textKey(t, "other")), textKey(t, "other").Accepting(key), struct{ holder privateKeyHolder }{private},
	}
	for _, flags := range []string{"", "+", "#", " ", "-", "0", "+#", "# ", "20", "-20", ".3", "200.100", "[1]"} {
		for verb := rune('A'); verb <= 'z'; verb++ {
			format := "%" + flags + string(verb)
			for _, value := range values {
				if text := fmt.Sprintf(format, value); leak(text) != "" {
					t.Errorf("%s of %T shows the secret: %s", format, value, text)
				}
			}
		}
	}
	extra, missing := formats("no verb", "%v %v")
	for _, value := range values {
		if text := fmt.Sprintf(extra, value) + fmt.Sprintf(missing, value) + fmt.Sprint(value); leak(text) != "" {
			t.Errorf("a wrong format of %T shows the secret: %s", value, text)
		}
	}
}

func TestGroupKeyLogsMasked(t *testing.T) {
	t.Parallel()
	key := textKey(t, "test-key")
	if got := slog.AnyValue(key).Resolve(); !got.Equal(slog.StringValue(maskedTestKey)) {
		t.Errorf("handlers see %v, want %s", got, maskedTestKey)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		for _, value := range []any{key, &key, keyHolder{"a", key}, &keyHolder{"a", key}, []GroupKey{key}, map[string]any{"k": key}} {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("joining", "value", value)
			if !strings.Contains(out.String(), maskedTestKey) || leak(out.String()) != "" {
				t.Errorf("%s handler logs %T as %s, want only %s", name, value, &out, maskedTestKey)
			}
		}
		var out bytes.Buffer
		slog.New(handler(&out)).Info("joining", "value", privateKeyHolder{"a", key, &key, nil})
		if leak(out.String()) != "" {
			t.Errorf("%s handler logs a private field as %s", name, &out)
		}
	}
}

func TestGroupKeyMarshalsMaskedAndStaysSo(t *testing.T) {
	t.Parallel()
	key := textKey(t, "test-key")
	holder := keyHolder{"a", key}
	for name, marshal := range map[string]func() ([]byte, error){
		"json":    func() ([]byte, error) { return json.Marshal(holder) },
		"xml":     func() ([]byte, error) { return xml.Marshal(holder) },
		"msgpack": func() ([]byte, error) { return msgpack.Marshal(holder) },
	} {
		out, err := marshal()
		if err != nil || !bytes.Contains(out, []byte(maskedTestKey)) || leak(string(out)) != "" || leak(fmt.Sprintf("%x", out)) != "" {
			t.Errorf("%s is %q, %v, want only %s", name, out, err, maskedTestKey)
		}
	}
	for _, value := range []any{key, holder} {
		var out bytes.Buffer
		if err := gob.NewEncoder(&out).Encode(value); err == nil || leak(fmt.Sprintf("%x", out.Bytes())) != "" {
			t.Errorf("gob of %T is %q, %v, want an error", value, out.Bytes(), err)
		}
	}

	for name, err := range map[string]error{
		"text":         new(GroupKey).UnmarshalText([]byte(testKeyHex)),
		"json masked":  json.Unmarshal([]byte(`{"Key":"50****b4"}`), &keyHolder{}),
		"json secret":  json.Unmarshal([]byte(`{"Key":"`+testKeyHex+`"}`), &keyHolder{}),
		"msgpack text": msgpack.Unmarshal([]byte("\x81\xa3Key\xc4\x0850****b4"), &keyHolder{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "KeyFromText") || leak(err.Error()) != "" {
			t.Errorf("unmarshal %s: %v, want an error that says to use KeyFromText", name, err)
		}
	}
}

func TestGroupKeyFromItsSources(t *testing.T) {
	t.Parallel()
	fromHex := textKey(t, strings.ToUpper(testKeyHex))
	fromDigest, err := KeyFromDigest(sm.ID("test-key"))
	if err != nil {
		t.Fatal(err)
	}
	fromValidator, err := KeyFromDigest(signedBy("test-key").Signature())
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]GroupKey{"hex": fromHex, "digest": fromDigest, "validator": fromValidator} {
		if !key.Equal(textKey(t, "test-key")) {
			t.Errorf("the key from %s is %v, want %v", name, key, maskedTestKey)
		}
	}
	if textKey(t, "test-key\n").Equal(fromHex) {
		t.Error("a trailing newline does not count")
	}
}

type signedBy string

func (signedBy) Class() sm.Digest       { return sm.ID("signed") }
func (s signedBy) Signature() sm.Digest { return sm.ID(string(s)) }
func (signedBy) Validate(time.Time, sm.PeerID, ticket.Ticket) (time.Time, error) {
	return time.Time{}, nil
}

func TestGroupKeyRefusesNoSecret(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func() (GroupKey, error){
		"empty text":  func() (GroupKey, error) { return KeyFromText("") },
		"blank text":  func() (GroupKey, error) { return KeyFromText(" \n") },
		"zeros":       func() (GroupKey, error) { return KeyFromText(strings.Repeat("0", 64)) },
		"zero digest": func() (GroupKey, error) { return KeyFromDigest(sm.Digest{}) },
	} {
		key, err := make()
		if err == nil || !key.IsZero() || !strings.HasPrefix(err.Error(), "mosaik: make group key: ") {
			t.Errorf("%s gives %v, %v, want no key and an error", name, key, err)
		}
	}
}

// TestShortKeysAreRefused tries texts of each kind of character that hold just
// enough, and one character less.
func TestShortKeysAreRefused(t *testing.T) {
	t.Parallel()
	const all = "aA0!"
	for name, c := range map[string]struct {
		alphabet string
		length   int // the least that is accepted
	}{
		"digits":                {"0123456789", 39},
		"lower case":            {"abcdefghijklmnopqrstuvwxyz", 28},
		"upper case":            {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 28},
		"hexadecimal":           {"0123456789abcdef", 25},
		"letters":               {"aBcDeFgH", 23},
		"letters and digits":    {"aB0cD1", 22},
		"all printable":         {all, 20},
		"other than ASCII":      {"日本語", 13},
		"all, and white space ": {all + " \t", 20},
	} {
		text := func(n int) string {
			runes := []rune(strings.Repeat(c.alphabet, n))[:n]
			runes[n-1] = runes[0] // no white space at the end
			return string(runes)
		}
		key, err := KeyFromText(text(c.length))
		if err != nil || key.IsZero() {
			t.Errorf("%s: %d characters are refused: %v", name, c.length, err)
		}
		for n := 1; n < c.length; n++ {
			key, err := KeyFromText(text(n))
			if err == nil || !key.IsZero() {
				t.Errorf("%s: %d characters are accepted", name, n)
				continue
			}
			for _, want := range []string{"too short", "128", "bits of entropy", "openssl rand -hex 32"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: error %q does not name %q", name, err, want)
				}
			}
			if n > 3 && strings.Contains(err.Error(), text(n)) {
				t.Errorf("%s: error %q shows the text", name, err)
			}
		}
		if _, err := KeyFromText(text(c.length-1) + " \n"); err == nil {
			t.Errorf("%s: white space at the end counts as entropy", name)
		}
	}
}

func TestRandomKeysDiffer(t *testing.T) {
	t.Parallel()
	a, b := RandomKey(), RandomKey()
	if a.IsZero() || a.Equal(b) || !a.Equal(a) {
		t.Errorf("random keys %v and %v, want two different ones", a, b)
	}
	if m := a.material(); m.anchor != m.secret.Hashed() || a.anchor() != m.anchor {
		t.Error("the anchor of a random key is not the hash of its secret")
	}
}

// formats keeps its results from being constants, which linters would check
// against the arguments that they are meant not to fit.
func formats(a, b string) (string, string) { return a, b }
