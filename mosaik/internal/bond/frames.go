package bond

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// Frames of mosaik/bond/1: the payloads of link frames, by kind. Integers are
// big-endian; a field without a length extends to the end of the frame. A frame
// that is shorter or longer costs its sender the connection (30400). After SELECT,
// a frame of an unknown kind comes from a newer program: it counts as a sign of
// life, is charged by its size, and is ignored. Before SELECT, any frame but HELLO
// and SELECT costs its sender the connection (400). A kind that the receiver must
// understand needs another ALPN.
//
//	1 HELLO     first on every connection, from both ends
//	    0  16   instance: random, drawn when the sender's process started
//	   16   2   version of the protocol within this ALPN, 1; both use the lower
//	   18   4   flags: 1 only (select.go); unknown ones are ignored
//	   22   8   sequence: grows with every HELLO of the instance
//
//	2 SELECT    selects this connection; sent by the end with the lower peer id
//	    0   8   sequence: grows with every SELECT of the instance
//
//	3 ENTRIES   signed peer entries, at least one; for each
//	    0   4   length n, at least 1
//	    4   n   entry (package discovery); one of another format version is
//	            skipped, one that is forged costs its sender the connection (30400)
//
//	4 OPEN      the sender wants a bond
//	    0  32   group id
//	   32   4   number, from 1, grows with every OPEN of the sender on the connection
//	   36   1   number of proofs n, 1 to 4; for each
//	       32   proof
//
//	5 ACCEPT    the sender accepts the bond of its OPEN and the receiver's
//	    0  32   group id
//	   32   4   number of the sender's OPEN
//	   36   4   number of the receiver's OPEN
//
//	6 CLOSE     refuses an OPEN or ends a bond
//	    0  32   group id
//	   32   4   number of the sender's OPEN that this revokes, 0 for none
//	   36   4   number of the receiver's OPEN that this is about, 0 for none
//	   40   4   code
//
//	7 MESSAGE   on a bond that is up
//	    0  32   group id
//	   32   …   payload
//
//	8 PING      asks for a PONG
//	    0   8   nonce
//
//	9 PONG      answers a PING
//	    0   8   nonce of the PING
//
//	10 GOODBYE  the last frame of a connection
//	    0   4   code
//
//	11 INTRO    describes the sender of an OPEN, once the receiver has proved a
//	            secret; once for each pair of OPENs
//	    0  32   group id
//	   32   4   number of the sender's OPEN
//	   36   4   number of the receiver's OPEN
//	   40   …   hello, at most 16384 bytes
//
//	12 MEMBERS  as ENTRIES, of peers with which the sender has a bond in a group that
//	            it shares with the receiver; sent if the receiver has room for them
//
//	13 CALLBACK asks a receiver with a bond to open a connection to the sender; sent
//	            if the sender cannot open one, or not soon
//	    0  16   token: random; the first frame on that connection carries it
//	   16   1   1 if the sender could not open one, 0 if it tries
//	   17   …   protocol of the connection: the ALPN if the sender dialled it
const (
	kindHello    = 1
	kindSelect   = 2
	kindEntries  = 3
	kindOpen     = 4
	kindAccept   = 5
	kindClose    = 6
	kindMessage  = 7
	kindPing     = 8
	kindPong     = 9
	kindGoodbye  = 10
	kindIntro    = 11
	kindMembers  = 12
	kindCallback = 13
)

const (
	protocolVersion = 1

	// maxFrame bounds the payload of a received frame, in bytes.
	maxFrame = 1 << 20
	// MaxPayload bounds the payload of a message on a bond, in bytes.
	MaxPayload = maxFrame - introHead
	// MaxHello bounds the hello of a handshake, in bytes.
	MaxHello = 16 << 10
	// MaxSecrets bounds the secrets of a group that a member holds.
	MaxSecrets = 4

	openHead    = sm.DigestSize + 4 + 1 // bytes of an OPEN before its proofs
	introHead   = sm.DigestSize + 4 + 4 // bytes of an INTRO before its hello
	entriesSoft = relayBatch            // bytes at which an ENTRIES frame is full
)

// errFrame reports the payload of a frame that does not match the tables above.
var errFrame = errors.New("bond: malformed frame")

// instanceID identifies a process. It tells processes with the same identity apart.
type instanceID [16]byte

type helloFrame struct {
	instance instanceID
	version  uint16
	flags    uint32
	seq      uint64
}

func (f helloFrame) append(b []byte) []byte {
	b = append(b, f.instance[:]...)
	b = binary.BigEndian.AppendUint16(b, f.version)
	b = binary.BigEndian.AppendUint32(b, f.flags)
	return binary.BigEndian.AppendUint64(b, f.seq)
}

func parseHello(b []byte) (f helloFrame, err error) {
	if err := wantSize(b, "HELLO", 30); err != nil {
		return f, err
	}
	copy(f.instance[:], b)
	f.version = binary.BigEndian.Uint16(b[16:])
	f.flags = binary.BigEndian.Uint32(b[18:])
	f.seq = binary.BigEndian.Uint64(b[22:])
	if f.version == 0 {
		return f, fmt.Errorf("%w: HELLO has version 0", errFrame)
	}
	return f, nil
}

// appendNumber appends the payload of a SELECT, PING or PONG.
func appendNumber(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

func parseSelect(b []byte) (sequence uint64, err error) { return parseNumber(b, "SELECT") }
func parsePing(b []byte) (nonce uint64, err error)      { return parseNumber(b, "PING") }
func parsePong(b []byte) (nonce uint64, err error)      { return parseNumber(b, "PONG") }

func parseNumber(b []byte, name string) (uint64, error) {
	if err := wantSize(b, name, 8); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// appendEntries returns the payloads of the ENTRIES or MEMBERS frames for the entries, none for
// no entries.
func appendEntries(entries []discovery.Signed) [][]byte {
	var frames [][]byte
	var b []byte
	for _, e := range entries {
		raw := e.Bytes()
		if len(b) > 0 && len(b)+4+len(raw) > entriesSoft {
			frames, b = append(frames, b), nil
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(raw)))
		b = append(b, raw...)
	}
	if len(b) > 0 {
		frames = append(frames, b)
	}
	return frames
}

// parseEntries returns the bytes of each entry, as parts of b. Empty entries are an error:
// otherwise a small frame could hold a great number of them.
func parseEntries(b []byte) (iter.Seq[[]byte], error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: ENTRIES without an entry", errFrame)
	}
	for rest := b; len(rest) > 0; {
		if len(rest) < 4 {
			return nil, fmt.Errorf("%w: ENTRIES ends within a length", errFrame)
		}
		switch n := binary.BigEndian.Uint32(rest); {
		case n == 0:
			return nil, fmt.Errorf("%w: ENTRIES with an entry of 0 bytes", errFrame)
		case uint64(n) > uint64(len(rest)-4):
			return nil, fmt.Errorf("%w: ENTRIES ends within an entry of %d bytes", errFrame, n)
		default:
			rest = rest[4+n:]
		}
	}
	return func(yield func([]byte) bool) {
		for rest := b; len(rest) > 0; {
			n := 4 + binary.BigEndian.Uint32(rest)
			if !yield(rest[4:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}, nil
}

type openFrame struct {
	group  sm.Digest
	number uint32
	proofs []sm.Digest
}

func (f openFrame) append(b []byte) []byte {
	b = append(b, f.group[:]...)
	b = binary.BigEndian.AppendUint32(b, f.number)
	b = append(b, byte(len(f.proofs)))
	for _, p := range f.proofs {
		b = append(b, p[:]...)
	}
	return b
}

func parseOpen(b []byte) (f openFrame, err error) {
	if len(b) < openHead {
		return f, fmt.Errorf("%w: OPEN has %d bytes, at least %d are needed", errFrame, len(b), openHead)
	}
	copy(f.group[:], b)
	f.number = binary.BigEndian.Uint32(b[32:])
	n := int(b[36])
	b = b[openHead:]
	switch {
	case f.number == 0:
		return f, fmt.Errorf("%w: OPEN has number 0", errFrame)
	case n == 0 || n > MaxSecrets:
		return f, fmt.Errorf("%w: OPEN has %d proofs, want 1 to %d", errFrame, n, MaxSecrets)
	case len(b) != n*sm.DigestSize:
		return f, fmt.Errorf("%w: OPEN has %d bytes for %d proofs", errFrame, len(b), n)
	}
	for range n {
		f.proofs = append(f.proofs, sm.Digest(b[:sm.DigestSize]))
		b = b[sm.DigestSize:]
	}
	return f, nil
}

type acceptFrame struct {
	group        sm.Digest
	mine, theirs uint32 // numbers of the sender's and of the receiver's OPEN
}

func (f acceptFrame) append(b []byte) []byte {
	b = append(b, f.group[:]...)
	b = binary.BigEndian.AppendUint32(b, f.mine)
	return binary.BigEndian.AppendUint32(b, f.theirs)
}

func parseAccept(b []byte) (f acceptFrame, err error) {
	if err := wantSize(b, "ACCEPT", 40); err != nil {
		return f, err
	}
	copy(f.group[:], b)
	f.mine = binary.BigEndian.Uint32(b[32:])
	f.theirs = binary.BigEndian.Uint32(b[36:])
	if f.mine == 0 || f.theirs == 0 {
		return f, fmt.Errorf("%w: ACCEPT has number 0", errFrame)
	}
	return f, nil
}

type closeFrame struct {
	group        sm.Digest
	mine, theirs uint32 // numbers of the sender's and of the receiver's OPEN
	code         consensus.CloseCode
}

func (f closeFrame) append(b []byte) []byte {
	b = append(b, f.group[:]...)
	b = binary.BigEndian.AppendUint32(b, f.mine)
	b = binary.BigEndian.AppendUint32(b, f.theirs)
	return appendCode(b, f.code)
}

func parseClose(b []byte) (f closeFrame, err error) {
	if err := wantSize(b, "CLOSE", 44); err != nil {
		return f, err
	}
	copy(f.group[:], b)
	f.mine = binary.BigEndian.Uint32(b[32:])
	f.theirs = binary.BigEndian.Uint32(b[36:])
	f.code = consensus.CloseCode(binary.BigEndian.Uint32(b[40:]))
	if f.code == consensus.CodeAccepted {
		return f, fmt.Errorf("%w: CLOSE has code 0", errFrame)
	}
	return f, nil
}

type messageFrame struct {
	group   sm.Digest
	payload []byte
}

func (f messageFrame) append(b []byte) []byte { return append(append(b, f.group[:]...), f.payload...) }

// parseMessage returns a frame whose payload is part of b.
func parseMessage(b []byte) (f messageFrame, err error) {
	if len(b) < len(f.group) {
		return f, fmt.Errorf("%w: MESSAGE has %d bytes, at least %d are needed", errFrame, len(b), len(f.group))
	}
	copy(f.group[:], b)
	f.payload = b[len(f.group):]
	return f, nil
}

type introFrame struct {
	group        sm.Digest
	mine, theirs uint32 // numbers of the sender's and of the receiver's OPEN
	hello        []byte
}

func (f introFrame) append(b []byte) []byte {
	b = append(b, f.group[:]...)
	b = binary.BigEndian.AppendUint32(b, f.mine)
	b = binary.BigEndian.AppendUint32(b, f.theirs)
	return append(b, f.hello...)
}

// parseIntro returns a frame whose hello is part of b.
func parseIntro(b []byte) (f introFrame, err error) {
	if len(b) < introHead {
		return f, fmt.Errorf("%w: INTRO has %d bytes, at least %d are needed", errFrame, len(b), introHead)
	}
	copy(f.group[:], b)
	f.mine = binary.BigEndian.Uint32(b[32:])
	f.theirs = binary.BigEndian.Uint32(b[36:])
	f.hello = b[introHead:]
	if f.mine == 0 || f.theirs == 0 {
		return f, fmt.Errorf("%w: INTRO has number 0", errFrame)
	}
	return f, nil
}

func appendCode(b []byte, code consensus.CloseCode) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func parseGoodbye(b []byte) (consensus.CloseCode, error) {
	if err := wantSize(b, "GOODBYE", 4); err != nil {
		return 0, err
	}
	code := consensus.CloseCode(binary.BigEndian.Uint32(b))
	if code == consensus.CodeAccepted {
		return 0, fmt.Errorf("%w: GOODBYE has code 0", errFrame)
	}
	return code, nil
}

func wantSize(b []byte, name string, n int) error {
	if len(b) != n {
		return fmt.Errorf("%w: %s has %d bytes, want %d", errFrame, name, len(b), n)
	}
	return nil
}
