package linear

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mosaik-go/mosaik/mosaik"
)

// History holds operations with inputs of type In and outputs of type Out, in the order in which
// they returned. The zero value is empty. Its methods may be called by several goroutines at the
// same time.
type History[In, Out any] struct {
	mu    sync.Mutex
	epoch time.Time // the time of the first call
	ops   []porcupine.Operation
}

// Output is what a client learned of an operation.
type Output[Out any] struct {
	Value Out
	// Err is the error with which the service declined the operation, or nil.
	Err error
	// Unknown reports that the client does not know whether the operation happened, or what
	// its output was: Value and Err mean nothing.
	Unknown bool
}

// Record calls do, which makes an operation with the input in, and records what it returned and
// when. Clients are numbered from 0. A client makes one operation at a time.
//
// What an error means is decided by [mosaik.OutcomeOf]. An operation that was not applied leaves
// the history. One whose outcome is unknown may happen at any later time, or never. One that was
// applied and returned an error has that error as its output.
func (h *History[In, Out]) Record(client int, in In, do func() (Out, error)) (Out, error) {
	called := h.now()
	value, err := do()
	returned := h.now()
	out := Output[Out]{Value: value, Err: err}
	switch outcome := mosaik.OutcomeOf(err); {
	case outcome == mosaik.NotApplied:
		return value, err
	case outcome == mosaik.Unknown:
		out, returned = Output[Out]{Unknown: true}, math.MaxInt64
	case errors.Is(err, mosaik.ErrResultLost):
		out = Output[Out]{Unknown: true}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: called, Output: out, Return: returned})
	return value, err
}

// now returns the time since the first call, by the monotonic clock.
func (h *History[In, Out]) now() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch.IsZero() {
		h.epoch = time.Now()
	}
	return int64(time.Since(h.epoch))
}

// Len returns the number of operations in the history.
func (h *History[In, Out]) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}
