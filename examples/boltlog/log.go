package boltlog

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// log implements [logstore.Log].
type log struct {
	db        *bbolt.DB
	snapshots string

	mu     sync.RWMutex
	state  logstore.State // as the last transaction left it
	closed bool
	failed error // why a save failed, which ends all writing
}

// State implements [logstore.Log].
func (l *log) State() (logstore.State, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return logstore.State{}, logstore.ErrClosed
	}
	return l.state, nil
}

// Term implements [logstore.Log].
func (l *log) Term(i sm.Index) (sm.Term, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return 0, logstore.ErrClosed
	case i == 0:
		return 0, nil
	case i == l.state.Pruned.Index:
		return l.state.Pruned.Term, nil
	case i < l.state.Pruned.Index:
		return 0, fmt.Errorf("boltlog: read the term at %d: %w", i, logstore.ErrCompacted)
	case i > l.state.Last.Index:
		return 0, fmt.Errorf("boltlog: read the term at %d: %w", i, logstore.ErrUnavailable)
	}
	var term sm.Term
	err := l.db.View(func(tx *bbolt.Tx) (err error) {
		term, err = termAt(tx.Bucket(entriesBucket), i)
		return err
	})
	return term, err
}

// termAt returns the term of an entry that the bucket holds.
func termAt(entries *bbolt.Bucket, i sm.Index) (sm.Term, error) {
	key := indexKey(i)
	e, err := readEntry(key, entries.Get(key))
	return e.Term, err
}

// pageSize is the number of entries that one transaction reads. A long transaction would
// keep bbolt from reusing deleted pages, and the caller may save during the iteration.
const pageSize = 256

// Entries implements [logstore.Log].
func (l *log) Entries(lo, hi sm.Index) iter.Seq2[logstore.Entry, error] {
	return func(yield func(logstore.Entry, error) bool) {
		for from := lo; ; from += pageSize {
			page, err := l.page(from, min(hi, from+pageSize))
			if err != nil {
				yield(logstore.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// page returns the entries with indices in [lo, hi).
func (l *log) page(lo, hi sm.Index) ([]logstore.Entry, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return nil, logstore.ErrClosed
	case lo <= l.state.Pruned.Index:
		return nil, fmt.Errorf("boltlog: read the entries from %d: %w", lo, logstore.ErrCompacted)
	}
	var page []logstore.Entry
	err := l.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(entriesBucket).Cursor()
		for k, v := c.Seek(indexKey(lo)); k != nil; k, v = c.Next() {
			e, err := readEntry(k, v)
			if err != nil {
				return err
			}
			if e.Index >= hi {
				break
			}
			page = append(page, e)
		}
		return nil
	})
	return page, err
}

// Save implements [logstore.Log]: a batch is a transaction.
func (l *log) Save(b logstore.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	next := l.state
	err := l.db.Update(func(tx *bbolt.Tx) error {
		if err := apply(&next, tx.Bucket(entriesBucket), b); err != nil {
			return err
		}
		return writeState(tx.Bucket(stateBucket), next)
	})
	if err != nil {
		l.failed = err
		return fmt.Errorf("boltlog: save: %w", err)
	}
	l.state = next
	return nil
}

// apply makes the parts of a batch take effect, in their order.
func apply(st *logstore.State, entries *bbolt.Bucket, b logstore.Batch) error {
	if b.Clear {
		*st = logstore.State{}
	}
	if b.Reset != nil {
		st.Pruned, st.Last = *b.Reset, *b.Reset
	}
	if b.Clear || b.Reset != nil {
		if err := drop(entries, 0, last); err != nil {
			return err
		}
	}
	if b.Truncate != 0 {
		if err := truncate(st, entries, b.Truncate); err != nil {
			return err
		}
	}
	if err := appendEntries(st, entries, b.Entries); err != nil {
		return err
	}
	if b.Hard != nil {
		st.Hard = *b.Hard
	}
	if b.Snapshot != nil {
		st.Snapshot = logstore.Snapshot{Cursor: b.Snapshot.Cursor, Record: bytes.Clone(b.Snapshot.Record)}
	}
	if b.Meta != nil {
		st.Meta = append([]byte{}, b.Meta...)
	}
	return nil
}

// appendEntries puts the entries where the log holds others from their first
// index on, or behind its end.
func appendEntries(st *logstore.State, bucket *bbolt.Bucket, entries []logstore.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	switch first := entries[0].Index; {
	case first <= st.Pruned.Index:
		return fmt.Errorf("entries from %d to a log pruned through %d: %w", first, st.Pruned.Index, logstore.ErrCompacted)
	case first > st.Last.Index+1:
		return fmt.Errorf("entries from %d to a log that ends at %d: %w", first, st.Last.Index, logstore.ErrGap)
	}
	if err := truncate(st, bucket, entries[0].Index); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Index != st.Last.Index+1 || e.Term < st.Last.Term {
			return fmt.Errorf("entry %d of term %d after %d of term %d: %w",
				e.Index, e.Term, st.Last.Index, st.Last.Term, logstore.ErrGap)
		}
		if err := put(bucket, indexKey(e.Index), appendEntry(nil, e)); err != nil {
			return err
		}
		st.Last = sm.Cursor{Index: e.Index, Term: e.Term}
	}
	return nil
}

// truncate drops the entries from an index on.
func truncate(st *logstore.State, entries *bbolt.Bucket, from sm.Index) error {
	from = max(from, st.Pruned.Index+1)
	if from > st.Last.Index {
		return nil
	}
	if err := drop(entries, from, last); err != nil {
		return err
	}
	st.Last = st.Pruned
	if from-1 == st.Pruned.Index {
		return nil
	}
	term, err := termAt(entries, from-1)
	st.Last = sm.Cursor{Index: from - 1, Term: term}
	return err
}

// last is behind every index.
const last = ^sm.Index(0)

// drop deletes the entries with indices in [from, to].
func drop(entries *bbolt.Bucket, from, to sm.Index) error {
	c, begin, end := entries.Cursor(), indexKey(from), indexKey(to)
	// A cursor's place is not defined once it has deleted, so it seeks again.
	for k, _ := c.Seek(begin); k != nil && bytes.Compare(k, end) <= 0; k, _ = c.Seek(begin) {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// Prune implements [logstore.Log].
func (l *log) Prune(through sm.Index) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	through = min(through, l.state.Last.Index)
	if through <= l.state.Pruned.Index {
		return nil
	}
	next := l.state
	err := l.db.Update(func(tx *bbolt.Tx) error {
		entries := tx.Bucket(entriesBucket)
		term, err := termAt(entries, through)
		if err != nil {
			return err
		}
		next.Pruned = sm.Cursor{Index: through, Term: term}
		return errors.Join(drop(entries, 0, through), writeState(tx.Bucket(stateBucket), next))
	})
	if err != nil {
		l.failed = err
		return fmt.Errorf("boltlog: prune through %d: %w", through, err)
	}
	l.state = next
	return nil
}

func (l *log) writable() error {
	switch {
	case l.closed:
		return logstore.ErrClosed
	case l.failed != nil:
		return fmt.Errorf("boltlog: write after a failed save: %w", l.failed)
	}
	return nil
}

// SnapshotDir implements [logstore.Log].
func (l *log) SnapshotDir() string { return l.snapshots }

// Close implements [logstore.Log].
func (l *log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.db.Close()
}
