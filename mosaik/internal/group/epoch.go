package group

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Epoch names one life of a group: whoever bootstraps the group draws it at
// random. Two accidental bootstraps of one group live in different epochs and
// therefore in different Raft shards, whose logs can never mix. The zero Epoch
// means none.
type Epoch [16]byte

func newEpoch() Epoch {
	var e Epoch
	for e.IsZero() {
		rand.Read(e[:]) // never fails: crypto/rand ends the process instead
	}
	return e
}

// IsZero reports whether e names no epoch.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// Compare orders epochs by their bytes: -1, 0 or +1.
func (e Epoch) Compare(o Epoch) int { return bytes.Compare(e[:], o[:]) }

// String returns the epoch as 32 hexadecimal digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// MarshalText implements [encoding.TextMarshaler] with what String returns.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *Epoch) UnmarshalText(text []byte) error { return unmarshalHex("epoch", e[:], text) }

// unmarshalHex fills id with bytes whose hexadecimal digits are given.
func unmarshalHex(what string, id, text []byte) error {
	if len(text) != hex.EncodedLen(len(id)) {
		return fmt.Errorf("mosaik: parse %s: %d bytes of text; want %d hexadecimal digits", what, len(text), hex.EncodedLen(len(id)))
	}
	b, err := hex.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("mosaik: parse %s: %w", what, err)
	}
	copy(id, b)
	return nil
}

// Incarnation tells the lives of one peer in a group apart: 8 bytes time at
// which the process joined the group, in nanoseconds, 2 bytes number of its lives
// before this one, 6 random bytes, so that a peer that lost its memory cannot
// draw an old one again. Later incarnations compare higher, and all of a process
// that joined later compare higher than all of one that joined earlier. A life
// goes on in later processes if its log outlives them.
type Incarnation [16]byte

func newIncarnation(joined time.Time, lives int) Incarnation {
	var i Incarnation
	binary.BigEndian.PutUint64(i[:8], uint64(joined.UnixNano()))
	binary.BigEndian.PutUint16(i[8:], uint16(min(lives, math.MaxUint16)))
	rand.Read(i[10:])
	return i
}

// String returns the incarnation as 32 hexadecimal digits.
func (i Incarnation) String() string { return hex.EncodeToString(i[:]) }

// MarshalText implements [encoding.TextMarshaler] with what String returns.
func (i Incarnation) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (i *Incarnation) UnmarshalText(text []byte) error {
	return unmarshalHex("incarnation", i[:], text)
}

// Compare orders incarnations by start time: -1, 0 or +1.
func (i Incarnation) Compare(o Incarnation) int { return bytes.Compare(i[:], o[:]) }

// began returns when the first process of the incarnation joined the group.
func (i Incarnation) began() time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(i[:8]))) }

// Process tells the processes apart that one incarnation runs in, one after the
// other: 8 bytes number of the start of its directory, and 8 random bytes, so
// that copies of a directory differ that were opened as often.
type Process [16]byte

// NewProcess returns that of the given start of a directory, 0 without one.
func NewProcess(start uint64) Process {
	var p Process
	binary.BigEndian.PutUint64(p[:8], start)
	rand.Read(p[8:])
	return p
}

// Tenure tells the processes apart that have the same identity.
type Tenure struct {
	Incarnation Incarnation
	Process     Process
}

// excludes reports whether o must not go on beside t, which was met before it:
// it is an earlier incarnation, or an earlier start of the same, or one from a
// copy of the directory. Two copies that others met first each exclude the other.
func (t Tenure) excludes(o Tenure) bool {
	if c := t.Incarnation.Compare(o.Incarnation); c != 0 {
		return c > 0
	}
	return t.Process != o.Process && bytes.Compare(t.Process[:8], o.Process[:8]) >= 0
}

// shardID returns the Raft shard of a group's epoch.
func shardID(group sm.Digest, e Epoch) uint64 { return id64(group[:], e[:]) }

// replicaID returns the id of a peer's replica in an epoch. Since it is derived
// from the proven peer id, no peer can speak for another's replica.
func replicaID(peer sm.PeerID, e Epoch, i Incarnation) uint64 { return id64(peer[:], e[:], i[:]) }

// id64 returns the first 8 bytes of the parts' digest. Raft reserves 0.
func id64(parts ...[]byte) uint64 {
	d := sm.Parts(parts...)
	return max(1, binary.LittleEndian.Uint64(d[:8]))
}
