package group

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/mosaik-go/mosaik/sm"
)

// newEpoch draws an epoch at random. Two accidental bootstraps of one group live in different
// epochs and therefore in different Raft shards, whose logs can never mix.
func newEpoch() Epoch {
	var e Epoch
	for e.IsZero() {
		rand.Read(e[:]) // never fails: crypto/rand ends the process instead
	}
	return e
}

// shardID returns the Raft shard of a group's epoch.
func shardID(group sm.Digest, e Epoch) uint64 { return id64(group[:], e[:]) }

// id64 returns the first 8 bytes of the parts' digest. Raft reserves 0.
func id64(parts ...[]byte) uint64 {
	d := sm.Parts(parts...)
	return max(1, binary.LittleEndian.Uint64(d[:8]))
}
