package engine

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

// durableLog is a log that outlives the process, with the snapshots that its
// records speak of. dragonboat itself only ever sees memory, so that no failure
// of a disk reaches it: a snapshot is copied to the log's directory before its
// record is saved, and back before the replica starts.
//
// A snapshot that was received takes the place of the log. It is written as it
// comes in, by the goroutine that receives it, and is there before Raft hears of
// it: Save runs on a worker that other replicas wait for, and gives it its name
// only. See [receipt]. One that was taken here only shortens the log: it is copied
// beside everything else, and until that is done, or when it fails, the log on disk
// keeps what dragonboat thinks is pruned.
type durableLog struct {
	logstore.Log
	files          *files
	disk           logstore.Files // holds the snapshots
	shard, replica uint64
	tell           func(event) // of what became of snapshots

	mu       sync.Mutex         // held during calls that change Log; guards what follows
	kept     sm.Index           // what the snapshot on disk covers
	pruned   sm.Index           // through which to prune, once a snapshot on disk covers it
	era      int                // how often the log began anew
	next     *logstore.Snapshot // to be copied next, nil for none
	busy     bool               // a goroutine copies
	closed   bool
	copying  sync.WaitGroup // copies, and removes
	receipts map[*receipt]bool
	received map[sm.Index]*logstore.Draft // what Raft has, and Save has not

	handing sync.Mutex // held while dragonboat is given the end of a snapshot
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
	// Nobody asks for what a process that crashed had not recorded.
	if err := removeOtherSnapshots(disk, last); err != nil {
		tell(snapshotFailed{err})
	}
	return &durableLog{
		Log: log, files: f, disk: disk, shard: shard, replica: replica, tell: tell, kept: last,
		receipts: map[*receipt]bool{}, received: map[sm.Index]*logstore.Draft{},
	}, nil
}

// Save implements [logstore.Log].
func (d *durableLog) Save(b logstore.Batch) error {
	began := b.Clear || b.Reset != nil
	if b.Snapshot != nil && !began {
		d.later(b.Snapshot)
		if b.Snapshot = nil; raftlog.IsEmpty(&b) {
			return nil
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.Snapshot != nil && b.Snapshot.Cursor.Index > 0 {
		if err := d.place(b.Snapshot.Cursor.Index); err != nil {
			return err
		}
	}
	if err := d.Log.Save(b); err != nil || !began {
		return err
	}
	d.era++
	d.kept, d.pruned, d.next = 0, 0, nil
	if b.Snapshot != nil {
		d.kept = b.Snapshot.Cursor.Index
	}
	if !d.closed {
		d.copying.Go(d.clean)
	}
	return nil
}

// place gives a snapshot that takes the place of the log its name. One that did
// not come in by a receipt is copied. Called with d.mu.
func (d *durableLog) place(index sm.Index) error {
	draft := d.received[index]
	delete(d.received, index)
	if draft == nil {
		return d.write(index)
	}
	if err := draft.Place(); err != nil {
		return fmt.Errorf("engine: keep received snapshot at %d: %w", index, err)
	}
	return nil
}

// clean removes what the snapshot on disk supersedes. It does so without d.mu: to
// remove a large file takes long, too.
func (d *durableLog) clean() {
	d.mu.Lock()
	kept := d.kept
	var over []*logstore.Draft
	for index, draft := range d.received {
		if index <= kept { // Raft did without
			over = append(over, draft)
			delete(d.received, index)
		}
	}
	d.mu.Unlock()
	err := discard(over...)
	if err = errors.Join(err, removeSnapshots(d.disk, kept)); err != nil {
		d.tell(snapshotFailed{err})
	}
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
			continue
		case kept:
			d.tell(snapshotTaken{})
		}
		d.clean()
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
		return false, nil
	case err != nil && d.next != nil:
		return false, nil // it is gone
	case err != nil:
		return false, err
	}
	// When the log itself fails here, whoever saves next learns it, too.
	if err := raftlog.Guard(func() error { return d.Log.Save(logstore.Batch{Snapshot: s}) }); err != nil {
		return false, fmt.Errorf("engine: keep snapshot at %d: %w", index, err)
	}
	d.kept = index
	if err := raftlog.Guard(d.prune); err != nil {
		return false, fmt.Errorf("engine: prune the log behind the snapshot at %d: %w", index, err)
	}
	return true, nil
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

// finish waits for what is under way, lets nothing follow, and removes what came in
// and was not recorded.
func (d *durableLog) finish() error {
	d.mu.Lock()
	d.closed, d.next = true, nil
	receipts, received := maps.Clone(d.receipts), slices.Collect(maps.Values(d.received))
	clear(d.received)
	d.mu.Unlock()
	errs := []error{discard(received...)}
	for r := range receipts {
		errs = append(errs, r.close())
	}
	d.copying.Wait()
	return errors.Join(errs...)
}

// discard discards drafts.
func discard(drafts ...*logstore.Draft) error {
	var errs []error
	for _, d := range drafts {
		errs = append(errs, d.Discard())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("engine: remove received snapshot: %w", err)
	}
	return nil
}
