package sm

import (
	"encoding/hex"
	"errors"
	"fmt"

	"lukechampine.com/blake3"
)

// DigestSize is the size of a [Digest] in bytes.
const DigestSize = 32

// shortLen is the number of hexadecimal digits that [Digest.Short] and [PeerID.Short]
// return.
const shortLen = 10

// Digest is a BLAKE3-256 hash. It identifies a network, a group or the signature of a
// machine. The zero Digest identifies nothing.
//
// Digests are comparable and may be map keys.
type Digest [DigestSize]byte

// ErrDigest reports text that is not a digest. A digest is 64 hexadecimal digits.
var ErrDigest = errors.New("sm: a digest is 64 hexadecimal digits")

// ID returns the digest for s. If s is exactly 64 hexadecimal digits, of either case,
// ID decodes them; otherwise it returns the BLAKE3-256 hash of s.
func ID(s string) Digest {
	if d, err := ParseDigest(s); err == nil {
		return d
	}
	return blake3.Sum256([]byte(s))
}

// ParseDigest decodes the text form of a digest, 64 hexadecimal digits of
// either case. For any other text the error is [ErrDigest].
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(DigestSize) {
		return Digest{}, fmt.Errorf("%w, not %d characters", ErrDigest, len(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("%w: %w", ErrDigest, err)
	}
	return d, nil
}

// Parts returns the digest of the concatenation of parts. Nothing marks where a part
// ends, so combine only values of fixed size.
func Parts(parts ...[]byte) Digest {
	h := blake3.New(DigestSize, nil)
	for _, p := range parts {
		h.Write(p)
	}
	var d Digest
	h.Sum(d[:0])
	return d
}

// Derive returns the digest of d followed by x, which identifies x within the scope of
// d.
func (d Digest) Derive(x []byte) Digest { return Parts(d[:], x) }

// Hashed returns the digest of d itself, from which d cannot be recovered.
func (d Digest) Hashed() Digest { return blake3.Sum256(d[:]) }

// IsZero reports whether d is the zero Digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns the text form: 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short returns the first 10 digits of the text form, for logs and metrics.
func (d Digest) Short() string { return d.String()[:shortLen] }

// MarshalText implements [encoding.TextMarshaler] with the text form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseDigest].
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
