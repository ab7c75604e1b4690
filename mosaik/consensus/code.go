package consensus

import (
	"fmt"
	"strconv"
	"strings"
)

// CloseCode is the reason for which a peer refused or closed a connection or a bond. A code is
// four bytes on the wire. A newer peer may send codes that have no constant here. In text and in
// JSON a code is its number and its meaning, such as "30403 ticket refused".
type CloseCode uint32

// The codes are those of the original mosaik, except the ones that are marked as ours.
const (
	CodeAccepted          CloseCode = 0     // nothing is wrong
	CodeOtherNetwork      CloseCode = 101   // the peers are on different networks
	CodeCancelled         CloseCode = 102   // the peer is leaving or cancelled the attempt
	CodeUnexpectedClose   CloseCode = 103   // the connection ended without a GOODBYE
	CodeProtocolViolation CloseCode = 400   // the peer sent what the protocol forbids
	CodeUnknownPeer       CloseCode = 401   // no valid entry of the peer is known
	CodeUndecodable       CloseCode = 30400 // a message could not be decoded
	CodeTicketRefused     CloseCode = 30403 // a validator refused the peer's tickets
	CodeUnknownGroup      CloseCode = 30404 // the group is not joined here
	CodeWrongProof        CloseCode = 30405 // the proof of the group key is wrong
	CodeSuperseded        CloseCode = 30406 // a later process with the peer's identity is known; ours
	CodeTimeout           CloseCode = 30408 // the peer was silent for too long
	CodePolicy            CloseCode = 30409 // the group's membership policy differs; ours
	CodeSchema            CloseCode = 30410 // the machine's schema has other levels; ours
	CodeAlreadyBonded     CloseCode = 30429 // a bond with the peer exists
	CodeBusy              CloseCode = 30503 // the peer has too many connections here; ours
)

// meanings has every code that has a constant. A test compares it with the constants.
var meanings = map[CloseCode]string{
	CodeAccepted:          "accepted",
	CodeOtherNetwork:      "other network",
	CodeCancelled:         "cancelled or leaving",
	CodeUnexpectedClose:   "unexpected close",
	CodeProtocolViolation: "protocol violation",
	CodeUnknownPeer:       "unknown peer",
	CodeUndecodable:       "undecodable message",
	CodeTicketRefused:     "ticket refused",
	CodeUnknownGroup:      "unknown group",
	CodeWrongProof:        "wrong proof of the group key",
	CodeSuperseded:        "superseded by a later process",
	CodeTimeout:           "timed out",
	CodePolicy:            "another membership policy",
	CodeSchema:            "other levels of the schema",
	CodeAlreadyBonded:     "already bonded",
	CodeBusy:              "too many connections",
}

// IsKnown reports whether the code has a constant in this release.
func (c CloseCode) IsKnown() bool {
	_, known := meanings[c]
	return known
}

// String returns the meaning of the code in a few words.
func (c CloseCode) String() string {
	if meaning, known := meanings[c]; known {
		return meaning
	}
	return "code without a name"
}

// MarshalText implements [encoding.TextMarshaler]. The text is the number and the meaning.
func (c CloseCode) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d %s", uint32(c), c), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads a number, with or without its
// meaning.
func (c *CloseCode) UnmarshalText(text []byte) error {
	number, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return fmt.Errorf("mosaik: parse close code: %w", err)
	}
	*c = CloseCode(n)
	return nil
}
