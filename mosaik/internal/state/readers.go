package state

import (
	"context"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
)

// readers lets queries wait for an Apply without outliving their contexts, which the lock
// of the state alone would not: an Apply may never return. All queries that wait share one
// hold of the lock, which one goroutine waits for.
type readers struct {
	mu      sync.Mutex
	waiting *hold // nil while none wait
}

// hold is a hold of the lock that several queries share. Its fields are guarded by
// readers.mu.
type hold struct {
	held    chan struct{} // closed when the lock is held
	isHeld  bool
	queries int // that wait or run
}

// await waits until the lock is held for reading, or ctx ends. The caller must call the
// release that it returns.
func (r *readers) await(ctx context.Context, lock *sync.RWMutex) (release func(), err error) {
	r.mu.Lock()
	h := r.waiting
	if h == nil {
		h = &hold{held: make(chan struct{})}
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

// acquire takes the lock for the queries that wait. Later ones wait for another hold, so
// that an Apply gets its turn. It ends when the Apply does that it waits for.
func (r *readers) acquire(h *hold, lock *sync.RWMutex) {
	lock.RLock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting, h.isHeld = nil, true
	close(h.held)
	if h.queries == 0 {
		lock.RUnlock()
	}
}

// release ends a query's part in a hold. The last one gives the lock back.
func (r *readers) release(h *hold, lock *sync.RWMutex) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.queries--; h.queries == 0 && h.isHeld {
		lock.RUnlock()
	}
}
