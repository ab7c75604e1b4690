package group

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// Epoch identifies one life of a group. The member that bootstraps the group draws it at random.
// So two accidental bootstraps of one group have different epochs and therefore different Raft
// shards, whose logs cannot mix. The zero Epoch means none.
type Epoch [16]byte

func newEpoch() Epoch {
	var e Epoch
	for e.IsZero() {
		rand.Read(e[:]) // never fails: crypto/rand ends the process instead
	}
	return e
}

// IsZero reports whether e is the zero Epoch.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// Compare orders epochs by their bytes: -1, 0 or +1.
func (e Epoch) Compare(o Epoch) int { return bytes.Compare(e[:], o[:]) }

// String returns the epoch as 32 hexadecimal digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// MarshalText implements [encoding.TextMarshaler] with what String returns.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *Epoch) UnmarshalText(text []byte) error { return unmarshalHex("epoch", e[:], text) }

// unmarshalHex decodes the hexadecimal digits in text into id.
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

// ShardOf returns the Raft shard of an epoch of a group.
func ShardOf(group sm.Digest, e Epoch) uint64 { return shardID(group, e) }

// shardID returns the Raft shard of a group's epoch.
func shardID(group sm.Digest, e Epoch) uint64 { return id64(group[:], e[:]) }

// id64 returns the first 8 bytes of the digest of parts, and 1 for 0, which Raft reserves.
func id64(parts ...[]byte) uint64 {
	d := sm.Parts(parts...)
	return max(1, binary.LittleEndian.Uint64(d[:8]))
}
