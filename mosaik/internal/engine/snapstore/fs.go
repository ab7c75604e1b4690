package snapstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/lni/vfs"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// FS is the file system of a NodeHost. It is in memory. dragonboat keeps snapshots there
// while it sends, receives and restores them; durable copies are the business of [Log].
// Its methods may be called concurrently.
//
// A snapshot may still be in flight to a peer when its replica is stopped, and dragonboat
// ends the process when it does not find the file, its directory or its record. So the
// directory of a stopped replica remains, and its record marks the snapshot as superseded.
// Its files read as zeros, which the transport refuses to send.
type FS struct {
	*memory

	mu      sync.Mutex
	dirs    map[string]string   // replicaDir → path
	stopped map[string]bool     // replicaDir of stopped replicas
	pending map[string]snapshot // replicaDir → the snapshot to put there once it is made
}

// snapshot is a snapshot that must be in its place when its replica starts.
type snapshot struct {
	index   sm.Index
	content *pieces
}

// NewFS returns an empty file system.
func NewFS() *FS {
	return &FS{memory: newMemory(), dirs: map[string]string{}, stopped: map[string]bool{}, pending: map[string]snapshot{}}
}

// replicaDir returns the last element of the path of the directory in which dragonboat keeps
// a replica's snapshots.
func replicaDir(shard, replica uint64) string {
	return "snapshot-" + strconv.FormatUint(shard, 10) + "-" + strconv.FormatUint(replica, 10)
}

// Start prepares for a replica that starts.
func (f *FS) Start(shard, replica uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.stopped, replicaDir(shard, replica))
}

// Stop removes the files of a replica that dragonboat has let go of.
func (f *FS) Stop(shard, replica uint64) error {
	name := replicaDir(shard, replica)
	f.mu.Lock()
	f.stopped[name] = true
	delete(f.pending, name)
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

// preload puts a snapshot in its place: now if the replica ran here before, otherwise when
// its directory is made.
func (f *FS) preload(name string, index sm.Index, content *pieces) error {
	f.mu.Lock()
	dir, ok := f.dirs[name]
	if !ok {
		f.pending[name] = snapshot{index, content}
	}
	f.mu.Unlock()
	if !ok {
		return nil
	}
	return f.put(dir, snapshot{index, content})
}

// put writes a snapshot below a replica's directory.
func (f *FS) put(dir string, s snapshot) error {
	full := f.path(dir, s.index)
	if err := f.memory.MkdirAll(f.PathDir(full), 0o700); err != nil {
		return err
	}
	return f.hold(full, s.content)
}

// MkdirAll implements [vfs.FS] and remembers where the replicas' files are.
func (f *FS) MkdirAll(dir string, perm os.FileMode) error {
	name := f.PathBase(dir)
	f.mu.Lock()
	f.dirs[name] = dir
	s, ok := f.pending[name]
	delete(f.pending, name)
	f.mu.Unlock()
	if err := f.memory.MkdirAll(dir, perm); err != nil || !ok {
		return err
	}
	return f.put(dir, s)
}

// path returns where dragonboat keeps the snapshot at an index below a replica's directory.
func (f *FS) path(dir string, index sm.Index) string {
	return f.PathJoin(dir, fmt.Sprintf("snapshot-%016X", uint64(index)), wire.SnapshotFile(uint64(index)))
}

// pathOf returns the path of a replica's snapshot at an index; ok is false if the replica
// has no directory.
func (f *FS) pathOf(name string, index sm.Index) (path string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, ok := f.dirs[name]
	return f.path(dir, index), ok
}

// copySnapshot writes the content of a replica's snapshot to w.
func (f *FS) copySnapshot(w io.Writer, name string, index sm.Index) error {
	full, _ := f.pathOf(name, index)
	file, err := f.memory.Open(full)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return errors.Join(err, file.Close())
}

// Open implements [vfs.FS].
func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.memory.Open(name, opts...)
	if err != nil && f.isStopped(name) {
		return zeros{}, nil
	}
	return file, err
}

// isStopped reports whether a path is, or lies below, the directory of a stopped replica.
func (f *FS) isStopped(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for part := range strings.SplitSeq(name, string(os.PathSeparator)) {
		if f.stopped[part] {
			return true
		}
	}
	return false
}

// zeros is an endless file of zeros.
type zeros struct{ vfs.File }

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func (zeros) Close() error { return nil }
