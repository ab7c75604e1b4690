package state

import (
	"fmt"
	"io"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

// freeze returns a view of the machine, or nil if the machine cannot freeze its state.
func freeze(m Machine) (view sm.View, err error) {
	f, ok := m.(FreezingMachine)
	if !ok {
		return nil, nil
	}
	if broken, stack := isolate.Call(func() { view, err = f.Freeze() }); broken != nil {
		return nil, &PanicError{Doing: "freeze", Value: broken, Stack: stack}
	}
	if err != nil {
		return nil, fmt.Errorf("freeze state machine: %w", err)
	}
	return view, nil
}

// frozenView is a view that later entries do not change. It has a copy of the data beside the
// machine.
type frozenView struct {
	machine sm.View
	header  format.Snapshot
}

// Snapshot implements [sm.View].
func (v *frozenView) Snapshot(w io.Writer) error {
	return writeSnapshot(w, &v.header, v.machine.Snapshot)
}

// Close implements [sm.View].
func (v *frozenView) Close() (err error) {
	if broken, stack := isolate.Call(func() { err = v.machine.Close() }); broken != nil {
		return &PanicError{Doing: "close snapshot", Value: broken, Stack: stack}
	}
	if err != nil {
		return fmt.Errorf("close view of state machine: %w", err)
	}
	return nil
}

// liveView is a view that reads the machine itself. The machine must not change before Close.
type liveView struct {
	state  *State
	header format.Snapshot
}

// Snapshot implements [sm.View].
func (v *liveView) Snapshot(w io.Writer) error {
	v.state.mu.RLock()
	defer v.state.mu.RUnlock()
	return writeSnapshot(w, &v.header, v.state.cfg.Machine.Snapshot)
}

// Close implements [sm.View].
func (v *liveView) Close() error { return nil }

// writeSnapshot writes a snapshot with the header. write writes the machine's part; a panic in it
// is returned as a [*PanicError].
func writeSnapshot(w io.Writer, header *format.Snapshot, write func(io.Writer) error) error {
	sw, err := format.NewSnapshotWriter(w, header)
	if err != nil {
		return err
	}
	if broken, stack := isolate.Call(func() { err = write(sw) }); broken != nil {
		return &PanicError{Doing: "snapshot", Value: broken, Stack: stack}
	}
	if err != nil {
		return fmt.Errorf("snapshot state machine: %w", err)
	}
	return sw.Close()
}
