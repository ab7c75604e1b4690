// Package watch holds values that goroutines can wait for.
package watch

import (
	"context"
	"iter"
	"sync"
)

// Value holds a T and wakes the goroutines that wait for it to change. Its methods may be
// called concurrently. Make one with [New].
type Value[T any] struct {
	mu      sync.Mutex
	value   T
	version uint64        // counts changes
	changed chan struct{} // closed at the next change; nil while no goroutine waits
	err     error         // from End, nil before it
}

// New returns a Value that holds v.
func New[T any](v T) *Value[T] {
	return &Value[T]{value: v}
}

// Get returns the current value.
func (w *Value[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.value
}

// Set replaces the value and wakes the waiters. After End it does nothing.
func (w *Value[T]) Set(v T) {
	w.Update(func(T) (T, bool) { return v, true })
}

// Update replaces the value by the first result of f, unless the second is false. After End
// it does nothing. f runs under the value's lock: it must be short and must not call the
// Value.
func (w *Value[T]) Update(f func(T) (T, bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	v, ok := f(w.value)
	if !ok {
		return
	}
	w.value = v
	w.version++
	w.wake()
}

// End makes every present and future wait return err, which must not be nil. The last value
// remains readable. Only the first call counts.
func (w *Value[T]) End(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		w.wake()
	}
}

// wake wakes the goroutines that wait. The caller holds the lock.
func (w *Value[T]) wake() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// Wait returns the first value, the current one included, for which ok is true. If ctx ends
// first it returns the last value and [Cause] of ctx; if the value ends first, the last value
// and the error of End. A current value for which ok is true takes precedence over both. ok
// runs without the lock. Wait may skip values that are replaced at once.
func (w *Value[T]) Wait(ctx context.Context, ok func(T) bool) (T, error) {
	for {
		v, _, changed, err := w.state()
		if ok(v) {
			return v, nil
		}
		if err != nil {
			return v, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return v, Cause(ctx)
		}
	}
}

// Changed returns a channel that is closed when the value changes or ends. It is closed
// already if the value has ended.
func (w *Value[T]) Changed() <-chan struct{} {
	_, _, changed, err := w.state()
	if err != nil {
		ended := make(chan struct{})
		close(ended)
		return ended
	}
	return changed
}

// All yields the current value, then each later one. A slow consumer skips values but never
// the latest one. The sequence ends when ctx or the value does.
func (w *Value[T]) All(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		var seen uint64
		for first := true; ; first = false {
			v, version, changed, err := w.state()
			if (first || version != seen) && !yield(v) {
				return
			}
			seen = version
			if err != nil {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// state returns the fields and makes sure that changed is not nil.
func (w *Value[T]) state() (T, uint64, <-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.value, w.version, w.changed, w.err
}
