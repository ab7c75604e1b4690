package logstore

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrCorrupt reports a file that is damaged in a way that a crash cannot
	// explain. The error names the file and the offset.
	ErrCorrupt = wal.ErrCorrupt
	// ErrFormat reports a directory that an incompatible version wrote.
	ErrFormat = wal.ErrFormat
	// ErrForeign reports a directory that belongs to another network, or holds no
	// log.
	ErrForeign = wal.ErrForeign
	// ErrLocked reports a directory that is in use, by another process or by this
	// one under another path.
	ErrLocked = wal.ErrLocked
	// ErrTooLarge reports a batch of more than 512 MiB.
	ErrTooLarge = wal.ErrTooLarge
	// ErrOpen reports that a group's log is open already.
	ErrOpen = errors.New("logstore: the group's log is open already")
	// ErrNoDir reports a log on disk for a network without a directory.
	ErrNoDir = errors.New("logstore: a log on disk needs a directory, and the network has none: open it with mosaik.WithDir")
)

// Disk returns the storage that keeps logs on disk, in [OpenOptions.Dir]. They outlive the
// process and a power cut.
//
// All groups of a directory share one log, in segments of 64 MiB. Batches that are saved
// at the same time share one write and one sync. One process at a time can use a
// directory, which is open while the log of any of its groups is. Several values that
// Disk returned may open logs in it. After an error of the disk all logs in the
// directory reject writes until all of them are closed and opened again: only reading
// shows what such a disk still holds.
//
// The space of pruned and replaced entries is freed a segment at a time. A directory
// takes about twice the size of its logs, at most four times, plus 192 MiB.
//
// The log of a group is found by the group's id, so a member that joins the group in a
// later process continues as the same replica. With another id the log is empty. A
// warning is logged then if the directory holds logs of groups that are not joined.
// Joining on a network without a directory fails with [ErrNoDir].
//
// A log takes 12 bytes of memory for each entry. The newest entries stay in memory: up
// to 4 MiB of one log and 32 MiB of all open logs. Buffers take another 16 MiB, or more
// while batches are larger.
func Disk[C any]() Storage[C] { return disk[C]{diskConfig{fs: vfs.OS, segment: 64 << 20}} }

type disk[C any] struct{ diskConfig }

// diskConfig holds what tests change. It is comparable.
type diskConfig struct {
	fs      vfs.FS
	segment int64    // the length of a segment in bytes
	id      [16]byte // of a new directory, zero for a random one
}

// Open implements [Storage]. Its errors are [ErrNoDir], [ErrOpen], [ErrLocked],
// [ErrForeign], [ErrFormat], [ErrCorrupt], or those of the file system. The call that
// opens a directory reads all of it.
func (d disk[C]) Open(o OpenOptions[C]) (Log, error) {
	log, err := openDisk(d.diskConfig, o.Dir, o.Network, o.Group)
	if err != nil {
		return nil, fmt.Errorf("logstore: open the log of group %s: %w", o.Group.Short(), err)
	}
	if o.Logger != nil && log.group.isEmpty() {
		if others := log.store.unused(); len(others) > 0 {
			// After a change of what the id is derived from, the group would otherwise
			// be empty without an explanation.
			o.Logger.Warn("the group's log is new, and its directory holds logs of groups that are not joined; a group's id changes with its key, machine, timing and validators",
				"group", o.Group.Short(), "others", others)
		}
	}
	return log, nil
}

func openDisk(cfg diskConfig, dir string, network, group sm.Digest) (*diskLog, error) {
	if dir == "" {
		return nil, ErrNoDir
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	snapshots := filepath.Join(dir, "snapshots", group.String())
	shared, err := acquire(cfg, filepath.Join(dir, "log"), network)
	if err != nil {
		return nil, err
	}
	if err := vfs.MkdirAll(cfg.fs, snapshots); err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", snapshots, err), shared.release())
	}
	g, err := shared.store.open(group)
	if err != nil {
		return nil, errors.Join(err, shared.release())
	}
	return &diskLog{shared: shared, store: shared.store, group: g, snapshots: snapshots}, nil
}
