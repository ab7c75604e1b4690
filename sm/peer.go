package sm

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// PeerID identifies a peer, which is a process on a network. It is the peer's ed25519
// public key: on every connection a peer proves that it has the private key. The zero
// PeerID identifies no peer.
//
// PeerIDs are comparable and may be map keys. [PeerID.Compare] orders them.
type PeerID [32]byte

// ParsePeerID decodes the text form of a peer id, 64 hexadecimal digits of
// either case.
func ParsePeerID(s string) (PeerID, error) {
	d, err := ParseDigest(s)
	if err != nil {
		return PeerID{}, fmt.Errorf("sm: parse peer id: %w", err)
	}
	return PeerID(d), nil
}

// Compare compares peer ids by their bytes. It returns -1, 0 or +1.
func (p PeerID) Compare(q PeerID) int { return bytes.Compare(p[:], q[:]) }

// IsZero reports whether p is the zero PeerID.
func (p PeerID) IsZero() bool { return p == PeerID{} }

// String returns the text form: 64 lower-case hexadecimal digits.
func (p PeerID) String() string { return hex.EncodeToString(p[:]) }

// Short returns the first 10 digits of the text form, for logs and metrics.
func (p PeerID) Short() string { return p.String()[:shortLen] }

// MarshalText implements [encoding.TextMarshaler] with the text form.
func (p PeerID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParsePeerID].
func (p *PeerID) UnmarshalText(text []byte) error {
	parsed, err := ParsePeerID(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}
