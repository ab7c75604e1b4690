package state

import (
	"bytes"
	"iter"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// Heir makes the first entries of an epoch that continues another: what the
// other held, as a snapshot or as its log.
type Heir struct {
	parent    [16]byte
	ancestors [][16]byte // of the parent
	kind      format.Kind
	payloads  [][]byte
	next      uint64 // of the replays that the parent's log itself holds
	opened    bool
	tokens    uint64
}

// SetTokenBase sets what the new epoch's fencing tokens are above. It is called
// before [Heir.Entries].
func (h *Heir) SetTokenBase(base uint64) { h.tokens = base }

// heirPart is how many bytes go into one entry, unless a single old entry is
// larger.
const heirPart = 1 << 20

// NewHeir returns the heir of an epoch whose replica has stopped. What its state
// and log hold is added by [Heir.AddSnapshot] or [Heir.AddEntry].
func NewHeir(parent [16]byte, s *State) *Heir {
	return &Heir{parent: parent, ancestors: s.Status().Ancestors, kind: format.KindReplay}
}

// AddSnapshot adds the whole state of a replica that can be snapshotted.
func (h *Heir) AddSnapshot(s *State) error {
	var b bytes.Buffer
	if err := s.Snapshot(&b); err != nil {
		return err
	}
	h.kind = format.KindRestore
	for b.Len() > 0 {
		h.payloads = append(h.payloads, b.Next(heirPart))
	}
	h.payloads = append(h.payloads, nil) // the end
	return nil
}

// AddEntry adds the next applied entry of the epoch's log. What that epoch took
// over itself is unpacked, by the rules by which it was applied.
func (h *Heir) AddEntry(data []byte) {
	e, err := format.Parse(data)
	switch {
	case err != nil:
	case e.Kind == format.KindAncestor:
		if h.next == 0 && !h.opened && len(h.payloads) == 0 {
			h.next = 1
		}
	case e.Kind == format.KindReplay:
		if h.next == 0 || e.Sequence != h.next {
			return
		}
		h.next++
		for _, old := range e.Commands.All() {
			h.payloads = append(h.payloads, bytes.Clone(old))
		}
	case e.Kind == format.KindOpen:
		h.opened, h.next = true, 0
		h.payloads = append(h.payloads, bytes.Clone(data))
	case e.Kind != format.KindSeal && e.Kind != format.KindRestore:
		h.payloads = append(h.payloads, bytes.Clone(data))
	}
}

// Entries yields what is to be proposed, in this order, until each was applied;
// doing so again is harmless. The last is the open entry.
func (h *Heir) Entries() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		entry := func(head format.Header, payloads [][]byte) bool {
			b := format.Begin(nil, head, nil, len(payloads))
			for _, p := range payloads {
				b = format.AppendCommand(b, p)
			}
			return yield(b)
		}
		var ancestors [][]byte
		for _, a := range h.ancestors {
			ancestors = append(ancestors, a[:])
		}
		if !entry(format.Header{Kind: format.KindAncestor, Session: h.parent}, ancestors) {
			return
		}
		number := uint64(0)
		for rest := h.payloads; len(rest) > 0; {
			n, size := 1, len(rest[0])
			for n < len(rest) && size+len(rest[n]) <= heirPart {
				size += len(rest[n])
				n++
			}
			number++
			if !entry(format.Header{Kind: h.kind, Sequence: number}, rest[:n]) {
				return
			}
			rest = rest[n:]
		}
		entry(format.Header{Kind: format.KindOpen, Sequence: h.tokens}, nil)
	}
}
