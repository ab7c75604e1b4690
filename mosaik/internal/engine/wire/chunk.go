package wire

import (
	"fmt"
	"path"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// ChunkSize is how many bytes of a snapshot dragonboat puts into a chunk.
const ChunkSize = 2 << 20

// SnapshotFile returns the name that dragonboat gives to the file of a snapshot.
func SnapshotFile(index uint64) string { return fmt.Sprintf("snapshot-%016X.gbsnap", index) }

// DecodeChunk decodes a chunk of a snapshot and checks everything that can be checked
// without knowing the sender. The file name in the result is a bare name.
func DecodeChunk(b []byte) (chunk pb.Chunk, err error) {
	if err := scanChunk(b); err != nil {
		return pb.Chunk{}, err
	}
	if err := Unmarshal(&chunk, b); err != nil {
		return pb.Chunk{}, err
	}
	if err := checkChunk(&chunk); err != nil {
		return pb.Chunk{}, err
	}
	// The sender's directory means nothing here; dragonboat uses the last element.
	chunk.Filepath = path.Base(chunk.Filepath)
	return chunk, nil
}

func checkChunk(c *pb.Chunk) error {
	count := (c.FileSize + ChunkSize - 1) / ChunkSize
	switch {
	case c.BinVer != raftio.TransportBinVersion:
		return fmt.Errorf("%w: transport version %d, want %d", ErrBad, c.BinVer, raftio.TransportBinVersion)
	case c.ReplicaID == 0 || c.From == 0 || c.ReplicaID == c.From:
		return fmt.Errorf("%w: chunk from replica %d to %d", ErrBad, c.From, c.ReplicaID)
	case c.Index == 0 || c.Term == 0 || c.Index > MaxIndex || c.Term > MaxTerm:
		return fmt.Errorf("%w: chunk of a snapshot at index %d, term %d", ErrBad, c.Index, c.Term)
	case c.Witness || c.OnDiskIndex != 0 || c.HasFileInfo:
		return fmt.Errorf("%w: chunk of a kind of snapshot that mosaik does not use", ErrBad)
	case c.FileSize == 0 || c.FileSize > 1<<62 || c.ChunkCount != count || c.FileChunkCount != count ||
		c.ChunkId >= count || c.FileChunkId != c.ChunkId:
		return fmt.Errorf("%w: chunk %d of %d of a file of %d bytes", ErrBad, c.ChunkId, c.ChunkCount, c.FileSize)
	case uint64(len(c.Data)) != min(ChunkSize, c.FileSize-c.ChunkId*ChunkSize) || c.ChunkSize != uint64(len(c.Data)):
		return fmt.Errorf("%w: chunk %d of %d with %d bytes", ErrBad, c.ChunkId, c.ChunkCount, len(c.Data))
	case path.Base(c.Filepath) != SnapshotFile(c.Index):
		return fmt.Errorf("%w: chunk of file %q, want %q", ErrBad, path.Base(c.Filepath), SnapshotFile(c.Index))
	}
	return checkMembership(&c.Membership)
}

// checkMembership accepts a membership on which neither dragonboat's registry nor its Raft
// panics.
func checkMembership(m *pb.Membership) error {
	if m.ConfigChangeId == 0 || len(m.Addresses) == 0 || len(m.Witnesses) > 0 {
		return fmt.Errorf("%w: membership %d with %d voters and %d witnesses",
			ErrBad, m.ConfigChangeId, len(m.Addresses), len(m.Witnesses))
	}
	for _, targets := range []map[uint64]string{m.Addresses, m.NonVotings} {
		for replica, target := range targets {
			if replica == 0 || m.Removed[replica] || !ValidTarget(target) {
				return fmt.Errorf("%w: membership with replica %d at target %q", ErrBad, replica, target)
			}
		}
	}
	for replica := range m.NonVotings {
		if _, ok := m.Addresses[replica]; ok {
			return fmt.Errorf("%w: membership with replica %d twice", ErrBad, replica)
		}
	}
	return nil
}
