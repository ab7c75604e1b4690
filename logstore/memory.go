package logstore

import (
	"bytes"
	"fmt"
	"iter"
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// Memory is the storage that keeps logs in memory: what a log holds is gone
// when it is closed, and opening a group's log again yields an empty one. The
// zero value is ready to use, by any number of groups.
type Memory[C any] struct{}

// NewMemory returns a storage that keeps logs in memory.
func NewMemory[C any]() *Memory[C] { return &Memory[C]{} }

// Open implements [Storage]. It returns a new, empty log and never fails.
func (*Memory[C]) Open(Opening[C]) (Log, error) {
	l := &memoryLog{}
	l.entries.reset(1)
	return l, nil
}

// memoryLog is one log of a [Memory].
//
// Appending and looking up a term cost the same however long the log is. An
// iteration sees the log as it was when it began.
type memoryLog struct {
	mu      sync.RWMutex
	state   State
	entries segments
	closed  bool
	failed  error // why Save failed, which ends all writing
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

// termAt returns the term at i, which is the pruned boundary or held.
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
	next, err := l.plan(b)
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

// change is what a batch will make of a log.
type change struct {
	state State
	fresh bool     // all entries are dropped and the log starts anew
	keep  sm.Index // if not fresh, entries with indices in [keep, ∞) are dropped
}

// plan works out what b changes and changes nothing.
func (l *memoryLog) plan(b Batch) (change, error) {
	next := change{state: l.state}
	st := &next.state
	if b.Clear {
		*st, next.fresh = State{}, true
	}
	if b.Reset != nil {
		st.Pruned, st.Last, next.fresh = *b.Reset, *b.Reset, true
	}
	cut := func(from sm.Index) {
		last := max(from, st.Pruned.Index+1) - 1
		if last < st.Last.Index {
			st.Last = sm.Cursor{Index: last, Term: l.termAt(st.Pruned, last)}
		}
	}
	if b.Truncate != 0 {
		cut(b.Truncate)
	}
	if len(b.Entries) > 0 {
		if err := continues(*st, b.Entries[0].Index); err != nil {
			return change{}, err
		}
		cut(b.Entries[0].Index)
	}
	next.keep = st.Last.Index + 1
	last, err := follow(st.Last, b.Entries)
	if err != nil {
		return change{}, err
	}
	st.Last = last
	if b.Hard != nil {
		st.Hard = *b.Hard
	}
	if b.Snapshot != nil {
		st.Snapshot = Snapshot{Cursor: b.Snapshot.Cursor, Record: bytes.Clone(b.Snapshot.Record)}
	}
	if b.Meta != nil {
		st.Meta = bytes.Clone(b.Meta)
	}
	return next, nil
}

// continues reports whether an entry at index first may be appended or replace one.
func continues(st State, first sm.Index) error {
	switch {
	case first <= st.Pruned.Index:
		return fmt.Errorf("logstore: save entries from %d to a log pruned through %d: %w", first, st.Pruned.Index, ErrCompacted)
	case first > st.Last.Index+1:
		return fmt.Errorf("logstore: save entries from %d to a log that ends at %d: %w", first, st.Last.Index, ErrGap)
	}
	return nil
}

// follow returns the position after which the log ends once the entries are
// behind prev, or an error unless they follow it and each other.
func follow(prev sm.Cursor, entries []Entry) (sm.Cursor, error) {
	for i := range entries {
		e := &entries[i]
		if e.Index != prev.Index+1 || e.Term < prev.Term {
			return sm.Cursor{}, fmt.Errorf("logstore: save entry %v after %v: %w", sm.Cursor{Index: e.Index, Term: e.Term}, prev, ErrGap)
		}
		prev = sm.Cursor{Index: e.Index, Term: e.Term}
	}
	return prev, nil
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

func (l *memoryLog) writable() error {
	switch {
	case l.closed:
		return ErrClosed
	case l.failed != nil:
		return fmt.Errorf("logstore: write after a failed save: %w", l.failed)
	}
	return nil
}

// SnapshotDir implements [Log]: snapshots stay in memory.
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
