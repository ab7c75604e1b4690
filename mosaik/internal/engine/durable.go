package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// durableLog is a log that outlives the process, with the snapshots that its
// records speak of. dragonboat itself only ever sees memory, so that no failure
// of a disk reaches it: a snapshot is copied to the log's directory before its
// record is saved, and back before the replica starts.
type durableLog struct {
	logstore.Log
	files          *files
	shard, replica uint64
}

// durable returns log, keeping its snapshots too if it has a directory for
// them, and makes the last one ready for the replica.
func (f *files) durable(log logstore.Log, shard, replica uint64) (logstore.Log, error) {
	dir := log.SnapshotDir()
	if dir == "" {
		return log, nil
	}
	state, err := log.State()
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	if last := state.Snapshot.Cursor.Index; last != 0 {
		content, err := os.ReadFile(filepath.Join(dir, snapshotFile(last)))
		if err != nil {
			return nil, fmt.Errorf("read the last snapshot: %w", err)
		}
		f.preload(replicaDir(shard, replica), last, content)
	}
	return durableLog{log, f, shard, replica}, nil
}

// Save implements [logstore.Log].
func (d durableLog) Save(b logstore.Batch) error {
	if b.Snapshot == nil || b.Snapshot.Cursor.Index == 0 {
		return d.Log.Save(b)
	}
	dir, index := d.SnapshotDir(), b.Snapshot.Cursor.Index
	content, err := d.files.snapshot(replicaDir(d.shard, d.replica), index)
	if err != nil {
		return fmt.Errorf("engine: keep snapshot at %d: %w", index, err)
	}
	if err := logstore.WriteFile(dir, snapshotFile(index), content); err != nil {
		return fmt.Errorf("engine: keep snapshot at %d: %w", index, err)
	}
	if err := d.Log.Save(b); err != nil {
		return err
	}
	return removeOthers(dir, snapshotFile(index))
}

// snapshotFile returns the name of the file of the snapshot at an index. It is
// dragonboat's.
func snapshotFile(index sm.Index) string { return fmt.Sprintf("snapshot-%016X.gbsnap", uint64(index)) }

// removeOthers removes all snapshots but one, and what interrupted writes left.
func removeOthers(dir, keep string) error {
	old, err := filepath.Glob(filepath.Join(dir, "snapshot-*.gbsnap*"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if filepath.Base(name) == keep {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("engine: remove old snapshot: %w", err)
		}
	}
	return nil
}
