package engine

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/lni/vfs"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// files is the file system that a NodeHost lives on: memory. dragonboat keeps
// snapshots there while it sends, receives and restores them.
//
// A snapshot may still be under way to a peer when its replica is stopped, and
// dragonboat ends the process when it does not find the file, its directory or
// its record. So the directory of a stopped replica stays, the files in it read
// as zeros (the transport refuses to send them anyway), and the record says
// that the snapshot is long superseded. Durable copies of snapshots are the
// business of durableLog.
type files struct {
	*memory

	mu   sync.Mutex
	dirs map[string]string // replicaDir → where it is
	gone map[string]bool   // replicaDir of stopped replicas
	load map[string]loaded // replicaDir → what to put there
}

// loaded is a snapshot that is to be in its place when its replica starts.
type loaded struct {
	index   sm.Index
	content *pieces
}

func newFiles() *files {
	return &files{memory: newMemory(), dirs: map[string]string{}, gone: map[string]bool{}, load: map[string]loaded{}}
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
	delete(f.load, name)
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

// preload has a snapshot in its place: at once if the replica ran here before,
// or when its directory is made.
func (f *files) preload(name string, index sm.Index, content *pieces) error {
	f.mu.Lock()
	dir, ok := f.dirs[name]
	if !ok {
		f.load[name] = loaded{index, content}
	}
	f.mu.Unlock()
	if !ok {
		return nil
	}
	return f.put(dir, loaded{index, content})
}

// put writes a snapshot below a replica's directory.
func (f *files) put(dir string, s loaded) error {
	full := f.path(dir, s.index)
	if err := f.memory.MkdirAll(f.PathDir(full), 0o700); err != nil {
		return err
	}
	return f.hold(full, s.content)
}

// MkdirAll implements [vfs.FS] and remembers where the replicas' files are.
func (f *files) MkdirAll(dir string, perm os.FileMode) error {
	name := f.PathBase(dir)
	f.mu.Lock()
	f.dirs[name] = dir
	snapshot, ok := f.load[name]
	delete(f.load, name)
	f.mu.Unlock()
	if err := f.memory.MkdirAll(dir, perm); err != nil || !ok {
		return err
	}
	return f.put(dir, snapshot)
}

// path returns where dragonboat keeps the snapshot at an index, below a
// replica's directory.
func (f *files) path(dir string, index sm.Index) string {
	return f.PathJoin(dir, fmt.Sprintf("snapshot-%016X", uint64(index)), wire.SnapshotFile(uint64(index)))
}

// pathOf returns where a replica's snapshot at an index is, or false if the
// replica has no directory.
func (f *files) pathOf(name string, index sm.Index) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, ok := f.dirs[name]
	return f.path(dir, index), ok
}

// copySnapshot writes the content of a replica's snapshot to w.
func (f *files) copySnapshot(w io.Writer, name string, index sm.Index) error {
	full, _ := f.pathOf(name, index)
	file, err := f.memory.Open(full)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return errors.Join(err, file.Close())
}

// Open implements [vfs.FS].
func (f *files) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.memory.Open(name, opts...)
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
	*raftlog.Router
	files *files
}

var _ config.LogDBFactory = logFactory{}

// Create implements [config.LogDBFactory].
func (l logFactory) Create(cfg config.NodeHostConfig, busy config.LogDBCallback, dirs, lowLatencyDirs []string) (raftio.ILogDB, error) {
	db, err := l.Router.Create(cfg, busy, dirs, lowLatencyDirs)
	return supersede{db, l.files}, err
}

// supersede is a log database in which the snapshots of stopped replicas are
// superseded, and those of others are where files keeps them.
type supersede struct {
	raftio.ILogDB
	files *files
}

// GetSnapshot implements [raftio.ILogDB].
func (s supersede) GetSnapshot(shard, replica uint64) (pb.Snapshot, error) {
	if s.files.below(replicaDir(shard, replica)) {
		return pb.Snapshot{Index: math.MaxUint64}, nil
	}
	snapshot, err := s.ILogDB.GetSnapshot(shard, replica)
	if err == nil && snapshot.Index != 0 {
		// The record may come from a process that kept its files elsewhere.
		if full, ok := s.files.pathOf(replicaDir(shard, replica), sm.Index(snapshot.Index)); ok {
			snapshot.Filepath = full
		}
	}
	return snapshot, err
}
