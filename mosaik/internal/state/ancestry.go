package state

import (
	"bytes"
	"errors"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// ancestry is which epochs this one continues, and how far it has taken over
// what they hold.
//
// An epoch that continues another begins with an ancestor entry. The entries
// that follow, replays of the old log or parts of a snapshot, are numbered, so
// that one which was proposed twice is applied once. The open entry ends it;
// until then commands of its own are refused as not applied. [Heir] writes these
// entries.
type ancestry struct {
	epochs [][16]byte // oldest first
	next   uint64     // number of the next entry to be taken over, 0 when that is over
	parts  bytes.Buffer
}

var errInheriting = errors.New("the replica still takes over the state of the epoch before")

// open reports whether commands are let in.
func (s *State) open() bool { return s.opened && s.ancestry.next == 0 }

// descend begins to take over another epoch. An epoch can do so once, and only
// before it has a history of its own.
func (s *State) descend(n *news, e *format.Envelope) {
	if s.opened || s.commands > 0 || s.ancestry.next != 0 || e.Commands.Len() >= format.MaxAncestors {
		return
	}
	var epochs [][16]byte
	for _, epoch := range e.Commands.All() {
		if len(epoch) != len(e.Session) {
			return
		}
		epochs = append(epochs, [16]byte(epoch))
	}
	s.level = 1 // until what is taken over says otherwise
	s.ancestry.epochs = append(epochs, e.Session)
	s.ancestry.next = 1
	n.ancestors = s.ancestry.epochs
}

// takes reports whether the entry is the next to be taken over.
func (s *State) takes(e *format.Envelope) bool {
	if s.ancestry.next == 0 || e.Sequence != s.ancestry.next {
		return false
	}
	s.ancestry.next++
	return true
}

// replay applies entries of the epoch before as that epoch did.
func (s *State) replay(n *news, at sm.Cursor, e *format.Envelope) {
	if !s.takes(e) {
		return
	}
	for _, data := range e.Commands.All() {
		old, err := format.Parse(data)
		switch {
		case errors.Is(err, format.ErrVersion):
			s.unknown(n, at, err)
		case err != nil:
			// Was refused then as well.
		case old.Kind == format.KindOpen:
			s.opened = true
			s.raiseTokens(old.Sequence)
		case old.Kind == format.KindCommands:
			s.applyCommands(n, at, &old, s.opened)
		default:
			s.applyMark(n, at, &old)
		}
		if s.over() != nil {
			return
		}
	}
}

// inherit takes the next part of a snapshot of the epoch before; the empty part
// is the end.
func (s *State) inherit(n *news, at sm.Cursor, e *format.Envelope) {
	if !s.takes(e) {
		return
	}
	for _, part := range e.Commands.All() {
		if len(part) > 0 {
			s.ancestry.parts.Write(part)
			continue
		}
		own := ancestry{epochs: s.ancestry.epochs, next: s.ancestry.next}
		if err := s.load(n, &s.ancestry.parts); err != nil {
			s.fail(n, err)
			return
		}
		// What the snapshot says of its log is about another one.
		s.raft, s.ancestry = at, own
		n.opened, n.ancestors = false, nil
	}
}
