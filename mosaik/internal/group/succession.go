package group

import (
	"bytes"
	"slices"
)

// maxPastIncarnations is the limit of earlier incarnations that are remembered of a peer.
const maxPastIncarnations = 16

// succession is the record of the processes that had the identity of one peer. At most one of
// them may take part, and an incarnation that another one followed must not vote again from an
// older log.
type succession struct {
	latest ProcessInfo   // the process that was admitted last
	past   []Incarnation // admitted before it, the oldest first
	// rival is a process that was refused because the latest one may be alive. returned
	// reports that the latest one bonded after that, which proves that it is.
	rival    Process
	returned bool
}

// standing is the decision whether a process may bond.
type standing uint8

const (
	admitted   standing = iota
	waiting             // refused until the previous process has been missing for the grace
	superseded          // refused for good
)

// judge decides about a process that bonds. missed reports whether the latest process has had
// no bond for longer than the grace.
//
// Within one directory, the numbers of its starts order the processes. A new incarnation has
// never voted. It follows a process without that directory at once if it started later by its
// clock. Otherwise it waits until that process has been missing for the grace, because clocks
// may be wrong. An incarnation that began in an earlier process continues it only if no later
// process of its directory is known: otherwise its log may be an older copy. An incarnation of
// another directory, about which nothing is known here, waits for the grace.
func (s *succession) judge(o ProcessInfo, missed bool) standing {
	switch l := s.latest; {
	case l == (ProcessInfo{}):
		return admitted
	case o.Process == l.Process:
		if o.Incarnation.Compare(l.Incarnation) < 0 {
			return superseded
		}
		return admitted
	case o.Incarnation == l.Incarnation:
		if o.Process.start() > l.Process.start() {
			return admitted
		}
		return superseded
	case o.resumes() && slices.Contains(s.past, o.Incarnation):
		return superseded
	case o.Directory == l.Directory && o.Directory != (Directory{}):
		theirs, ours := orderOf(o.Incarnation), orderOf(l.Incarnation)
		switch {
		case o.resumes() && bytes.Compare(theirs[:], ours[:]) > 0, !o.resumes() && o.Process.start() > l.Process.start():
			return admitted
		case o.resumes():
			return superseded
		}
	case !o.resumes() && o.Started > l.Started:
		return admitted
	}
	switch {
	case missed:
		return admitted
	case s.rival == o.Process && s.returned:
		return superseded
	}
	return waiting
}

// note records a process and its standing.
func (s *succession) note(o ProcessInfo, now standing) {
	switch l := s.latest; {
	case now == waiting:
		if s.rival != o.Process {
			s.rival, s.returned = o.Process, false
		}
		return
	case now == superseded:
		return
	case o.Process == l.Process:
		s.returned = s.rival != (Process{})
	default:
		s.rival, s.returned = Process{}, false
	}
	if l := s.latest.Incarnation; l != o.Incarnation && l != (Incarnation{}) {
		s.past = append(s.past, l)
		s.past = s.past[max(0, len(s.past)-maxPastIncarnations):]
	}
	s.latest = o
}
