package logstore

import (
	"fmt"
	"iter"
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// Memory is the storage that keeps logs in memory. The content of a log is lost when it
// is closed: to open it again returns an empty log. The zero value is ready to use, by
// any number of groups.
type Memory[C any] struct{}

// NewMemory returns a storage that keeps logs in memory.
func NewMemory[C any]() *Memory[C] { return &Memory[C]{} }

// Open implements [Storage]. It returns a new, empty log and never fails.
func (*Memory[C]) Open(OpenOptions[C]) (Log, error) {
	l := &memoryLog{}
	l.entries.reset(1)
	return l, nil
}

// memoryLog is one log of a [Memory].
//
// The cost of an append and of a lookup does not depend on the length of the log. An
// iteration yields the log as it was when the iteration began.
type memoryLog struct {
	mu      sync.RWMutex
	state   State
	entries segments[Entry]
	closed  bool
	failed  error // the error of a Save, after which nothing is written
}

// State implements [Log].
func (l *memoryLog) State() (State, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return State{}, ErrClosed
	}
	return l.state, nil
}

// Term implements [Log].
func (l *memoryLog) Term(i sm.Index) (sm.Term, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return 0, ErrClosed
	case i == 0:
		return 0, nil
	case i < l.state.Pruned.Index:
		return 0, fmt.Errorf("logstore: read the term at %d: %w", i, ErrCompacted)
	case i > l.state.Last.Index:
		return 0, fmt.Errorf("logstore: read the term at %d: %w", i, ErrUnavailable)
	}
	return l.termAt(l.state.Pruned, i), nil
}

// termAt implements [terms].
func (l *memoryLog) termAt(pruned sm.Cursor, i sm.Index) sm.Term {
	if i == pruned.Index {
		return pruned.Term
	}
	return l.entries.at(i).Term
}

// Entries implements [Log].
func (l *memoryLog) Entries(lo, hi sm.Index) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		view, err := l.view(lo, hi)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		for _, piece := range view {
			for i := range piece {
				if !yield(piece[i], nil) {
					return
				}
			}
		}
	}
}

// view returns the entries with indices in [lo, hi).
func (l *memoryLog) view(lo, hi sm.Index) ([][]Entry, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case lo <= l.state.Pruned.Index:
		return nil, fmt.Errorf("logstore: read the entries from %d: %w", lo, ErrCompacted)
	}
	return l.entries.view(lo, min(hi, l.entries.end())), nil
}

// Save implements [Log].
func (l *memoryLog) Save(b Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	next, err := plan(l.state, b, l)
	if err != nil {
		l.failed = err
		return err
	}
	l.state = next.state
	switch {
	case next.fresh:
		l.entries.reset(next.state.Pruned.Index + 1)
	case next.keep == l.entries.first:
		l.entries.reset(l.entries.first)
	case next.keep < l.entries.end():
		l.entries.truncate(next.keep)
	}
	l.entries.append(b.Entries)
	return nil
}

// Prune implements [Log].
func (l *memoryLog) Prune(through sm.Index) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	through = min(through, l.state.Last.Index)
	if through <= l.state.Pruned.Index {
		return nil
	}
	l.state.Pruned = sm.Cursor{Index: through, Term: l.entries.at(through).Term}
	l.entries.prune(through + 1)
	return nil
}

// writable returns why nothing can be written, or nil.
func (l *memoryLog) writable() error {
	switch {
	case l.closed:
		return ErrClosed
	case l.failed != nil:
		return fmt.Errorf("logstore: write after a failed save: %w", l.failed)
	}
	return nil
}

// SnapshotDir implements [Log]. Snapshots stay in memory.
func (l *memoryLog) SnapshotDir() string { return "" }

// Close implements [Log].
func (l *memoryLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.state = State{}
	l.entries.reset(1)
	return nil
}
