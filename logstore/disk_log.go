package logstore

import (
	"fmt"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/sm"
)

// diskLog is one open log of a [Disk].
type diskLog struct {
	shared    *sharedStore
	store     *diskStore
	group     *diskGroup
	snapshots string

	writing sync.Mutex // held by Save, Prune, OnFailure and Close; guards failed and batch
	failed  error      // the error of a Save or Prune, after which nothing is written
	batch   Batch      // the batch that is being saved

	mu     sync.RWMutex
	closed bool
}

func (l *diskLog) isClosed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.closed
}

// State implements [Log].
func (l *diskLog) State() (State, error) {
	if l.isClosed() {
		return State{}, ErrClosed
	}
	l.group.mu.RLock()
	defer l.group.mu.RUnlock()
	return l.group.state, nil
}

// Term implements [Log].
func (l *diskLog) Term(i sm.Index) (sm.Term, error) {
	if l.isClosed() {
		return 0, ErrClosed
	}
	l.group.mu.RLock()
	defer l.group.mu.RUnlock()
	switch {
	case i == 0:
		return 0, nil
	case i < l.group.state.Pruned.Index:
		return 0, fmt.Errorf("logstore: read the term at %d: %w", i, ErrCompacted)
	case i > l.group.state.Last.Index:
		return 0, fmt.Errorf("logstore: read the term at %d: %w", i, ErrUnavailable)
	}
	return l.group.termAt(l.group.state.Pruned, i), nil
}

// Save implements [Log].
func (l *diskLog) Save(b Batch) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	if !b.Clear && b.Reset == nil && b.Truncate == 0 && len(b.Entries) == 0 && b.Hard == nil && b.Snapshot == nil && b.Meta == nil {
		return nil
	}
	err := l.save(b)
	if err != nil {
		l.failed = err
	}
	return err
}

func (l *diskLog) save(b Batch) error {
	next, err := plan(l.group.state, b, l.group)
	if err != nil {
		return err
	}
	if next.state.Last.Index+1 == 0 {
		return fmt.Errorf("logstore: save through index %d: the index is too large", next.state.Last.Index)
	}
	r := record{batch: b}
	if n := r.size(); n > maxBatch {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed; save fewer entries at once", ErrTooLarge, n, maxBatch)
	}
	l.batch = b
	err = l.store.commit(diskOp{group: l.group, next: next, batch: &l.batch}, &r)
	l.batch = Batch{}
	return err
}

// Prune implements [Log]. It reaches the disk with the next Save.
func (l *diskLog) Prune(through sm.Index) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	if !l.group.prune(through) {
		return nil
	}
	through = l.group.state.Pruned.Index
	err := l.store.later(diskOp{group: l.group, prune: through}, &record{prune: through})
	if err != nil {
		l.failed = err
	}
	return err
}

// writable returns why nothing can be written, or nil.
func (l *diskLog) writable() error {
	switch {
	case l.isClosed():
		return ErrClosed
	case l.failed != nil:
		return fmt.Errorf("logstore: write after a failed save: %w", l.failed)
	}
	return nil
}

// SnapshotDir implements [Log].
func (l *diskLog) SnapshotDir() string { return l.snapshots }

// fileSystem is for [SnapshotFiles].
func (l *diskLog) fileSystem() vfs.FS { return l.store.cfg.fs }

// OnFailure implements [FailureNotifier].
func (l *diskLog) OnFailure(report func(error)) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if !l.isClosed() {
		l.store.watch(l.group, report)
	}
}

// Close implements [Log].
func (l *diskLog) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.store.leave(l.group)
	return l.shared.release()
}
