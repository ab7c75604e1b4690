package engine

import (
	"fmt"
	"io"
	"sync"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// durableLog is a log that outlives the process, with the snapshots that its
// records speak of. dragonboat itself only ever sees memory, so that no failure
// of a disk reaches it: a snapshot is copied to the log's directory before its
// record is saved, and back before the replica starts.
//
// A snapshot that was received takes the place of the log, which waits for the
// copy and fails with it. One that was taken here only shortens the log: it is
// copied beside everything else, and until that is done, or when it fails, the
// log on disk keeps what dragonboat thinks is pruned.
type durableLog struct {
	logstore.Log
	files          *files
	disk           logstore.Files // holds the snapshots
	shard, replica uint64
	tell           func(event) // of what became of snapshots

	mu      sync.Mutex         // held during calls that change Log; guards what follows
	kept    sm.Index           // what the snapshot on disk covers
	pruned  sm.Index           // through which to prune, once a snapshot on disk covers it
	era     int                // how often the log began anew
	next    *logstore.Snapshot // to be copied next, nil for none
	busy    bool               // a goroutine copies
	closed  bool
	copying sync.WaitGroup
}

// durable returns log with its snapshots, and makes the last one ready for the
// replica. It returns nil if the log has no directory for them.
func (f *files) durable(log logstore.Log, shard, replica uint64, tell func(event)) (*durableLog, error) {
	disk, ok := logstore.FilesOf(log)
	if !ok {
		return nil, nil
	}
	state, err := log.State()
	if err != nil {
		return nil, fmt.Errorf("%w: read its state: %w", ErrStorage, err)
	}
	last := state.Snapshot.Cursor.Index
	if last != 0 {
		content, err := readSnapshot(disk, last)
		if err != nil {
			return nil, fmt.Errorf("%w: read the last snapshot: %w", ErrStorage, err)
		}
		if err := f.preload(replicaDir(shard, replica), last, content); err != nil {
			return nil, fmt.Errorf("load the last snapshot: %w", err)
		}
	}
	return &durableLog{Log: log, files: f, disk: disk, shard: shard, replica: replica, tell: tell, kept: last}, nil
}

// Save implements [logstore.Log].
func (d *durableLog) Save(b logstore.Batch) error {
	began := b.Clear || b.Reset != nil
	if b.Snapshot != nil && !began {
		d.later(b.Snapshot)
		if b.Snapshot = nil; isEmpty(&b) {
			return nil
		}
	}
	if b.Snapshot != nil && b.Snapshot.Cursor.Index > 0 {
		if err := d.write(b.Snapshot.Cursor.Index); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.Log.Save(b); err != nil || !began {
		return err
	}
	d.era++
	d.kept, d.pruned, d.next = 0, 0, nil
	if b.Snapshot != nil {
		d.kept = b.Snapshot.Cursor.Index
	}
	if err := removeSnapshots(d.disk, d.kept); err != nil {
		d.tell(snapshotFailed{err})
	}
	return nil
}

// Prune implements [logstore.Log].
func (d *durableLog) Prune(through sm.Index) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pruned = max(d.pruned, through)
	return d.prune()
}

// prune prunes what a snapshot on disk covers. Called with d.mu.
func (d *durableLog) prune() error {
	if through := min(d.pruned, d.kept); through > 0 {
		return d.Log.Prune(through)
	}
	return nil
}

// later has a snapshot copied, or the one that was to be copied after it.
func (d *durableLog) later(s *logstore.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.next = s
	if !d.busy {
		d.busy = true
		d.copying.Go(d.keepAll)
	}
}

// keepAll copies snapshots for as long as there is another one.
func (d *durableLog) keepAll() {
	for {
		d.mu.Lock()
		s, era := d.next, d.era
		d.next = nil
		if d.busy = s != nil; !d.busy {
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		switch kept, err := d.keep(s, era); {
		case err != nil:
			d.tell(snapshotFailed{err})
		case kept:
			d.tell(snapshotTaken{})
		}
	}
}

// keep copies a snapshot, makes it the one from which the replica starts, and
// prunes what waited for it. It does neither where a later one came first.
func (d *durableLog) keep(s *logstore.Snapshot, era int) (kept bool, err error) {
	index := s.Cursor.Index
	err = d.write(index)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.era != era:
		return false, removeSnapshots(d.disk, d.kept)
	case err != nil && d.next != nil:
		return false, nil // it is gone
	case err != nil:
		return false, err
	}
	// When the log itself fails here, whoever saves next learns it, too.
	if err := guard(func() error { return d.Log.Save(logstore.Batch{Snapshot: s}) }); err != nil {
		return false, fmt.Errorf("engine: keep snapshot at %d: %w", index, err)
	}
	d.kept = index
	if err := guard(d.prune); err != nil {
		return false, fmt.Errorf("engine: prune the log behind the snapshot at %d: %w", index, err)
	}
	return true, removeSnapshots(d.disk, index)
}

// write copies a snapshot to the directory.
func (d *durableLog) write(index sm.Index) error {
	err := writeSnapshot(d.disk, index, func(w io.Writer) error {
		return d.files.copySnapshot(w, replicaDir(d.shard, d.replica), index)
	})
	if err != nil {
		return fmt.Errorf("engine: keep snapshot at %d: %w", index, err)
	}
	return nil
}

// finish waits for the copy that is under way, and lets none follow.
func (d *durableLog) finish() {
	d.mu.Lock()
	d.closed, d.next = true, nil
	d.mu.Unlock()
	d.copying.Wait()
}
