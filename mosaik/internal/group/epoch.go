package group

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"

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

// shardID returns the Raft shard of a group's epoch.
func shardID(group sm.Digest, e Epoch) uint64 { return id64(group[:], e[:]) }

// id64 returns the first 8 bytes of the parts' digest. Raft reserves 0.
func id64(parts ...[]byte) uint64 {
	d := sm.Parts(parts...)
	return max(1, binary.LittleEndian.Uint64(d[:8]))
}
