package engine

import (
	"math"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/lni/vfs"
)

// files is the file system that a NodeHost lives on: memory. dragonboat keeps
// snapshots there while it sends, receives and restores them.
//
// A snapshot may still be under way to a peer when its replica is stopped, and
// dragonboat ends the process when it does not find the file, its directory or
// its record. So the directory of a stopped replica stays, the files in it read
// as zeros (the transport refuses to send them anyway), and the record says
// that the snapshot is long superseded.
type files struct {
	vfs.FS

	mu   sync.Mutex
	dirs map[string]string // replicaDir → where it is
	gone map[string]bool   // replicaDir of stopped replicas
}

func newFiles() *files {
	return &files{FS: vfs.NewMem(), dirs: map[string]string{}, gone: map[string]bool{}}
}

// replicaDir returns the last element of the path of the directory in which
// dragonboat keeps a replica's snapshots.
func replicaDir(shard, replica uint64) string {
	return "snapshot-" + strconv.FormatUint(shard, 10) + "-" + strconv.FormatUint(replica, 10)
}

// start makes room for a replica.
func (f *files) start(shard, replica uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.gone, replicaDir(shard, replica))
}

// stop forgets the files of a replica.
func (f *files) stop(shard, replica uint64) error {
	name := replicaDir(shard, replica)
	f.mu.Lock()
	f.gone[name] = true
	dir, ok := f.dirs[name]
	f.mu.Unlock()
	if !ok {
		return nil
	}
	entries, err := f.List(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := f.RemoveAll(f.PathJoin(dir, entry)); err != nil {
			return err
		}
	}
	return nil
}

// MkdirAll implements [vfs.FS] and remembers where the replicas' files are.
func (f *files) MkdirAll(dir string, perm os.FileMode) error {
	f.mu.Lock()
	f.dirs[f.PathBase(dir)] = dir
	f.mu.Unlock()
	return f.FS.MkdirAll(dir, perm)
}

// Open implements [vfs.FS].
func (f *files) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil && f.below(name) {
		return zeros{}, nil
	}
	return file, err
}

// below reports whether the path leads into the directory of a stopped replica.
func (f *files) below(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for part := range strings.SplitSeq(name, string(os.PathSeparator)) {
		if f.gone[part] {
			return true
		}
	}
	return false
}

// zeros is a file without end that reads as zeros.
type zeros struct{ vfs.File }

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func (zeros) Close() error { return nil }

// logFactory makes the router of logs known to dragonboat.
type logFactory struct {
	*logRouter
	files *files
}

var _ config.LogDBFactory = logFactory{}

// Create implements [config.LogDBFactory].
func (l logFactory) Create(cfg config.NodeHostConfig, busy config.LogDBCallback, dirs, lowLatencyDirs []string) (raftio.ILogDB, error) {
	db, err := l.logRouter.Create(cfg, busy, dirs, lowLatencyDirs)
	return supersede{db, l.files}, err
}

// supersede is a log database in which the snapshots of stopped replicas are
// superseded.
type supersede struct {
	raftio.ILogDB
	files *files
}

// GetSnapshot implements [raftio.ILogDB].
func (s supersede) GetSnapshot(shard, replica uint64) (pb.Snapshot, error) {
	if s.files.below(replicaDir(shard, replica)) {
		return pb.Snapshot{Index: math.MaxUint64}, nil
	}
	return s.ILogDB.GetSnapshot(shard, replica)
}
