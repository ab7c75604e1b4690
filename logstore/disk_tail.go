package logstore

import "github.com/mosaik-go/mosaik/sm"

const (
	// tailBytes is how many bytes of newest entries all open logs of a store keep in
	// memory, and tailMax how many one log does. However many logs there are, each keeps
	// tailMin.
	tailBytes = 32 << 20
	tailMax   = 4 << 20
	tailMin   = 16 << 10

	entryCost = 96 // the memory of an entry without its data, roughly
)

// tailCache keeps the newest entries of a log in memory, up to a size.
type tailCache struct {
	entries segments[Entry] // up to the end of the log, unless it is empty
	size    int             // of the entries, in bytes
	limit   int             // of size
}

// cost returns the memory that an entry takes.
func cost(e *Entry) int { return entryCost + len(e.Data) }

// append adds entries at the end of the log. Above the limit, it removes the older half.
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

// setLimit sets the limit in bytes.
func (t *tailCache) setLimit(limit int) {
	t.limit = limit
	t.shrink()
}

// shrink removes entries if there are too many.
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

// truncate removes the entries with indices in [from, ∞).
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

// prune removes the entries before to.
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

// reset removes all entries.
func (t *tailCache) reset(first sm.Index) {
	t.entries.reset(first)
	t.size = 0
}
