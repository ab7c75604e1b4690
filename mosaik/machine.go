package mosaik

import (
	"io"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

// machine is a user's machine with its types erased, for the state.
type machine[C any, M sm.StateMachine[C]] struct {
	machine M
	codec   codec.Codec[C]
}

// Apply implements [state.Machine].
func (m *machine[C, M]) Apply(at sm.ApplyContext, cmd []byte) (result any, err error, ok bool) {
	c, err := m.codec.Decode(cmd)
	if err != nil {
		return nil, err, false
	}
	result, err = m.machine.Apply(at, c)
	return result, err, true
}

// CanSnapshot implements [state.Machine].
func (m *machine[C, M]) CanSnapshot() bool {
	_, ok := any(m.machine).(sm.Snapshotter)
	return ok
}

// Snapshot implements [state.Machine].
func (m *machine[C, M]) Snapshot(w io.Writer) error {
	return any(m.machine).(sm.Snapshotter).Snapshot(w)
}

// Restore implements [state.Machine].
func (m *machine[C, M]) Restore(r io.Reader) error {
	return any(m.machine).(sm.Snapshotter).Restore(r)
}
