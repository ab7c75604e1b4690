package engine

import (
	"io"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

// hold stops calls of a machine until the test lets them go.
type hold struct {
	entered  chan struct{} // receives a value when a call begins
	released chan struct{} // closed by release
	once     sync.Once
}

func newHold() *hold {
	return &hold{entered: make(chan struct{}, 100), released: make(chan struct{})}
}

// enter stops the caller unless h is nil.
func (h *hold) enter() {
	if h == nil {
		return
	}
	select {
	case h.entered <- struct{}{}:
	default:
	}
	<-h.released
}

// release lets all calls go.
func (h *hold) release() { h.once.Do(func() { close(h.released) }) }

// await waits until a call is held.
func (h *hold) await(t testing.TB) {
	t.Helper()
	select {
	case <-h.entered:
	case <-enginetest.Within(t).Done():
		t.Fatal("no call was made in time")
	}
}

// held is a recorder whose calls can be held. Its views are concurrent unless pauses is true.
type held struct {
	*recorder
	pauses   bool
	applies  map[string]*hold // by command
	writes   *hold            // each view, before it writes
	restores *hold
}

func (h *held) Apply(e Entry) error {
	h.applies[string(e.Data)].enter()
	return h.recorder.Apply(e)
}

func (h *held) Freeze() (sm.View, bool, error) {
	if h.pauses {
		return &heldView{from: h}, false, nil
	}
	return &heldView{h, h.entries()}, true, nil
}

func (h *held) Restore(r io.Reader) error {
	h.restores.enter()
	return h.recorder.Restore(r)
}

// heldView is a view of a held.
type heldView struct {
	from    *held
	entries []Entry // nil: those at the time of Snapshot
}

func (v *heldView) Snapshot(w io.Writer) error {
	v.from.writes.enter()
	entries := v.entries
	if v.from.pauses {
		entries = v.from.entries()
	}
	if err := writeEntries(w, entries); err != nil {
		return err
	}
	v.from.update(func() { v.from.snapshots++ })
	return nil
}

func (v *heldView) Close() error { return nil }
