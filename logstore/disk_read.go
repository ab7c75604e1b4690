package logstore

import (
	"errors"
	"fmt"
	"iter"

	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// spanBytes is how many bytes are read from disk at once, unless an entry is longer.
	spanBytes = 256 << 10
	// spanGap is how many unneeded bytes between two entries are read along, in place of
	// a second read.
	spanGap = 4 << 10
)

// Entries implements [Log]. The newest entries are in memory; others are read from disk.
func (l *diskLog) Entries(lo, hi sm.Index) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		lo, hi := lo, hi
		var read reader
		for begun := false; ; begun = true {
			if l.isClosed() {
				yield(Entry{}, ErrClosed)
				return
			}
			pieces, err := l.piece(&read, lo, hi)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if len(pieces) == 0 {
				return
			}
			if !begun {
				hi = min(hi, read.end)
			}
			for _, piece := range pieces {
				for i := range piece {
					if !yield(piece[i], nil) {
						return
					}
				}
				lo += sm.Index(len(piece))
			}
		}
	}
}

// reader reads entries from disk, a span at a time.
type reader struct {
	end  sm.Index // of the log
	refs []ref    // of the entries of a span
	out  [1][]Entry
}

// piece returns some entries from index lo on, or none if lo is at hi or at the end.
func (l *diskLog) piece(r *reader, lo, hi sm.Index) ([][]Entry, error) {
	var stale ref
	for {
		pieces, err := l.group.view(r, lo, hi)
		if len(pieces) > 0 || err != nil || len(r.refs) == 0 {
			return pieces, err
		}
		pieces, err = l.read(r, lo)
		if !errors.Is(err, wal.ErrRemoved) {
			return pieces, err
		}
		// The segment was removed before the read. Its live entries have moved.
		if l.isClosed() {
			return nil, ErrClosed
		}
		if stale == r.refs[0] {
			return nil, fmt.Errorf("%w: %s with entry %d is missing", ErrCorrupt, l.store.wal.Name(uint64(stale.segment)), lo)
		}
		stale = r.refs[0]
	}
}

// view returns the entries with indices in [lo, hi) if they are in memory. Otherwise it
// sets r.refs to the places of the first of them.
func (g *diskGroup) view(r *reader, lo, hi sm.Index) ([][]Entry, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	r.refs = r.refs[:0]
	if lo <= g.state.Pruned.Index {
		return nil, fmt.Errorf("logstore: read the entries from %d: %w", lo, ErrCompacted)
	}
	r.end = g.state.Last.Index + 1
	hi = min(hi, r.end)
	if lo >= hi {
		return nil, nil
	}
	if t := &g.tail.entries; t.count > 0 {
		if lo >= t.first {
			return t.view(lo, hi), nil
		}
		hi = min(hi, t.first)
	}
	first := *g.refs.at(lo)
	end := first.offset
	for i := lo; i < hi; i++ {
		next := *g.refs.at(i)
		if next.segment != first.segment || next.offset < end || next.offset-end > spanGap ||
			i > lo && uint64(next.offset)+uint64(next.length)-uint64(first.offset) > spanBytes {
			break
		}
		r.refs = append(r.refs, next)
		end = next.offset + next.length
	}
	return nil, nil
}

// read reads the entries at r.refs, the first of which has index lo.
func (l *diskLog) read(r *reader, lo sm.Index) ([][]Entry, error) {
	first, last := r.refs[0], r.refs[len(r.refs)-1]
	buf := make([]byte, last.offset+last.length-first.offset)
	if err := l.store.wal.ReadAt(buf, first.place()); err != nil {
		return nil, err
	}
	entries := make([]Entry, len(r.refs))
	for i, at := range r.refs {
		from := at.offset - first.offset
		e, n, err := parseEntry(buf[from:from+at.length], l.group.number)
		if err == nil && (n != int(at.length) || e.Index != lo+sm.Index(i)) {
			err = errEntry
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s at %d, entry %d: %w", ErrCorrupt, l.store.wal.Name(uint64(at.segment)), at.offset, lo+sm.Index(i), err)
		}
		entries[i] = e
	}
	r.out[0] = entries
	return r.out[:], nil
}
