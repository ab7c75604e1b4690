package link

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mosaik-go/mosaik/sm"
)

// Code says why a peer refused or closed a connection or a bond. A code is four bytes on
// the wire. A newer peer may send codes that have no name here.
type Code uint32

// The codes are those of the original mosaik, apart from those marked as ours.
const (
	CodeAccepted          Code = 0     // nothing is wrong
	CodeOtherNetwork      Code = 101   // the peers are on different networks
	CodeCancelled         Code = 102   // the peer is leaving or cancelled the attempt
	CodeUnexpectedClose   Code = 103   // the connection ended without a GOODBYE
	CodeProtocolViolation Code = 400   // the peer sent what the protocol forbids
	CodeUnknownPeer       Code = 401   // no valid entry of the peer is known
	CodeUndecodable       Code = 30400 // a message could not be decoded
	CodeTicketRefused     Code = 30403 // a validator refused the peer's tickets
	CodeUnknownGroup      Code = 30404 // the group is not joined here
	CodeWrongProof        Code = 30405 // the proof of the group key is wrong
	CodeSuperseded        Code = 30406 // a later process with the peer's identity is known; ours
	CodeTimeout           Code = 30408 // the peer was silent for too long
	CodePolicy            Code = 30409 // the group's membership policy differs; ours
	CodeSchema            Code = 30410 // the machine's schema has other levels; ours
	CodeAlreadyBonded     Code = 30429 // a bond with the peer exists
	CodeBusy              Code = 30503 // the peer has too many connections here; ours
)

// codes lists every code that has a name, with its meaning. A test compares it with the
// constants.
var codes = [...]struct {
	code    Code
	meaning string
}{
	{CodeAccepted, "accepted"},
	{CodeOtherNetwork, "other network"},
	{CodeCancelled, "cancelled or leaving"},
	{CodeUnexpectedClose, "unexpected close"},
	{CodeProtocolViolation, "protocol violation"},
	{CodeUnknownPeer, "unknown peer"},
	{CodeUndecodable, "undecodable message"},
	{CodeTicketRefused, "ticket refused"},
	{CodeUnknownGroup, "unknown group"},
	{CodeWrongProof, "wrong proof of the group key"},
	{CodeSuperseded, "superseded by a later process"},
	{CodeTimeout, "timed out"},
	{CodePolicy, "another membership policy"},
	{CodeSchema, "other levels of the schema"},
	{CodeAlreadyBonded, "already bonded"},
	{CodeBusy, "too many connections"},
}

// index returns the index of the code in codes, len(codes) for a code without a name.
func (c Code) index() int {
	for i := range codes {
		if codes[i].code == c {
			return i
		}
	}
	return len(codes)
}

// String returns the meaning of the code in a few words.
func (c Code) String() string {
	if i := c.index(); i < len(codes) {
		return codes[i].meaning
	}
	return "code without a name"
}

// MarshalText implements [encoding.TextMarshaler]. The text is the number and the meaning.
func (c Code) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d %s", uint32(c), c), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads a number, with or without
// its meaning.
func (c *Code) UnmarshalText(text []byte) error {
	number, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return fmt.Errorf("link: parse code: %w", err)
	}
	*c = Code(n)
	return nil
}

// RefusedError reports that a peer refused a connection or a bond.
type RefusedError struct {
	Peer sm.PeerID // the peer that refused
	Code Code      // the reason; never CodeAccepted
}

// Error names the peer, the code and its meaning.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("link: peer %s refused: %d, %s", e.Peer.Short(), uint32(e.Code), e.Code)
}
