package logstore

import "github.com/mosaik-go/mosaik/sm"

const (
	// tailBytes is how much all open logs of a store remember of their newest
	// entries, and tailMax how much one does. A single log remembers tailMin
	// however many there are.
	tailBytes = 32 << 20
	tailMax   = 4 << 20
	tailMin   = 16 << 10

	entryCost = 96 // what an entry takes beside its data, roughly
)

// tailCache remembers the newest entries of a log, up to a size.
type tailCache struct {
	entries segments[Entry] // up to the log's end, unless it is empty
	size    int
	limit   int
}

func cost(e *Entry) int { return entryCost + len(e.Data) }

// append adds entries behind the log's end, and forgets half of what it
// remembers once that is too much.
func (t *tailCache) append(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	if t.entries.count == 0 || t.entries.end() != entries[0].Index {
		t.reset(entries[0].Index)
	}
	t.entries.append(entries)
	for i := range entries {
		t.size += cost(&entries[i])
	}
	t.shrink()
}

// setLimit sets how much is remembered.
func (t *tailCache) setLimit(limit int) {
	t.limit = limit
	t.shrink()
}

func (t *tailCache) shrink() {
	if t.size <= t.limit {
		return
	}
	to := t.entries.first
	for size := t.size; size > t.limit/2; to++ {
		size -= cost(t.entries.at(to))
	}
	t.prune(to)
}

// truncate forgets the entries with indices in [from, ∞).
func (t *tailCache) truncate(from sm.Index) {
	switch {
	case from >= t.entries.end():
	case from <= t.entries.first:
		t.reset(from)
	default:
		for i := from; i < t.entries.end(); i++ {
			t.size -= cost(t.entries.at(i))
		}
		t.entries.truncate(from)
	}
}

// prune forgets the entries before to.
func (t *tailCache) prune(to sm.Index) {
	switch {
	case to <= t.entries.first:
	case to >= t.entries.end():
		t.reset(to)
	default:
		for i := t.entries.first; i < to; i++ {
			t.size -= cost(t.entries.at(i))
		}
		t.entries.prune(to)
	}
}

// reset forgets everything.
func (t *tailCache) reset(first sm.Index) {
	t.entries.reset(first)
	t.size = 0
}
