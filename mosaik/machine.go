package mosaik

import (
	"errors"
	"fmt"
	"io"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// machine is a user's machine for the replicated state, which knows no command types.
type machine[C any, M sm.StateMachine[C]] struct {
	machine M
	levels  levels[C]
}

// guarded calls a function of the user and returns its panic as an error. what names it.
func guarded[T any](what string, f func() T) (v T, err error) {
	if broken, _ := isolate.Call(func() { v = f() }); broken != nil {
		return v, fmt.Errorf("%s panicked: %v", what, broken)
	}
	return v, nil
}

// construct calls the user's constructor of machines.
func construct[M any](newMachine func() M) (M, error) {
	m, err := guarded("the machine's constructor", newMachine)
	if err == nil && isNil(m) {
		err = errors.New("the machine's constructor returned nil")
	}
	return m, err
}

// erase makes a new machine for the replicated state.
func erase[C any, M sm.StateMachine[C]](newMachine func() M, spec sm.Spec[C]) (state.Machine, error) {
	m, err := construct(newMachine)
	if err != nil {
		return nil, err
	}
	erased := &machine[C, M]{machine: m, levels: levelsOf(spec)}
	if batch, ok := any(m).(sm.BatchApplier[C]); ok {
		return &batchMachine[C, M]{machine: erased, applier: batch}, nil
	}
	return erased, nil
}

// typed returns the user's machine.
func (m *machine[C, M]) typed() M { return m.machine }

// Apply implements [state.Machine].
func (m *machine[C, M]) Apply(at sm.ApplyContext, level uint32, cmd []byte) (result any, err error, ok bool) {
	c, err := m.levels.decode(cmd, level)
	if err != nil {
		return nil, err, false
	}
	result, err = m.machine.Apply(at, c)
	return result, err, true
}

// NameCommand implements [state.Namer].
func (m *machine[C, M]) NameCommand(level uint32, cmd []byte) string {
	c, err := m.levels.decode(cmd, level)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%T", c)
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

// Freeze implements [state.FreezingMachine].
func (m *machine[C, M]) Freeze() (sm.View, error) {
	f, ok := any(m.machine).(sm.Freezer)
	if !ok {
		return nil, nil
	}
	return f.Freeze()
}

// Restore implements [state.Machine].
func (m *machine[C, M]) Restore(r io.Reader) error {
	return any(m.machine).(sm.Snapshotter).Restore(r)
}

// batchMachine is a machine that applies the commands of a log entry in one call.
type batchMachine[C any, M sm.StateMachine[C]] struct {
	*machine[C, M]
	applier sm.BatchApplier[C]
	batch   []sm.Applying[C] // empty between batches; its memory is reused
}

// maxBatchKept bounds the memory that is kept for the next batch, in commands.
const maxBatchKept = 4096

// ApplyBatch implements [state.BatchMachine].
func (m *batchMachine[C, M]) ApplyBatch(info sm.ApplyInfo, level uint32, cmds format.Commands, results []state.Result) {
	batch := m.batch
	for i, cmd := range cmds.All() {
		c, err := m.levels.decode(cmd, level)
		switch {
		case err == nil:
			batch = append(batch, sm.Applying[C]{At: sm.NewApplyContext(info), Command: c})
		case results != nil:
			results[i].Err = state.Undecodable(err)
		}
		info.Index++
	}
	if len(batch) > 0 {
		m.applier.ApplyBatch(batch)
	}
	applied := 0
	for i := range results {
		if results[i].Err == nil {
			results[i] = state.Result{Value: batch[applied].Result, Err: batch[applied].Err}
			applied++
		}
	}
	clear(batch)
	if cap(batch) <= maxBatchKept {
		m.batch = batch[:0]
	}
}
