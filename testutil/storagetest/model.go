package storagetest

import (
	"slices"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// model is the expected content of a log: a naive implementation of its rules, as
// close to the documentation as possible.
type model struct {
	state   logstore.State // without Last, which the method last computes
	entries []logstore.Entry
}

// last returns the position of the last entry.
func (m *model) last() sm.Cursor {
	if n := len(m.entries); n > 0 {
		return sm.Cursor{Index: m.entries[n-1].Index, Term: m.entries[n-1].Term}
	}
	return m.state.Pruned
}

// save applies b, whose entries continue the log.
func (m *model) save(b logstore.Batch) {
	if b.Clear {
		*m = model{}
	}
	if b.Reset != nil {
		m.entries, m.state.Pruned = nil, *b.Reset
	}
	if b.Truncate != 0 {
		m.truncate(b.Truncate)
	}
	if len(b.Entries) > 0 {
		m.truncate(b.Entries[0].Index)
		m.entries = append(m.entries, b.Entries...)
	}
	if b.Hard != nil {
		m.state.Hard = *b.Hard
	}
	if b.Snapshot != nil {
		m.state.Snapshot = *b.Snapshot
	}
	if b.Meta != nil {
		m.state.Meta = b.Meta
	}
}

func (m *model) truncate(from sm.Index) {
	m.entries = slices.DeleteFunc(slices.Clone(m.entries), func(e logstore.Entry) bool { return e.Index >= from })
}

func (m *model) prune(through sm.Index) {
	for len(m.entries) > 0 && m.entries[0].Index <= through {
		m.state.Pruned = sm.Cursor{Index: m.entries[0].Index, Term: m.entries[0].Term}
		m.entries = slices.Clone(m.entries[1:])
	}
}
