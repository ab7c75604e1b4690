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

	mu    sync.Mutex
	timer *time.Timer // nil before the first save
	began time.Time   // when the save under way began, zero for none
	hangs bool        // that was told of it
}

// Save implements [logstore.Log].
func (s *slowLog) Save(b logstore.Batch) error {
	s.begin()
	defer s.end()
	return s.Log.Save(b)
}

func (s *slowLog) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limit, s.late)
	} else {
		s.timer.Reset(s.limit)
	}
}

// late runs when the timer fires, perhaps for a save that is over.
func (s *slowLog) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.began.IsZero() && time.Since(s.began) >= s.limit && !s.hangs {
		s.hangs = true
		s.tell(logHangs{true})
	}
}

func (s *slowLog) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Time{}
	s.timer.Stop()
	if s.hangs {
		s.hangs = false
		s.tell(logHangs{false})
	}
}
