package sm

import (
	"cmp"
	"fmt"
)

// Index is a position in a log, counted from 1. Index 0 is before the first entry.
//
// The index of a command, which [ApplyContext.Index] and every public call report,
// counts only commands: the n-th command of a group has index n. Raft's own indices,
// which storages see, also count elections and membership changes.
type Index uint64

// Term is a Raft term. Every election raises it by at least one. Term 0 is before the
// first election.
type Term uint64

// Cursor is the index of an entry and the term in which it was written.
type Cursor struct {
	Term  Term
	Index Index
}

// Compare compares cursors by term, then by index. It returns -1, 0 or +1.
func (c Cursor) Compare(o Cursor) int {
	return cmp.Or(cmp.Compare(c.Term, o.Term), cmp.Compare(c.Index, o.Index))
}

// String returns the cursor as term and index: "t3/i17".
func (c Cursor) String() string { return fmt.Sprintf("t%d/i%d", c.Term, c.Index) }
