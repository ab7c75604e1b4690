package group

import (
	"bytes"
	"slices"
)

// maxPast bounds the earlier incarnations that are remembered of a peer.
const maxPast = 16

// succession is what a member remembers of the processes that had the identity of
// one peer. No two of them may take part at the same time, and an incarnation that
// another one followed must not vote again from an older log.
type succession struct {
	latest Tenure        // the one that was admitted last
	past   []Incarnation // that were admitted before it, the oldest first
	// rival is a process that was refused because the latest one may live, and
	// returned reports that the latest one bonded after that, so that it does.
	rival    Process
	returned bool
}

// standing is whether a process may bond.
type standing uint8

const (
	admitted   standing = iota
	waiting             // refused until the process before it was missed for the grace
	superseded          // refused for good
)

// judge decides about a process that bonds. missed reports whether the latest one
// has had no bond for longer than the grace.
//
// Within one directory the numbers of its starts order the processes. A new
// incarnation, which has never voted, follows a process without that directory at
// once if its clock says that it started later, and otherwise when that one was
// missed for the grace: clocks may be wrong. An incarnation that began in an earlier
// process continues it only where its directory shows no later one: otherwise its
// log may be an older copy. One of another directory, of which nothing is known
// here, was never superseded here and waits for the grace.
func (s *succession) judge(o Tenure, missed bool) standing {
	switch l := s.latest; {
	case l == (Tenure{}):
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

// note takes the standing of a process into account.
func (s *succession) note(o Tenure, now standing) {
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
		s.past = s.past[max(0, len(s.past)-maxPast):]
	}
	s.latest = o
}
