package snapstore

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/sm"
)

// Log is a storage that outlives the process, with the snapshots that its records name.
//
// A snapshot that was received replaces the log. The goroutine that receives it writes it
// to disk before Raft learns of it (see [Incoming]): Save runs on a worker that serves
// other replicas too, so Save only renames the file. A snapshot that was taken here only
// shortens the log. A goroutine copies it in the background; until that has succeeded, the
// storage keeps the entries that dragonboat has pruned.
//
// Lock order: Incoming.mu, Log.delivering, Log.mu. The methods may be called concurrently.
type Log struct {
	logstore.Log
	fs             *FS
	disk           logstore.Files // holds the snapshots
	shard, replica uint64
	report         func(error) // called after each copy: nil for one that is on disk

	mu       sync.Mutex         // held during calls that change the storage; guards the fields below
	kept     sm.Index           // what the snapshot on disk covers
	pruned   sm.Index           // through which to prune, once a snapshot on disk covers it
	resets   int                // how often the log was replaced
	next     *logstore.Snapshot // to be copied next, nil for none
	copying  bool               // a goroutine copies
	closed   bool
	running  sync.WaitGroup // goroutines that copy and remove
	incoming map[*Incoming]bool
	received map[sm.Index]*logstore.PendingFile // received whole, and not yet named by Save

	delivering sync.Mutex // held while dragonboat receives the last chunk of a snapshot
}

// OpenLog returns storage with its snapshots, and makes the last one ready for the replica.
// It returns nil if the storage has no directory for them. report is called after each copy
// of a snapshot to disk, with the error of one that failed; it must not block. The caller
// must call [Log.Finish] once dragonboat has let go of the replica.
func (f *FS) OpenLog(storage logstore.Log, shard, replica uint64, report func(error)) (*Log, error) {
	disk, ok := logstore.SnapshotFiles(storage)
	if !ok {
		return nil, nil
	}
	state, err := storage.State()
	if err != nil {
		return nil, fmt.Errorf("%w: read its state: %w", raftlog.ErrStorage, err)
	}
	last := state.Snapshot.Cursor.Index
	if last != 0 {
		content, err := readSnapshot(disk, last)
		if err != nil {
			return nil, fmt.Errorf("%w: read the last snapshot: %w", raftlog.ErrStorage, err)
		}
		if err := f.preload(replicaDir(shard, replica), last, content); err != nil {
			return nil, fmt.Errorf("load the last snapshot: %w", err)
		}
	}
	// A process that crashed may have left snapshots that no record names.
	if err := removeOthers(disk, last); err != nil {
		report(err)
	}
	return &Log{
		Log: storage, fs: f, disk: disk, shard: shard, replica: replica, report: report, kept: last,
		incoming: map[*Incoming]bool{}, received: map[sm.Index]*logstore.PendingFile{},
	}, nil
}

// Save implements [logstore.Log].
func (l *Log) Save(b logstore.Batch) error {
	replaces := b.Clear || b.Reset != nil
	if b.Snapshot != nil && !replaces {
		l.copyLater(b.Snapshot)
		if b.Snapshot = nil; raftlog.IsEmpty(&b) {
			return nil
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.Snapshot != nil && b.Snapshot.Cursor.Index > 0 {
		if err := l.place(b.Snapshot.Cursor.Index); err != nil {
			return err
		}
	}
	if err := l.Log.Save(b); err != nil || !replaces {
		return err
	}
	l.resets++
	l.kept, l.pruned, l.next = 0, 0, nil
	if b.Snapshot != nil {
		l.kept = b.Snapshot.Cursor.Index
	}
	if !l.closed {
		l.running.Go(l.clean)
	}
	return nil
}

// place names the file of a snapshot that replaces the log. It copies the snapshot if that
// was not received as an [Incoming]. Called with l.mu.
func (l *Log) place(index sm.Index) error {
	draft := l.received[index]
	delete(l.received, index)
	if draft == nil {
		return l.write(index)
	}
	if err := draft.Place(); err != nil {
		return fmt.Errorf("engine: keep received snapshot at %d: %w", index, err)
	}
	return nil
}

// clean removes the files that the snapshot on disk supersedes. It does so without l.mu,
// because the removal of a large file takes long.
func (l *Log) clean() {
	l.mu.Lock()
	kept := l.kept
	var superseded []*logstore.PendingFile
	for index, draft := range l.received {
		if index <= kept { // Raft did not use it
			superseded = append(superseded, draft)
			delete(l.received, index)
		}
	}
	l.mu.Unlock()
	err := discard(superseded...)
	if err = errors.Join(err, removeBefore(l.disk, kept)); err != nil {
		l.report(err)
	}
}

// Prune implements [logstore.Log].
func (l *Log) Prune(through sm.Index) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pruned = max(l.pruned, through)
	return l.prune()
}

// prune prunes what the snapshot on disk covers. Called with l.mu.
func (l *Log) prune() error {
	if through := min(l.pruned, l.kept); through > 0 {
		return l.Log.Prune(through)
	}
	return nil
}

// copyLater schedules a copy of a snapshot, in place of the one that was scheduled before.
func (l *Log) copyLater(s *logstore.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.next = s
	if !l.copying {
		l.copying = true
		l.running.Go(l.copyAll)
	}
}

// copyAll copies snapshots until none is scheduled.
func (l *Log) copyAll() {
	for {
		l.mu.Lock()
		s, resets := l.next, l.resets
		l.next = nil
		if l.copying = s != nil; !l.copying {
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		switch kept, err := l.keep(s, resets); {
		case err != nil:
			l.report(err)
			continue
		case kept:
			l.report(nil)
		}
		l.clean()
	}
}

// keep copies a snapshot, records it as the one from which the replica starts, and prunes
// the entries that it covers. It records nothing if the log was replaced meanwhile.
func (l *Log) keep(s *logstore.Snapshot, resets int) (kept bool, err error) {
	index := s.Cursor.Index
	err = l.write(index)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.resets != resets:
		return false, nil
	case err != nil && l.next != nil:
		return false, nil // dragonboat has removed the file for a later snapshot
	case err != nil:
		return false, err
	}
	// When the storage itself fails here, the next Save fails, too, and fences the log.
	if err := raftlog.Guard(func() error { return l.Log.Save(logstore.Batch{Snapshot: s}) }); err != nil {
		return false, fmt.Errorf("engine: keep snapshot at %d: %w", index, err)
	}
	l.kept = index
	if err := raftlog.Guard(l.prune); err != nil {
		return false, fmt.Errorf("engine: prune the log behind the snapshot at %d: %w", index, err)
	}
	return true, nil
}

// write copies a snapshot to the directory.
func (l *Log) write(index sm.Index) error {
	err := writeSnapshot(l.disk, index, func(w io.Writer) error {
		return l.fs.copySnapshot(w, replicaDir(l.shard, l.replica), index)
	})
	if err != nil {
		return fmt.Errorf("engine: keep snapshot at %d: %w", index, err)
	}
	return nil
}

// Finish waits for the copy in flight, cancels those that are scheduled, and removes
// received snapshots that no record names. It does not close the storage.
func (l *Log) Finish() error {
	l.mu.Lock()
	l.closed, l.next = true, nil
	incoming, received := maps.Clone(l.incoming), slices.Collect(maps.Values(l.received))
	clear(l.received)
	l.mu.Unlock()
	errs := []error{discard(received...)}
	for in := range incoming {
		errs = append(errs, in.Close())
	}
	l.running.Wait()
	return errors.Join(errs...)
}

// discard discards drafts.
func discard(drafts ...*logstore.PendingFile) error {
	var errs []error
	for _, d := range drafts {
		errs = append(errs, d.Discard())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("engine: remove received snapshot: %w", err)
	}
	return nil
}
