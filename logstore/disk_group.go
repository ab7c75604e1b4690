package logstore

import (
	"slices"
	"sort"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

// diskGroup is the log of one group in a store, open or not.
type diskGroup struct {
	id sm.Digest

	// Guarded by the store's mu.
	number uint32 // 0 until the group saves something
	named  bool   // the log on disk, or the next round, assigns the number
	open   bool

	mu    sync.RWMutex  // guards the fields below; the store's mu is taken before it
	state State         // as saved; Pruned may be ahead of the disk
	refs  segments[ref] // the place of each entry
	terms termRuns      // the terms of the entries
	tail  tailCache     // the newest entries
}

// ref is the place of an entry. While a store is opened, a length of 0 means that the
// place is not known yet.
type ref struct{ segment, offset, length uint32 }

func (r ref) place() wal.Place { return wal.Place{Segment: uint64(r.segment), Offset: r.offset} }

func newDiskGroup(id sm.Digest) *diskGroup {
	g := &diskGroup{id: id}
	g.refs.reset(1)
	g.tail.entries.reset(1)
	return g
}

// termAt implements [terms].
func (g *diskGroup) termAt(pruned sm.Cursor, i sm.Index) sm.Term {
	if i == pruned.Index {
		return pruned.Term
	}
	return g.terms.at(i)
}

// apply applies the effect of a batch, whose entries are consecutive at a place.
func (g *diskGroup) apply(next change, entries []Entry, at wal.Place, use *usage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case next.fresh:
		use.drop(&g.refs, g.refs.first, g.refs.end())
		g.refs.reset(next.state.Pruned.Index + 1)
		g.terms = nil
		g.tail.reset(g.refs.first)
	case next.keep < g.refs.end():
		use.drop(&g.refs, next.keep, g.refs.end())
		if next.keep == g.refs.first {
			g.refs.reset(g.refs.first)
		} else {
			g.refs.truncate(next.keep)
		}
		g.terms = g.terms.before(next.keep)
		g.tail.truncate(next.keep)
	}
	g.state = next.state
	var refs [64]ref
	for rest := entries; len(rest) > 0; {
		n := min(len(rest), len(refs))
		for i := range rest[:n] {
			length := uint32(entryHead + len(rest[i].Data))
			refs[i] = ref{uint32(at.Segment), at.Offset, length}
			use.add(refs[i])
			at.Offset += length
			g.terms = g.terms.with(sm.Cursor{Term: rest[i].Term, Index: rest[i].Index})
		}
		g.refs.append(refs[:n])
		rest = rest[n:]
	}
	if g.tail.limit > 0 {
		g.tail.append(entries)
	}
}

// forget removes the refs of entries through an index, after they were pruned.
func (g *diskGroup) forget(through sm.Index, use *usage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	to := min(through+1, g.refs.end())
	if to <= g.refs.first {
		return
	}
	use.drop(&g.refs, g.refs.first, to)
	g.refs.prune(to)
	g.terms = g.terms.from(to, g.refs.end())
}

// prune moves the cursor of the last pruned entry, and reports whether it did.
func (g *diskGroup) prune(through sm.Index) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	through = min(through, g.state.Last.Index)
	if through <= g.state.Pruned.Index {
		return false
	}
	g.state.Pruned = sm.Cursor{Index: through, Term: g.terms.at(through)}
	g.tail.prune(through + 1)
	return true
}

// logState returns the group's state for the first frame of a segment, and whether it is
// empty.
func (g *diskGroup) logState() (s logState, empty bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	st := g.state
	return logState{g.number, g.id, st, slices.Clone(g.terms.from(st.Pruned.Index+1, st.Last.Index+1))}, isEmpty(st)
}

// isEmpty reports whether the log has no content.
func (g *diskGroup) isEmpty() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return isEmpty(g.state)
}

func isEmpty(st State) bool {
	return st.Meta == nil && st.Hard == (HardState{}) && st.Snapshot.Cursor == (sm.Cursor{}) && len(st.Snapshot.Record) == 0 && st.Last == (sm.Cursor{})
}

// remember sets how many bytes of the newest entries stay in memory, none if the group
// is not open. The caller holds the store's mu.
func (g *diskGroup) remember(limit int) {
	if !g.open {
		limit = 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tail.setLimit(limit)
}

// move changes the place of an entry, unless it changed before.
func (g *diskGroup) move(i sm.Index, from, to ref, use *usage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i < g.refs.first || i >= g.refs.end() || *g.refs.at(i) != from {
		return
	}
	use.remove(from)
	use.add(to)
	g.refs.set(i, to)
}

// at returns the place of the entry at index i.
func (g *diskGroup) at(i sm.Index) (r ref, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if i < g.refs.first || i >= g.refs.end() {
		return ref{}, false
	}
	return *g.refs.at(i), true
}

// termRuns holds the cursor of the first entry of each term. The term lasts until the
// next one.
type termRuns []sm.Cursor

// at returns the term of the entry at i, which must not be before the first one.
func (t termRuns) at(i sm.Index) sm.Term {
	if n := len(t); n > 0 && t[n-1].Index <= i {
		return t[n-1].Term
	}
	n := sort.Search(len(t), func(n int) bool { return t[n].Index > i })
	return t[n-1].Term
}

// before returns the runs of the entries before index i.
func (t termRuns) before(i sm.Index) termRuns {
	n := len(t)
	for n > 0 && t[n-1].Index >= i {
		n--
	}
	return t[:n]
}

// from returns the runs of the entries with indices in [i, end).
func (t termRuns) from(i, end sm.Index) termRuns {
	if i >= end {
		return nil
	}
	n := sort.Search(len(t), func(n int) bool { return t[n].Index > i })
	out := slices.Clone(t[n-1:])
	out[0].Index = i
	return out
}

// with returns the runs with an entry after the last one.
func (t termRuns) with(c sm.Cursor) termRuns {
	if n := len(t); n > 0 && t[n-1].Term == c.Term {
		return t
	}
	return append(t, c)
}
