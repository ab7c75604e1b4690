package testutil

import (
	"io"
	"sync"
	"testing"
)

// journal writes to the log of a test while the test runs. A later write, at which a
// test's log panics, does nothing.
type journal struct {
	mu  sync.Mutex
	out io.Writer
}

func newJournal(t testing.TB) *journal { return &journal{out: t.Output()} }

// Write implements [io.Writer].
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.out.Write(b)
}

// end discards all later writes.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.out = io.Discard
}
