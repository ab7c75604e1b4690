package mosaik

import (
	"encoding/binary"

	"github.com/mosaik-go/mosaik/sm"
)

// PeerID names one process on a network: its ed25519 public key.
type PeerID = sm.PeerID

// NetworkID names a network: peers of different networks refuse each other's
// connections. Make one with [NewNetworkID].
type NetworkID = sm.Digest

// GroupID names a group within a network. It is derived from everything that the members must
// agree on: the key, the heartbeat settings of the [ConsensusConfig], the machine, the way state
// is synchronised, and the ticket validators in their order. Members that differ in one of them
// are in different groups. A group id is public on its network. The key cannot be derived from
// it unless the key can be guessed.
type GroupID = sm.Digest

// Names and numbers of the original mosaik that are part of every group id.
const (
	logReplayName         = "mosaik_log_replay_sync"
	logReplayBatch        = 2000 // entries
	logReplayFetchTimeout = 25   // seconds
	snapshotName          = "mosaik_snapshot_sync"
)

// NewNetworkID returns the id of a network with the given name: the decoded bytes if name is
// exactly 64 hexadecimal digits, and its BLAKE3-256 hash otherwise.
func NewNetworkID(name string) NetworkID { return sm.ID(name) }

// groupID derives the id of a group. The order of validators, which are their
// signatures, and duplicates among them matter.
func groupID(key GroupKey, consensus ConsensusConfig, machine, sync sm.Digest, validators []sm.Digest) GroupID {
	shared := consensus.digest()
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

func u64le(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
