package logstore

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

// diskStore is the shared log of all groups in a directory. What a group saves becomes
// part of the next round; see [diskStore.commit].
type diskStore struct {
	cfg     diskConfig
	dir     string
	network sm.Digest

	// mu guards the fields up to watchers. It is taken before the mu of a group, and
	// never held during I/O.
	mu      sync.Mutex
	groups  map[sm.Digest]*diskGroup
	numbers map[uint32]*diskGroup // the groups by their numbers in the log
	next    uint32                // the highest number that was assigned
	users   int                   // how many logs are open
	limit   int                   // how many bytes of newest entries each open log keeps
	forming *round                // the next round, nil if it is empty
	busy    bool                  // a goroutine writes
	turn    chan struct{}         // hands busy to the leader of forming
	spare   round                 // buffers for the next round
	failed  error                 // the error after which nothing is written

	watchers map[*diskGroup]func(error) // called when failed is set

	// The fields below belong to the goroutine that set busy.
	wal     *wal.Log
	use     *usage
	cleaner cleaner
	room    []Entry // a buffer for parsing
}

// open opens the log of a group, which can be open once only.
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

// unused returns the short ids of the groups that are not open and have content.
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

// leave undoes open.
func (s *diskStore) leave(g *diskGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.open = false
	delete(s.watchers, g)
	s.users--
	s.share(g)
}

// watch registers a function that is called when the store fails while g is open.
func (s *diskStore) watch(g *diskGroup, report func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		report(s.failed)
		return
	}
	s.watchers[g] = report
}

// fail records the first error, after which nothing is written, and reports it to the
// users of open logs: all logs must be closed before the directory can be opened again.
// The caller holds s.mu.
func (s *diskStore) fail(err error) {
	if err == nil || s.failed != nil {
		return
	}
	s.failed = fmt.Errorf("logstore: the log in %s has failed: %w", s.dir, err)
	for _, report := range s.watchers {
		report(s.failed)
	}
	clear(s.watchers)
}

// share divides the memory for newest entries among the open logs, after changed was
// opened or closed. The caller holds s.mu.
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

// numbered returns the group with a number, or nil.
func (s *diskStore) numbered(number uint32) *diskGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.numbers[number]
}

// append writes a frame, to a new segment if the last one is full.
func (s *diskStore) append(frame []byte) (wal.Place, []byte, error) {
	if s.wal.Full(len(frame)) {
		if err := s.rotate(); err != nil {
			return wal.Place{}, frame, err
		}
	}
	return s.wal.Append(frame)
}

// rotate starts a new segment.
func (s *diskStore) rotate() error { return s.wal.Rotate(s.states()) }

// states returns the payload of a segment's first frame. Groups that are empty and not
// open lose their numbers.
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

// close writes the last round, if there is one, and closes the files.
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
