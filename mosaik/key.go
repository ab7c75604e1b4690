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

	"github.com/mosaik-go/mosaik/sm"
)

// GroupKey is the secret that the members of a group share. Any process that has
// it can compute the group's id and join the group, so it must hold at least 128 bits
// of entropy. Members prove that they have it without sending it. Only
// [GroupKey.Export] takes it out of the process.
//
// A key prints, logs and marshals as its first and last byte only, 50****b4, and
// cannot be unmarshalled. Compare keys with [GroupKey.Equal]; comparing them with ==
// does not compile. The zero GroupKey is no key, and joining with it is an error. A
// GroupKey may be used by several goroutines at once.
type GroupKey struct {
	// reveal is a function because printers that walk private fields, fmt among them,
	// print no more of a function than its address.
	reveal func() keyMaterial
}

// keyMaterial is the content of a key.
type keyMaterial struct {
	anchor   sm.Digest   // the hash of the first secret; group ids are derived from it
	secret   sm.Digest   // the current secret
	accepted []sm.Digest // other secrets that are proven and accepted, ascending
}

var errKeyUnmarshal = errors.New("mosaik: unmarshal group key: keys are marshalled masked and cannot be read back; " +
	"keep the secret text itself and use KeyFromText")

// KeyFromText returns the key that s stands for:
//
//   - the exported key, if s is what [GroupKey.Export] returned. White space around
//     it is ignored;
//   - the key whose secret is the decoded bytes, if s is exactly 64 hexadecimal digits;
//   - otherwise the key whose secret is the BLAKE3-256 hash of s. Every character
//     counts, a trailing newline too.
//
// The hash does not make a guessable text safe. Use at least 128 random bits, such as
// 32 hexadecimal digits. Text that is too short to hold 128 bits is an error. How much
// it can hold depends on its length and on the kinds of its characters: 39 digits, 28
// lower-case letters, 25 of both, or 20 characters of all kinds are enough. Longer text
// may still be guessable. Errors never show the text.
func KeyFromText(s string) (GroupKey, error) {
	if text := strings.TrimSpace(s); strings.HasPrefix(text, exportName) {
		return parseExport(text)
	}
	switch bits := entropyBound(s); {
	case strings.TrimSpace(s) == "":
		return GroupKey{}, fmt.Errorf("mosaik: make group key: the text is blank; use at least %d random bits", keyBits)
	case bits < keyBits:
		return GroupKey{}, fmt.Errorf("mosaik: make group key: the text is too short: it holds at most %d bits of entropy, "+
			"and at least %d are required; use 32 random hexadecimal digits or more (openssl rand -hex 32)", int(bits), keyBits)
	}
	return KeyFromDigest(sm.ID(s))
}

// keyBits is the entropy in bits that the text of a key must be able to hold.
const keyBits = 128

// entropyBound returns how many bits of entropy a text can hold, if its characters are
// drawn at random from all characters of their kinds.
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

// KeyFromDigest returns the key whose secret is d itself. The zero digest is an error.
//
// The signature of a ticket validator, v.Signature(), makes a key for groups that any
// process with a valid ticket may join. A signature that is made of public values only,
// such as a public key or an issuer's name, is public knowledge, and then the key keeps
// no process out: require the validator as well. Of the validators of package
// ticket/jwt only those with HMAC keys and without a name have a secret signature.
func KeyFromDigest(d sm.Digest) (GroupKey, error) {
	if d.IsZero() {
		return GroupKey{}, errors.New("mosaik: make group key: the secret is all zeros; use at least 128 random bits")
	}
	return newKey(keyMaterial{anchor: d.Hashed(), secret: d}), nil
}

// RandomKey returns a key of 256 random bits. [GroupKey.Export] returns its text, to be
// stored where the other members find it.
func RandomKey() GroupKey {
	var d sm.Digest
	rand.Read(d[:]) // never fails: it ends the process instead
	return newKey(keyMaterial{anchor: d.Hashed(), secret: d})
}

func newKey(m keyMaterial) GroupKey { return GroupKey{reveal: func() keyMaterial { return m }} }

// IsZero reports whether k is the zero GroupKey.
func (k GroupKey) IsZero() bool { return k.reveal == nil }

// Equal reports, in constant time, whether k and o have the same group ids and the
// same secrets.
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

// Format implements [fmt.Formatter]: every verb prints the masked form, %#v as
// mosaik.GroupKey(50****b4).
func (k GroupKey) Format(f fmt.State, verb rune) {
	text := k.String()
	switch {
	case verb == 'v' && f.Flag('#'):
		text = "mosaik.GroupKey(" + text + ")"
	case verb == 'q':
		text = strconv.Quote(text)
	}
	io.WriteString(f, text)
}

// LogValue implements [slog.LogValuer] with the masked form.
func (k GroupKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText implements [encoding.TextMarshaler], and so JSON, with the masked form.
// So a configuration that holds a key can be written to a log.
func (k GroupKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]: it always fails.
func (k *GroupKey) UnmarshalText([]byte) error { return errKeyUnmarshal }

// material returns the content of k, zeros for the zero GroupKey.
func (k GroupKey) material() keyMaterial {
	if k.IsZero() {
		return keyMaterial{}
	}
	return k.reveal()
}
