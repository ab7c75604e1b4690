package enginetest

import (
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// Shard is the shard of the messages and of most replicas in tests.
const Shard = 0xfeed_0001

// Batch returns a batch as the transport sends it.
func Batch(messages ...pb.Message) pb.MessageBatch {
	return pb.MessageBatch{DeploymentId: 1, BinVer: raftio.TransportBinVersion, Requests: messages}
}

// Frame returns the encoded batch of messages.
func Frame(messages ...pb.Message) []byte {
	batch := Batch(messages...)
	return Marshal(&batch)
}

// Marshal encodes m, and panics where that fails.
func Marshal(m interface{ Marshal() ([]byte, error) }) []byte {
	b, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

// Chunk returns the only chunk of a snapshot that replica 9 of the peer sends to replica 1.
func Chunk(peer sm.PeerID) pb.Chunk {
	return pb.Chunk{
		ShardID: Shard, ReplicaID: 1, From: 9, Index: 100, Term: 1, DeploymentId: 1, BinVer: raftio.TransportBinVersion,
		ChunkCount: 1, FileChunkCount: 1, ChunkSize: 4, FileSize: 4, Data: []byte("data"),
		Filepath:   "/elsewhere/snapshot-0000000000000064.gbsnap",
		Membership: pb.Membership{ConfigChangeId: 1, Addresses: map[uint64]string{9: peer.String()}},
	}
}

// Change returns the entry of a membership change.
func Change(kind pb.ConfigChangeType, replica uint64, target string) pb.Entry {
	c := pb.ConfigChange{Type: kind, ReplicaID: replica, Address: target}
	return pb.Entry{Type: pb.ConfigChangeEntry, Key: 1, Cmd: Marshal(&c)}
}
