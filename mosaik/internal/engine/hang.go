package engine

import (
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
)

// A disk that hangs holds up the worker of dragonboat that saves, and with it
// all that the replica would say: a leader sends no heartbeats, and the others
// replace it. What it can't do meanwhile is learn of that. So the log's owner is
// told when a save takes as long as an election, and when it is over.

// slowLog is a log that tells when a save takes long.
type slowLog struct {
	logstore.Log
	limit time.Duration
	tell  func(event)

	mu      sync.Mutex
	began   time.Time // when the save under way began, zero for none
	awaited bool      // somebody will look at it
	hangs   bool      // that was told of it
}

// Save implements [logstore.Log].
func (s *slowLog) Save(b logstore.Batch) error {
	s.begin()
	defer s.end()
	return s.Log.Save(b)
}

// begin has somebody look at the save after the limit. Most saves take much less
// than that: a look that is due serves for those that follow, too.
func (s *slowLog) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
	s.look(s.limit)
}

func (s *slowLog) look(after time.Duration) {
	if !s.awaited {
		s.awaited = true
		time.AfterFunc(after, s.late)
	}
}

// late looks at the save under way.
func (s *slowLog) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited = false
	switch left := s.limit - time.Since(s.began); {
	case s.began.IsZero() || s.hangs:
	case left > 0:
		s.look(left)
	default:
		s.hangs = true
		s.tell(logHangs{true})
	}
}

func (s *slowLog) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Time{}
	if s.hangs {
		s.hangs = false
		s.tell(logHangs{false})
	}
}
