package mosaik

import (
	"context"
	"sync/atomic"
)

// handle is the life of one [Group] value. A group ends on this member with its last handle.
type handle struct {
	closed atomic.Bool
	life   context.Context // ends when the handle is closed
	end    context.CancelFunc
}

func openHandle() *handle {
	h := &handle{}
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// close reports whether it was the first call.
func (h *handle) close() bool {
	if h.closed.Swap(true) {
		return false
	}
	h.end()
	return true
}

// bind returns a context that ends with ctx or when the handle is closed. The caller must call
// stop.
func (h *handle) bind(ctx context.Context) (_ context.Context, stop func()) {
	bound, cancel := context.WithCancel(ctx)
	unbind := context.AfterFunc(h.life, cancel)
	return bound, func() {
		unbind()
		cancel()
	}
}
