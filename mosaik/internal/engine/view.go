package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// patience is how long a worker of dragonboat waits for a machine that shows no progress. Two
// workers take the snapshots of all replicas. A snapshot that is given up is tried again later.
type patience struct {
	freeze time.Duration // for the next task of the queue in which the freeze waits
	write  time.Duration // for the next write of a view
}

// defaultPatience leaves time for one long command, and for a machine that sorts its keys before
// it writes the first of them.
var defaultPatience = patience{freeze: 10 * time.Second, write: time.Minute}

var (
	errNotFrozen    = errors.New("the machine did not finish an earlier command in time")
	errViewStalled  = errors.New("the machine stopped writing")
	errSuperseded   = errors.New("a received snapshot supersedes it")
	errViewNotEnded = errors.New("the machine has not finished the previous snapshot")
	errViewEnded    = errors.New("engine: write snapshot: dragonboat no longer takes it")
)

// saving is one snapshot that dragonboat takes. PrepareSnapshot queues the freeze behind all
// entries that dragonboat counts as applied, so the view holds exactly these. SaveSnapshot waits
// for the view and writes it.
type saving struct {
	open   *atomic.Int32 // counts the views of the replica that are not closed
	ready  chan struct{} // closed when view or err is set
	closed chan struct{} // closed when the view is closed

	mu     sync.Mutex
	isOver bool    // SaveSnapshot does not wait for the view
	view   sm.View // nil before it is offered and after it is taken
	err    error   // why there is no view
}

func newSaving(open *atomic.Int32) *saving {
	return &saving{open: open, ready: make(chan struct{}), closed: make(chan struct{})}
}

// over reports whether the snapshot was given up.
func (s *saving) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isOver
}

// offer makes a view available to SaveSnapshot, or the reason why there is none: view is nil then.
func (s *saving) offer(view sm.View, err error) {
	if view != nil {
		s.open.Add(1)
	}
	s.mu.Lock()
	if s.isOver {
		s.mu.Unlock()
		s.release(view)
		return
	}
	s.view, s.err = view, err
	close(s.ready)
	s.mu.Unlock()
}

// take returns the view, which the caller must release. It is called once ready is closed.
func (s *saving) take() (sm.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	view := s.view
	s.view = nil
	return view, s.err
}

// giveUp ends the snapshot. A view that was not taken is released.
func (s *saving) giveUp() {
	s.mu.Lock()
	view := s.view
	s.view, s.isOver = nil, true
	s.mu.Unlock()
	s.release(view)
}

// release closes a view unless it is nil.
func (s *saving) release(view sm.View) error {
	if view == nil {
		return nil
	}
	defer close(s.closed)
	defer s.open.Add(-1)
	return guarded(view.Close)
}

// guarded turns a panic of the user's state machine into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the machine panicked: %v", r)
		}
	}()
	return f()
}

// output is the writer of a view. It outlives the call of SaveSnapshot, whose own writer must not
// be used after that.
type output struct {
	mu    sync.Mutex
	w     io.Writer // nil once the snapshot was given up
	wrote uint64    // how many writes it has accepted
}

// Write implements [io.Writer].
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.w == nil {
		return 0, errViewEnded
	}
	o.wrote++
	return o.w.Write(b)
}

// cut makes all later writes fail.
func (o *output) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = nil
}

// writes returns how many writes the output has accepted.
func (o *output) writes() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.wrote
}

// awaitProgress waits for done. It returns false once progress has not changed for a whole limit,
// or if stop is closed first.
func awaitProgress(done, stop <-chan struct{}, limit time.Duration, progress func() uint64) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for last := progress(); ; {
		select {
		case <-done:
			return true
		case <-stop:
			return false
		case <-timer.C:
		}
		now := progress()
		if now == last {
			return false
		}
		last = now
		timer.Reset(limit)
	}
}
