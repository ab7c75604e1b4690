package engine

import (
	"fmt"
	"io"
	"sync"

	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/mosaik-go/mosaik/sm"
)

// machine is a replica's state machine as dragonboat sees it. Any error that
// it returned would end the process, except ErrSnapshotAborted and
// ErrSnapshotStopped from SaveSnapshot.
type machine struct {
	replica *Replica

	mu   sync.Mutex
	user StateMachine // nil once the replica is stopped
	load load
}

var _ statemachine.IStateMachine = (*machine)(nil)

// detach ends all calls of the user's machine: none runs or begins once it
// returned.
func (m *machine) detach() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.user = nil
}

// Update implements [statemachine.IStateMachine].
func (m *machine) Update(e statemachine.Entry) (statemachine.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.user == nil || m.replica.muted() {
		return statemachine.Result{}, nil
	}
	defer m.guard("apply")
	if err := m.user.Apply(Entry{
		Index: sm.Index(e.Index),
		Term:  m.replica.termOf(e.Index),
		Data:  e.Cmd,
	}); err != nil {
		m.replica.abandon(fmt.Errorf("engine: apply entry %d: %w", e.Index, err))
		return statemachine.Result{}, nil
	}
	if through, due := m.load.add(sm.Index(e.Index), len(e.Cmd)); due && m.user.CanSnapshot() {
		m.replica.report(snapshotDue{m.replica, through})
	}
	return statemachine.Result{}, nil
}

// guard mutes the replica when the user's machine panics.
func (m *machine) guard(doing string) {
	if r := recover(); r != nil {
		m.replica.fail(fmt.Errorf("engine: %s: the machine panicked: %v", doing, r))
	}
}

// Lookup implements [statemachine.IStateMachine]. Reads go to the user's
// machine, not through dragonboat.
func (m *machine) Lookup(any) (any, error) { return nil, nil }

// SaveSnapshot implements [statemachine.IStateMachine].
func (m *machine) SaveSnapshot(w io.Writer, _ statemachine.ISnapshotFileCollection, _ <-chan struct{}) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.user == nil || m.replica.muted() {
		return statemachine.ErrSnapshotStopped
	}
	m.load.restart()
	if err := m.snapshot(w); err != nil {
		m.replica.report(snapshotFailed{fmt.Errorf("engine: write snapshot: %w", err)})
		return statemachine.ErrSnapshotAborted
	}
	if m.replica.durable == nil {
		m.replica.report(snapshotTaken{})
	}
	return nil
}

// snapshot makes an error of a panic: nothing was changed.
func (m *machine) snapshot(w io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the machine panicked: %v", r)
		}
	}()
	return m.user.Snapshot(w)
}

// RecoverFromSnapshot implements [statemachine.IStateMachine]. When the user's
// machine fails it mutes the replica and reports success: dragonboat goes on
// behind the snapshot in any case, and panics where it finds a gap.
func (m *machine) RecoverFromSnapshot(r io.Reader, _ []statemachine.SnapshotFile, _ <-chan struct{}) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.user == nil || m.replica.muted() {
		return nil
	}
	m.load.last = 0 // it is not told
	m.load.restart()
	defer m.guard("restore snapshot")
	if err := m.user.Restore(r); err != nil {
		m.replica.abandon(fmt.Errorf("engine: restore snapshot: %w", err))
	}
	return nil
}

// Close implements [statemachine.IStateMachine].
func (m *machine) Close() error { return nil }
