package logstore

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

// diskStore is the log of all groups of a directory. What a group saves goes
// into the round that is forming; see [diskStore.commit].
type diskStore struct {
	cfg     diskConfig
	dir     string
	network sm.Digest

	mu      sync.Mutex
	groups  map[sm.Digest]*diskGroup
	numbers map[uint32]*diskGroup
	next    uint32        // the next number to give to a group
	users   int           // logs that are open
	limit   int           // what each of them remembers of its newest entries, in bytes
	forming *round        // what is written next, nil if it is nothing
	busy    bool          // somebody writes
	turn    chan struct{} // tells the one who waits to lead forming that busy is his
	spare   round         // buffers to use again
	failed  error         // why nothing can be written any more

	watchers map[*diskGroup]func(error) // whom to tell when failed is set

	// What follows belongs to the one who writes.
	wal     *wal.Log
	use     *usage
	cleaner cleaner
	room    []Entry // for parsing
}

// open returns the group's log, which is nobody else's until it is closed.
func (s *diskStore) open(id sm.Digest) (*diskGroup, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, s.failed
	}
	g := s.groups[id]
	if g == nil {
		g = newDiskGroup(id)
		s.groups[id] = g
	}
	if g.open {
		return nil, ErrOpen
	}
	g.open = true
	s.users++
	s.share(g)
	return g, nil
}

// unused returns the short ids of the groups that hold something and are not open.
func (s *diskStore) unused() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, g := range s.groups {
		if !g.open && !g.isEmpty() {
			ids = append(ids, id.Short())
		}
	}
	slices.Sort(ids)
	return ids
}

// leave takes back open.
func (s *diskStore) leave(g *diskGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.open = false
	delete(s.watchers, g)
	s.users--
	s.share(g)
}

// watch has tell called when nothing can be written any more, as long as g is open.
func (s *diskStore) watch(g *diskGroup, tell func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		tell(s.failed)
		return
	}
	s.watchers[g] = tell
}

// fail notes why nothing can be written any more, and tells those who have a log
// open: all must close theirs before the directory can be opened again. Called
// with s.mu.
func (s *diskStore) fail(err error) {
	if err == nil || s.failed != nil {
		return
	}
	s.failed = fmt.Errorf("logstore: the log in %s has failed: %w", s.dir, err)
	for _, tell := range s.watchers {
		tell(s.failed)
	}
	clear(s.watchers)
}

// share gives each open log its part of what is remembered, and others nothing,
// after changed was opened or closed.
func (s *diskStore) share(changed *diskGroup) {
	limit := max(tailMin, min(tailMax, tailBytes/max(s.users, 1)))
	if limit != s.limit {
		s.limit = limit
		for _, g := range s.groups {
			g.remember(limit)
		}
	}
	changed.remember(limit)
}

// numbered returns the group of a number, or nil.
func (s *diskStore) numbered(number uint32) *diskGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.numbers[number]
}

// append writes a frame, in a new segment if the last one is full.
func (s *diskStore) append(frame []byte) (wal.Place, []byte, error) {
	if s.wal.Full(len(frame)) {
		if err := s.rotate(); err != nil {
			return wal.Place{}, frame, err
		}
	}
	return s.wal.Append(frame)
}

// rotate begins a new segment.
func (s *diskStore) rotate() error { return s.wal.Rotate(s.states()) }

// states returns the payload of a segment's first frame. Groups that hold
// nothing and are not open lose their numbers.
func (s *diskStore) states() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := make([]byte, wal.FrameHead)
	for _, number := range slices.Sorted(maps.Keys(s.numbers)) {
		g := s.numbers[number]
		state, empty := g.logState()
		if empty && !g.open {
			delete(s.numbers, number)
			g.number, g.named = 0, false
			continue
		}
		frame = state.appendTo(frame)
	}
	return frame
}

// close writes what is left to write and closes the files.
func (s *diskStore) close() error {
	s.mu.Lock()
	r, failed := s.forming, s.failed
	s.forming = nil
	s.mu.Unlock()
	var err error
	if r != nil && failed == nil {
		s.run(r)
		err = r.err
	}
	if closed := s.wal.Close(); err == nil && failed == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("logstore: close %s: %w", s.dir, err)
	}
	return nil
}
