package state

import (
	"context"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
)

// readers lets queries wait for an Apply only as long as their contexts last, because an Apply may
// never return. All waiting queries share one read lock of State.mu, so they need one goroutine
// and not one each. Lock order: State.mu before readers.mu.
type readers struct {
	mu      sync.Mutex
	waiting *sharedLock // that later queries may join; nil for none
}

// sharedLock is a read lock that several queries share. readers.mu guards its fields.
type sharedLock struct {
	held    chan struct{} // closed when the lock is held
	isHeld  bool
	queries int // number of queries that wait or run
}

// await blocks until lock is held for reading, or ctx ends. After success the caller must call
// release once.
func (r *readers) await(ctx context.Context, lock *sync.RWMutex) (release func(), err error) {
	r.mu.Lock()
	h := r.waiting
	if h == nil {
		h = &sharedLock{held: make(chan struct{})}
		r.waiting = h
		go r.acquire(h, lock)
	}
	h.queries++
	r.mu.Unlock()
	select {
	case <-h.held:
		return func() { r.release(h, lock) }, nil
	case <-ctx.Done():
		r.release(h, lock)
		return nil, watch.Cause(ctx)
	}
}

// acquire takes the lock for the waiting queries. Queries that arrive later wait for another shared
// lock, so they cannot starve an Apply. acquire returns when the current Apply does.
func (r *readers) acquire(h *sharedLock, lock *sync.RWMutex) {
	lock.RLock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting, h.isHeld = nil, true
	close(h.held)
	if h.queries == 0 {
		lock.RUnlock()
	}
}

// release ends the use of h by one query. The last query unlocks lock.
func (r *readers) release(h *sharedLock, lock *sync.RWMutex) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.queries--; h.queries == 0 && h.isHeld {
		lock.RUnlock()
	}
}
