package state

import (
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// applyLevel applies a level entry. It raises the active level by one, stops a state whose machine
// does not support the next level, and ignores any other entry.
func (s *State) applyLevel(c *changes, at sm.Cursor, level uint32) {
	switch {
	case level != s.level+1:
	case level > s.cfg.Level:
		s.stopOutdated(c, &consensus.OutdatedError{Found: level, Supported: s.cfg.Level, Entry: at})
	default:
		s.level, c.raised = level, level
	}
}

// stopAtUnknownFormat stops the state at an entry whose format only a newer program knows.
func (s *State) stopAtUnknownFormat(c *changes, at sm.Cursor, err error) {
	s.stopOutdated(c, &consensus.OutdatedError{Supported: s.cfg.Level, Entry: at, Err: err})
}

// stopOutdated stops the state because a newer program is needed. The state so far remains valid.
// The caller holds s.mu.
func (s *State) stopOutdated(c *changes, err *consensus.OutdatedError) {
	s.outdated, c.outdated = err, err
	s.publishLevels()
}

// publishLevels updates what Level and EncodingLevel return without a lock. The caller holds s.mu.
func (s *State) publishLevels() {
	s.activeLevel.Store(s.level)
	level := s.level
	if !s.acceptsCommands() || s.sealed || s.stopCause() != nil {
		level = 0
	}
	s.encodingLevel.Store(level)
}
