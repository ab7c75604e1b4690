package wire

import (
	"errors"
	"fmt"
)

// The kinds of the frames on raft and snapshot connections. A receiver ignores frames of
// other kinds: they come from a newer program, and a frame that must be understood needs
// another ALPN protocol.
const (
	FrameBatch uint8 = 1 // a batch of Raft messages
	FrameChunk uint8 = 2 // a chunk of a snapshot
	FrameDone  uint8 = 3 // answers the last chunk of a snapshot: the receiver has stored all
	FrameWatch uint8 = 4 // asks for acknowledgments of what arrives
	FrameAck   uint8 = 5 // acknowledges what has arrived
)

// IsKnown reports whether this release gives frames of the kind a meaning.
func IsKnown(kind uint8) bool { return kind >= FrameBatch && kind <= FrameAck }

const (
	// MaxProposal is the largest proposal in bytes. A larger frame would delay heartbeats for
	// long enough to cost a leader its quorum.
	MaxProposal = 8 << 20
	// MaxBatch is the largest batch accepted, in bytes: a batch just short of cutSize,
	// the largest proposal, and their framing.
	MaxBatch = 32 << 20
	// MaxChunk is the largest encoded chunk accepted, in bytes: a chunk's data, the
	// membership and the names around it.
	MaxChunk = ChunkSize + 1<<20
)

// ErrBad reports bytes on which dragonboat would panic, or which no replica of mosaik sends.
var ErrBad = errors.New("engine: bad message")

// Unmarshal decodes b into m. It returns [ErrBad] also where dragonboat's decoder panics.
func Unmarshal(m interface{ Unmarshal([]byte) error }, b []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: decode %T: %v", ErrBad, m, r)
		}
	}()
	if err := m.Unmarshal(b); err != nil {
		return fmt.Errorf("%w: decode %T: %w", ErrBad, m, err)
	}
	return nil
}
