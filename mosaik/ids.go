package mosaik

import (
	"encoding/binary"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Names and numbers of the original mosaik that are part of every group id.
const (
	logReplayName         = "mosaik_log_replay_sync"
	logReplayBatch        = 2000 // entries
	logReplayFetchTimeout = 25   // seconds
	snapshotName          = "mosaik_snapshot_sync"
)

// NetworkID returns the id of the network with the given name: the decoded bytes if name is
// exactly 64 hexadecimal digits, and its BLAKE3-256 hash otherwise. It is [sm.ID].
func NetworkID(name string) sm.Digest { return sm.ID(name) }

// groupID derives the id of a group. The order of validators, which are their
// signatures, and duplicates among them matter.
func groupID(key GroupKey, timing consensus.Config, machine, sync sm.Digest, validators []sm.Digest) sm.Digest {
	shared := timingDigest(timing)
	id := key.anchor().Derive(shared[:]).Derive(machine[:]).Derive(sync[:])
	for _, v := range validators {
		id = id.Derive(v[:])
	}
	return id
}

// logReplaySync is the state-sync signature of groups that catch up by
// replaying the log.
func logReplaySync(machineName string) sm.Digest {
	return sm.ID(logReplayName).
		Derive([]byte(machineName)).
		Derive(u64le(logReplayBatch)).
		Derive(u64le(logReplayFetchTimeout))
}

// snapshotSync is the state-sync signature of groups that catch up by
// snapshots; version is the machine's snapshot format.
func snapshotSync(machineName string, version uint64) sm.Digest {
	return sm.ID(snapshotName).Derive([]byte(machineName)).Derive(u64le(version))
}

// timingDigest returns the part of a valid configuration that enters the group's id:
// heartbeat interval and jitter in milliseconds, and the allowed misses.
func timingDigest(c consensus.Config) sm.Digest {
	c = c.WithDefaults()
	return sm.Parts(
		u128le(c.HeartbeatInterval.Milliseconds()),
		u128le(orNone(c.HeartbeatJitter).Milliseconds()),
		u128le(int64(c.MaxMissedHeartbeats)),
	)
}

func u128le(n int64) []byte {
	b := make([]byte, 16)
	binary.LittleEndian.PutUint64(b, uint64(n))
	return b
}

func u64le(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
