package state

import "github.com/mosaik-go/mosaik/mosaik/internal/format"

// MaxSessions is the size of the session table. Members with different sizes would diverge, so it
// must not change.
const MaxSessions = 4096

// session is a row of the session table, in a list ordered by last use.
type session struct {
	format.Session
	older, newer *session
}

// sessions is the session table. The last use of a session is its last entry in the log, so all
// replicas drop the same sessions. State.mu guards it.
type sessions struct {
	byID           map[format.SessionID]*session
	oldest, newest *session
}

func newSessions() sessions { return sessions{byID: make(map[format.SessionID]*session)} }

// use returns a session and makes it the most recently used. It returns nil for an unknown id.
func (t *sessions) use(id format.SessionID, at uint64) *session {
	s := t.byID[id]
	if s == nil {
		return nil
	}
	s.Used = at
	if s != t.newest {
		t.unlink(s)
		t.link(s)
	}
	return s
}

// open adds a session, and drops the least recently used one of a full table. For a session that
// exists, open only counts as a use.
func (t *sessions) open(id format.SessionID, at uint64) {
	if t.use(id, at) != nil {
		return
	}
	if len(t.byID) >= MaxSessions {
		delete(t.byID, t.oldest.ID)
		t.unlink(t.oldest)
	}
	t.add(format.Session{ID: id, Used: at})
}

// add adds a session as the most recently used. Its id must be new.
func (t *sessions) add(line format.Session) {
	s := &session{Session: line}
	t.byID[line.ID] = s
	t.link(s)
}

// list returns the rows of the table, least recently used first.
func (t *sessions) list() []format.Session {
	lines := make([]format.Session, 0, len(t.byID))
	for s := t.oldest; s != nil; s = s.newer {
		lines = append(lines, s.Session)
	}
	return lines
}

func (t *sessions) link(s *session) {
	s.older, s.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = s
	} else {
		t.oldest = s
	}
	t.newest = s
}

func (t *sessions) unlink(s *session) {
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		t.oldest = s.newer
	}
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		t.newest = s.older
	}
}
