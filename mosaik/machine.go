package mosaik

import (
	"errors"
	"fmt"
	"io"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// machine is a user's machine with its types erased, for the state.
type machine[C any, M sm.StateMachine[C]] struct {
	machine M
	codec   codec.Codec[C]
}

// construct calls the user's constructor of machines.
func construct[M any](newMachine func() M) (m M, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the machine's constructor panicked: %v", v)
		}
	}()
	if m = newMachine(); isNil(m) {
		return m, errors.New("the machine's constructor returned nil")
	}
	return m, nil
}

// erase makes a fresh machine for the state.
func erase[C any, M sm.StateMachine[C]](newMachine func() M, codec codec.Codec[C]) (state.Machine, error) {
	m, err := construct(newMachine)
	if err != nil {
		return nil, err
	}
	return &machine[C, M]{machine: m, codec: codec}, nil
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
