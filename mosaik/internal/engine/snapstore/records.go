package snapstore

import (
	"math"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// LogDBFactory makes a log database whose records of snapshots fit the files in FS.
type LogDBFactory struct {
	config.LogDBFactory
	FS *FS
}

var _ config.LogDBFactory = LogDBFactory{}

// Create implements [config.LogDBFactory].
func (l LogDBFactory) Create(cfg config.NodeHostConfig, busy config.LogDBCallback, dirs, lowLatencyDirs []string) (raftio.ILogDB, error) {
	db, err := l.LogDBFactory.Create(cfg, busy, dirs, lowLatencyDirs)
	return records{db, l.FS}, err
}

// records is a log database. The snapshots of stopped replicas are superseded, and the
// others are where the FS keeps them.
//
// dragonboat notes in its records that a replica has a concurrent state machine, and refuses to
// start it with another kind. Earlier releases had regular ones, and nothing else depends on the
// kind, so the bootstrap record always names that kind.
type records struct {
	raftio.ILogDB
	fs *FS
}

// SaveBootstrapInfo implements [raftio.ILogDB].
func (r records) SaveBootstrapInfo(shard, replica uint64, b pb.Bootstrap) error {
	b.Type = pb.RegularStateMachine
	return r.ILogDB.SaveBootstrapInfo(shard, replica, b)
}

// GetBootstrapInfo implements [raftio.ILogDB].
func (r records) GetBootstrapInfo(shard, replica uint64) (pb.Bootstrap, error) {
	b, err := r.ILogDB.GetBootstrapInfo(shard, replica)
	b.Type = pb.ConcurrentStateMachine
	return b, err
}

// GetSnapshot implements [raftio.ILogDB].
func (r records) GetSnapshot(shard, replica uint64) (pb.Snapshot, error) {
	if r.fs.isStopped(replicaDir(shard, replica)) {
		return pb.Snapshot{Index: math.MaxUint64}, nil
	}
	s, err := r.ILogDB.GetSnapshot(shard, replica)
	if err == nil && s.Index != 0 {
		// An earlier process may have written the record, with another path.
		if full, ok := r.fs.pathOf(replicaDir(shard, replica), sm.Index(s.Index)); ok {
			s.Filepath = full
		}
	}
	return s, err
}
