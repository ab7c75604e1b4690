package logstore

import (
	"bytes"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// change is the effect of a batch on a log.
type change struct {
	state State    // of the log afterwards
	fresh bool     // all entries are removed
	keep  sm.Index // if not fresh, entries with indices in [keep, ∞) are removed
}

// terms returns the terms of the entries in a log.
type terms interface {
	// termAt returns the term at i, which is the last pruned entry or in the log.
	termAt(pruned sm.Cursor, i sm.Index) sm.Term
}

// plan returns the effect of b on a log with state now. It changes nothing.
func plan(now State, b Batch, held terms) (change, error) {
	next := change{state: now}
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
			st.Last = sm.Cursor{Index: last, Term: held.termAt(st.Pruned, last)}
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

// continues returns an error if an entry at index first is neither in the log nor the
// next one.
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
