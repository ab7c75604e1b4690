package raftlog

import (
	"slices"
	"sort"
	"sync"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// termTable knows the term of every entry of a log that may still be applied. It takes the
// memory of one [sm.Cursor] per term. dragonboat reveals the term of an entry when it saves
// the entry, and not when it applies it. Its methods may be called concurrently.
type termTable struct {
	mu sync.RWMutex
	// bounds are the first entries of each term, by index. A term holds up to the next
	// bound. Bounds before the log's start serve entries that were committed before a
	// snapshot replaced them and are not applied yet.
	bounds []sm.Cursor
	first  sm.Index // the index of the log's first entry
	last   sm.Index // the index of its last one, first-1 without entries
}

// at returns the term of the entry at i, 0 if it is not known.
func (t *termTable) at(i sm.Index) sm.Term {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if i > t.last {
		return 0
	}
	for n := len(t.bounds) - 1; n >= 0; n-- { // the last one, in most calls
		if t.bounds[n].Index <= i {
			return t.bounds[n].Term
		}
	}
	return 0
}

// span returns the indices of the log's entries, [first, last+1).
func (t *termTable) span() (first, last sm.Index) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.first, t.last
}

// append notes entries. They replace all that is known from the first of them on.
func (t *termTable) append(entries []pb.Entry) {
	if len(entries) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.truncate(sm.Index(entries[0].Index))
	for i := range entries {
		t.add(sm.Cursor{Index: sm.Index(entries[i].Index), Term: sm.Term(entries[i].Term)})
	}
	t.last = sm.Index(entries[len(entries)-1].Index)
}

// restart notes that the log continues after c, a snapshot's position.
func (t *termTable) restart(c sm.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.truncate(c.Index)
	if t.last+1 < c.Index {
		t.bounds = append(t.bounds, sm.Cursor{Index: t.last + 1}) // unknown
	}
	t.add(c)
	t.first, t.last = c.Index+1, c.Index
}

// prune forgets the entries through an index, but no more than the log holds.
func (t *termTable) prune(through sm.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	through = min(through, t.last)
	if through < t.first {
		return
	}
	n := 0
	for n+1 < len(t.bounds) && t.bounds[n+1].Index <= through {
		n++
	}
	t.bounds = slices.Delete(t.bounds, 0, n)
	t.bounds[0].Index = max(t.bounds[0].Index, through)
	t.first = through + 1
}

// clear forgets everything.
func (t *termTable) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bounds, t.first, t.last = nil, 1, 0
}

// load reads the terms of a log. For each term it searches the end with a binary search.
func (t *termTable) load(log logstore.Log, st logstore.State) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bounds, t.first, t.last = nil, st.Pruned.Index+1, st.Last.Index
	if st.Pruned.Index > 0 {
		t.add(st.Pruned)
	}
	for i := t.first; i <= t.last; {
		term, err := log.Term(i)
		if err != nil {
			return err
		}
		t.add(sm.Cursor{Index: i, Term: term})
		if term == st.Last.Term {
			break // terms never decrease
		}
		rest := int(t.last - i)
		i += 1 + sm.Index(sort.Search(rest, func(n int) bool {
			next, e := log.Term(i + 1 + sm.Index(n))
			if e != nil {
				err = e
			}
			return next > term
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// truncate drops all that is known from index i on.
func (t *termTable) truncate(i sm.Index) {
	n := len(t.bounds)
	for n > 0 && t.bounds[n-1].Index >= i {
		n--
	}
	t.bounds = t.bounds[:n]
}

// add notes that a term begins at c, unless it is the last known term.
func (t *termTable) add(c sm.Cursor) {
	if n := len(t.bounds); n == 0 || t.bounds[n-1].Term != c.Term {
		t.bounds = append(t.bounds, c)
	}
}
