package engine

import (
	"fmt"
	"path"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

const (
	// chunkSize is how many bytes of a snapshot dragonboat puts in a chunk.
	chunkSize = 2 << 20
	// maxChunk is the largest frame accepted: a chunk's bytes and the
	// membership and names around them.
	maxChunk = chunkSize + 1<<20
)

// decodeChunk decodes a piece of a snapshot and checks all that can be checked
// without knowing who sent it. The file name in the result is a bare name.
func decodeChunk(b []byte) (chunk pb.Chunk, err error) {
	if err := scanChunk(b); err != nil {
		return pb.Chunk{}, err
	}
	if err := unmarshal(&chunk, b); err != nil {
		return pb.Chunk{}, err
	}
	if err := checkChunk(&chunk); err != nil {
		return pb.Chunk{}, err
	}
	// The sender's path means nothing here; dragonboat takes its last element.
	chunk.Filepath = path.Base(chunk.Filepath)
	return chunk, nil
}

func checkChunk(c *pb.Chunk) error {
	count := (c.FileSize + chunkSize - 1) / chunkSize
	switch {
	case c.BinVer != raftio.TransportBinVersion:
		return fmt.Errorf("%w: transport version %d, want %d", errBad, c.BinVer, raftio.TransportBinVersion)
	case c.ReplicaID == 0 || c.From == 0 || c.ReplicaID == c.From:
		return fmt.Errorf("%w: chunk from replica %d to %d", errBad, c.From, c.ReplicaID)
	case c.Index == 0 || c.Term == 0 || c.Index > maxIndex || c.Term > maxTerm:
		return fmt.Errorf("%w: chunk of a snapshot at index %d, term %d", errBad, c.Index, c.Term)
	case c.Witness || c.OnDiskIndex != 0 || c.HasFileInfo:
		return fmt.Errorf("%w: chunk of a kind of snapshot that is not in use", errBad)
	case c.FileSize == 0 || c.FileSize > 1<<62 || c.ChunkCount != count || c.FileChunkCount != count ||
		c.ChunkId >= count || c.FileChunkId != c.ChunkId:
		return fmt.Errorf("%w: chunk %d of %d of a file of %d bytes", errBad, c.ChunkId, c.ChunkCount, c.FileSize)
	case uint64(len(c.Data)) != min(chunkSize, c.FileSize-c.ChunkId*chunkSize) || c.ChunkSize != uint64(len(c.Data)):
		return fmt.Errorf("%w: chunk %d of %d with %d bytes", errBad, c.ChunkId, c.ChunkCount, len(c.Data))
	case path.Base(c.Filepath) != raftFile(c.Index):
		return fmt.Errorf("%w: chunk of file %q", errBad, path.Base(c.Filepath))
	}
	return checkMembership(&c.Membership)
}

// checkMembership accepts what dragonboat's registry and Raft accept without a panic.
func checkMembership(m *pb.Membership) error {
	if m.ConfigChangeId == 0 || len(m.Addresses) == 0 || len(m.Witnesses) > 0 {
		return fmt.Errorf("%w: membership %d with %d voters and %d witnesses", errBad, m.ConfigChangeId, len(m.Addresses), len(m.Witnesses))
	}
	for _, targets := range []map[uint64]string{m.Addresses, m.NonVotings} {
		for replica, target := range targets {
			if replica == 0 || m.Removed[replica] || !validTarget(target) {
				return fmt.Errorf("%w: membership with replica %d at %q", errBad, replica, target)
			}
		}
	}
	for replica := range m.NonVotings {
		if _, ok := m.Addresses[replica]; ok {
			return fmt.Errorf("%w: membership with replica %d twice", errBad, replica)
		}
	}
	return nil
}
