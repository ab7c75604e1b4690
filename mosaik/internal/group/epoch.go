package group

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/mosaik-go/mosaik/sm"
)

// newEpoch draws an epoch at random. So two accidental bootstraps of one group have different
// epochs and therefore different Raft shards, whose logs cannot mix.
func newEpoch() Epoch {
	var e Epoch
	for e.IsZero() {
		rand.Read(e[:]) // never fails: crypto/rand ends the process instead
	}
	return e
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
