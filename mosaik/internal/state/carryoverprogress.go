package state

import (
	"bytes"
	"errors"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// carryoverProgress is how much of the carryover of the previous epoch a state has applied.
//
// An epoch that continues another begins with an ancestor entry. Replay or restore entries with
// the carryover follow. They are numbered, so an entry that was proposed twice is applied once.
// The open entry ends the carryover. Until then the commands of the new epoch are rejected.
// [Carryover] builds these entries.
type carryoverProgress struct {
	next     uint64       // number of the next replay or restore entry, 0 outside a carryover
	snapshot bytes.Buffer // the parts of the snapshot that were received so far
}

var errCarryover = errors.New("the replica is still applying the carryover of the previous epoch")

// acceptsCommands reports whether the epoch is open and its carryover is complete. The caller
// holds s.mu.
func (s *State) acceptsCommands() bool { return s.opened && s.carryover.next == 0 }

// beginCarryover applies an ancestor entry. It is void after the first command or open entry,
// because a carryover cannot be merged with commands of the epoch itself.
func (s *State) beginCarryover(c *changes, e *format.Envelope) {
	if s.opened || s.appliedIndex > 0 || s.carryover.next != 0 || e.Commands.Len() >= format.MaxAncestors {
		return
	}
	var epochs [][16]byte
	for _, epoch := range e.Commands.All() {
		if len(epoch) != len(e.Session) {
			return
		}
		epochs = append(epochs, [16]byte(epoch))
	}
	s.level = 1 // until the carryover raises it
	s.ancestors = append(epochs, e.Session)
	s.carryover.next = 1
	c.ancestors = s.ancestors
}

// nextInCarryover reports whether the entry is the next one of the carryover, and counts it.
func (s *State) nextInCarryover(e *format.Envelope) bool {
	if s.carryover.next == 0 || e.Sequence != s.carryover.next {
		return false
	}
	s.carryover.next++
	return true
}

// applyReplay applies entries of the previous epoch by the rules of that epoch.
func (s *State) applyReplay(c *changes, at sm.Cursor, e *format.Envelope) {
	if !s.nextInCarryover(e) {
		return
	}
	for _, data := range e.Commands.All() {
		old, err := format.Parse(data)
		switch {
		case errors.Is(err, format.ErrVersion):
			s.stopAtUnknownFormat(c, at, err)
		case err != nil:
			// The previous epoch rejected the damaged entry as well.
		case old.Kind == format.KindOpen:
			s.opened = true
			s.raiseTokens(old.Sequence)
		case old.Kind == format.KindCommands:
			s.applyCommands(c, at, &old, s.opened)
		default:
			s.applyMetadata(c, at, &old)
		}
		if s.stopCause() != nil {
			return
		}
	}
}

// applyRestore collects the parts of a snapshot of the previous epoch, and restores the snapshot
// at the empty part that ends it.
func (s *State) applyRestore(c *changes, at sm.Cursor, e *format.Envelope) {
	if !s.nextInCarryover(e) {
		return
	}
	for _, part := range e.Commands.All() {
		if len(part) > 0 {
			s.carryover.snapshot.Write(part)
			continue
		}
		ancestors, next := s.ancestors, s.carryover.next
		if err := s.load(c, &s.carryover.snapshot); err != nil {
			s.stopFailedRestore(c, err)
			return
		}
		// The position and the ancestors in the snapshot are those of the previous epoch.
		s.raft, s.ancestors, s.carryover = at, ancestors, carryoverProgress{next: next}
		c.opened, c.ancestors = false, nil
	}
}
