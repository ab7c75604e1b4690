package state

import (
	"bytes"
	"iter"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// Carryover builds the first entries of an epoch that continues another one. They carry over the
// state of the previous epoch, as a snapshot or as its log. It is not safe for concurrent use.
type Carryover struct {
	parent    [16]byte    // the previous epoch
	ancestors [][16]byte  // of the parent
	kind      format.Kind // of the entries: replay, or restore for a snapshot
	payloads  [][]byte    // the old entries, or the parts of the snapshot
	next      uint64      // number of the next replay entry of the parent's own carryover, 0 for none
	opened    bool        // AddEntry has seen the parent's open entry
	tokenBase uint64
}

// SetTokenBase sets the base that all fencing tokens of the new epoch exceed. Call it before
// [Carryover.Entries].
func (c *Carryover) SetTokenBase(base uint64) { c.tokenBase = base }

// carryoverEntrySize is the limit of the payload of one entry, in bytes. Only an entry that holds
// a single larger payload exceeds it.
const carryoverEntrySize = 1 << 20

// NewCarryover returns the carryover of an epoch whose replica has stopped. Add the content by
// one call of [Carryover.AddSnapshot], or by [Carryover.AddEntry] for each applied entry.
func NewCarryover(parent [16]byte, s *State) *Carryover {
	return &Carryover{parent: parent, ancestors: s.Status().Ancestors, kind: format.KindReplay}
}

// AddSnapshot adds the whole state as a snapshot. The machine must have snapshots.
func (c *Carryover) AddSnapshot(s *State) error {
	var b bytes.Buffer
	if err := s.Snapshot(&b); err != nil {
		return err
	}
	c.kind = format.KindRestore
	for b.Len() > 0 {
		c.payloads = append(c.payloads, b.Next(carryoverEntrySize))
	}
	c.payloads = append(c.payloads, nil) // ends the snapshot
	return nil
}

// AddEntry adds the next applied entry of the epoch's log, in the order of the log. It copies
// data. Replay entries of an earlier carryover are unpacked by the rules by which they were
// applied.
func (c *Carryover) AddEntry(data []byte) {
	e, err := format.Parse(data)
	switch {
	case err != nil:
	case e.Kind == format.KindAncestor:
		if c.next == 0 && !c.opened && len(c.payloads) == 0 {
			c.next = 1
		}
	case e.Kind == format.KindReplay:
		if c.next == 0 || e.Sequence != c.next {
			return
		}
		c.next++
		for _, old := range e.Commands.All() {
			c.payloads = append(c.payloads, bytes.Clone(old))
		}
	case e.Kind == format.KindOpen:
		c.opened, c.next = true, 0
		c.payloads = append(c.payloads, bytes.Clone(data))
	case e.Kind != format.KindSeal && e.Kind != format.KindRestore:
		c.payloads = append(c.payloads, bytes.Clone(data))
	}
}

// Entries yields the entries of the carryover. The caller proposes them in this order, each until
// it is applied. A second copy of an entry has no effect. The last entry is the open entry.
func (c *Carryover) Entries() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		entry := func(head format.Header, payloads [][]byte) bool {
			b := format.Begin(nil, head, nil, len(payloads))
			for _, p := range payloads {
				b = format.AppendCommand(b, p)
			}
			return yield(b)
		}
		var ancestors [][]byte
		for _, a := range c.ancestors {
			ancestors = append(ancestors, a[:])
		}
		if !entry(format.Header{Kind: format.KindAncestor, Session: c.parent}, ancestors) {
			return
		}
		number := uint64(0)
		for rest := c.payloads; len(rest) > 0; {
			n, size := 1, len(rest[0])
			for n < len(rest) && size+len(rest[n]) <= carryoverEntrySize {
				size += len(rest[n])
				n++
			}
			number++
			if !entry(format.Header{Kind: c.kind, Sequence: number}, rest[:n]) {
				return
			}
			rest = rest[n:]
		}
		entry(format.Header{Kind: format.KindOpen, Sequence: c.tokenBase}, nil)
	}
}
