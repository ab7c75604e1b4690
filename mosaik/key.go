package mosaik

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// GroupKey is the secret that the members of a group share. Whoever knows it
// can compute the group's id and pass for a member; keep at least 128 bits of
// entropy in it. It never leaves the process: members prove that they know it
// without sending it. Only [GroupKey.Export] takes it out.
//
// A key prints, logs and marshals as its first and last byte only, 50****b4,
// and can't be unmarshalled. Keys are compared with [GroupKey.Equal]; comparing
// them with == does not compile. The zero GroupKey is no key: joining with it
// is an error. A GroupKey may be used concurrently.
type GroupKey struct {
	// reveal is a function because printers that walk private fields, fmt
	// among them, show of a function no more than its address.
	reveal func() keyMaterial
}

// keyMaterial is what a key consists of.
type keyMaterial struct {
	anchor   sm.Digest   // the hash of the first secret, of which ids are made
	secret   sm.Digest   // the current one
	accepted []sm.Digest // others that are proven and accepted too, ascending
}

var errKeyUnmarshal = errors.New("mosaik: unmarshal group key: keys are marshalled masked and can't be read back; " +
	"keep the secret text itself and use KeyFromText")

// KeyFromText returns the key that s stands for: the decoded bytes when s is
// exactly 64 hexadecimal digits, the BLAKE3-256 hash of s otherwise. Every
// character counts, a trailing newline too. The hash does not make a guessable
// text safe: use at least 128 random bits, such as 32 hexadecimal digits.
//
// Text that is too short to hold 128 bits is an error, blank text included. What
// it can hold depends on its length and on the kinds of characters in it: 39
// digits, 28 lower-case letters, 25 of both, or 20 characters of all kinds are
// enough. Longer text may still be guessable.
func KeyFromText(s string) (GroupKey, error) {
	switch bits := entropyBound(s); {
	case strings.TrimSpace(s) == "":
		return GroupKey{}, fmt.Errorf("mosaik: make group key: the text is blank; use at least %d random bits", keyBits)
	case bits < keyBits:
		return GroupKey{}, fmt.Errorf("mosaik: make group key: the text is too short: it holds at most %d bits of entropy, "+
			"and at least %d are required; use 32 random hexadecimal digits or more (openssl rand -hex 32)", int(bits), keyBits)
	}
	return KeyFromDigest(sm.ID(s))
}

// keyBits is the entropy that the text of a key must be able to hold, in bits.
const keyBits = 128

// entropyBound returns how many bits of entropy a text can hold: its characters
// are taken as drawn at random from all characters of their kinds.
func entropyBound(s string) float64 {
	var lower, upper, digits, marks, others bool
	n := 0
	for _, r := range strings.TrimSpace(s) {
		n++
		switch {
		case 'a' <= r && r <= 'z':
			lower = true
		case 'A' <= r && r <= 'Z':
			upper = true
		case '0' <= r && r <= '9':
			digits = true
		case r < utf8.RuneSelf:
			marks = true
		default:
			others = true
		}
	}
	kinds := 0
	for _, k := range []struct {
		has  bool
		size int
	}{{lower, 26}, {upper, 26}, {digits, 10}, {marks, 33}, {others, 1 << 10}} {
		if k.has {
			kinds += k.size
		}
	}
	return float64(n) * math.Log2(float64(max(1, kinds)))
}

// KeyFromDigest returns the key whose secret is d itself. The zero digest is an
// error.
func KeyFromDigest(d sm.Digest) (GroupKey, error) {
	if d.IsZero() {
		return GroupKey{}, errors.New("mosaik: make group key: the secret is all zeros; use at least 128 random bits")
	}
	return newKey(keyMaterial{anchor: d.Hashed(), secret: d}), nil
}

// KeyFromValidator returns the key whose secret is the signature of v, for
// groups that whoever holds a valid ticket may join. When that signature is
// made of public values only, such as a public key or an issuer's or a
// validator's name, the key is public knowledge and keeps nobody out: the
// tickets alone do, so require them with v as well. Of the validators of
// package ticket/jwt only those with HMAC keys and without a name keep theirs
// secret.
func KeyFromValidator(v ticket.Validator) (GroupKey, error) {
	if isNil(v) {
		return GroupKey{}, errors.New("mosaik: make group key: the ticket validator is nil")
	}
	return KeyFromDigest(v.Signature())
}

// RandomKey returns a key of 256 random bits. [GroupKey.Export] gives its text,
// to be kept where the other members find it.
func RandomKey() GroupKey {
	var d sm.Digest
	rand.Read(d[:]) // never fails: it ends the process instead
	return newKey(keyMaterial{anchor: d.Hashed(), secret: d})
}

func newKey(m keyMaterial) GroupKey { return GroupKey{reveal: func() keyMaterial { return m }} }

// IsZero reports whether k is the zero GroupKey.
func (k GroupKey) IsZero() bool { return k.reveal == nil }

// Equal reports, in constant time, whether k and o stand for the same group id
// and the same secrets.
func (k GroupKey) Equal(o GroupKey) bool {
	a, b := k.material(), o.material()
	equal := subtle.ConstantTimeCompare(a.anchor[:], b.anchor[:]) & subtle.ConstantTimeCompare(a.secret[:], b.secret[:])
	for i := range min(len(a.accepted), len(b.accepted)) {
		equal &= subtle.ConstantTimeCompare(a.accepted[i][:], b.accepted[i][:])
	}
	return equal == 1 && len(a.accepted) == len(b.accepted)
}

// String returns the masked form, 50****b4, or "none" for the zero GroupKey.
func (k GroupKey) String() string {
	if k.IsZero() {
		return "none"
	}
	secret := k.material().secret
	return fmt.Sprintf("%02x****%02x", secret[0], secret[len(secret)-1])
}

// GoString returns the masked form as Go-like syntax, for %#v.
func (k GroupKey) GoString() string { return "mosaik.GroupKey(" + k.String() + ")" }

// Format implements [fmt.Formatter]: every verb prints the masked form.
func (k GroupKey) Format(f fmt.State, verb rune) {
	text := k.String()
	switch {
	case verb == 'v' && f.Flag('#'):
		text = k.GoString()
	case verb == 'q':
		text = strconv.Quote(text)
	}
	io.WriteString(f, text)
}

// LogValue implements [slog.LogValuer] with the masked form.
func (k GroupKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText implements [encoding.TextMarshaler], and so JSON, with the masked
// form, so that a configuration which holds a key can be written to a log.
func (k GroupKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]: it always fails.
func (k *GroupKey) UnmarshalText([]byte) error { return errKeyUnmarshal }

// material returns what k consists of, zeros for the zero GroupKey.
func (k GroupKey) material() keyMaterial {
	if k.IsZero() {
		return keyMaterial{}
	}
	return k.reveal()
}
