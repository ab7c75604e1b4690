package state

import "github.com/mosaik-go/mosaik/sm"

// raise applies a level entry: it raises the active level by one, or is void.
func (s *State) raise(n *news, at sm.Cursor, level uint32) {
	switch {
	case level != s.level+1:
	case level > s.cfg.Level:
		s.outdate(n, &OutdatedError{Found: level, Supported: s.cfg.Level, Entry: at})
	default:
		s.level, n.raised = level, level
	}
}

// unknown stops the replica at an entry, or a snapshot, of a format that only a
// newer program knows.
func (s *State) unknown(n *news, at sm.Cursor, err error) {
	s.outdate(n, &OutdatedError{Supported: s.cfg.Level, Entry: at, Err: err})
}

// outdate ends the state's use. What was applied stays as it is.
func (s *State) outdate(n *news, err *OutdatedError) {
	s.outdated, n.outdated = err, err
	s.noteWrites()
}

// noteWrites notes what Level and Writes return. Called with s.mu.
func (s *State) noteWrites() {
	s.active.Store(s.level)
	level := s.level
	if !s.open() || s.sealed || s.over() != nil {
		level = 0
	}
	s.writes.Store(level)
}
