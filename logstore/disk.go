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
	// ErrCorrupt reports that what is on disk is damaged, in a way that no
	// crash explains. The error names the file and the offset.
	ErrCorrupt = wal.ErrCorrupt
	// ErrFormat reports a directory written by another, incompatible version.
	ErrFormat = wal.ErrFormat
	// ErrForeign reports a directory that is another network's, or no log.
	ErrForeign = wal.ErrForeign
	// ErrLocked reports a directory that another process uses, or this one
	// under another name.
	ErrLocked = wal.ErrLocked
	// ErrTooLarge reports a batch of more than 512 MiB.
	ErrTooLarge = wal.ErrTooLarge
	// ErrOpen reports that a group's log is open already.
	ErrOpen = errors.New("logstore: the group's log is open already")
	// ErrNoDir reports that a log on disk was asked for without a directory.
	ErrNoDir = errors.New("logstore: a log on disk needs a directory, and the network has none: open it with mosaik.WithDir")
)

// Disk returns the storage that keeps logs on disk, in [Opening.Dir]: they
// outlive the process, and a power cut.
//
// All groups of a directory share one log of segments of 64 MiB, and what they
// save at the same time shares one write and one sync. A directory belongs to
// one process at a time. It is open while the log of one of its groups is; any
// number of values that Disk returned may open logs in it. After an error of
// the disk nothing is accepted for any of them, until all are closed and opened
// again: what such a disk still holds is known only by reading it.
//
// What is pruned or replaced is given back a segment at a time. The directory
// holds about twice of what its logs hold, four times at worst, and 192 MiB.
//
// A group's log is found again by the group's id: a member that joins the group
// in a later process goes on as itself. With another id it begins anew, and a
// warning is logged if logs of groups that are not joined lie beside. Joining on a
// network without a directory is [ErrNoDir].
//
// In memory there are 12 bytes for each entry, the newest entries (32 MiB for
// all open logs together, 4 MiB for one) and 16 MiB of buffers, more only while
// batches are larger than that.
func Disk[C any]() Storage[C] { return disk[C]{diskConfig{fs: vfs.OS, segment: 64 << 20}} }

type disk[C any] struct{ diskConfig }

// diskConfig is what tests change. It is comparable.
type diskConfig struct {
	fs      vfs.FS
	segment int64 // length of a segment in bytes
	id      [16]byte
}

// Open implements [Storage]. Its errors are [ErrNoDir], [ErrOpen], [ErrLocked],
// [ErrForeign], [ErrFormat], [ErrCorrupt], or the file system's. The first one
// to open a directory reads all of it.
func (d disk[C]) Open(o Opening[C]) (Log, error) {
	log, err := openDisk(d.diskConfig, o.Dir, o.Network, o.Group)
	if err != nil {
		return nil, fmt.Errorf("logstore: open the log of group %s: %w", o.Group.Short(), err)
	}
	if o.Logger != nil && log.group.isEmpty() {
		if others := log.store.unused(); len(others) > 0 {
			// Whoever changes what the id is made of would else see an empty group and
			// not know why.
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
