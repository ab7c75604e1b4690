package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/mosaik-go/mosaik/sm"
)

// applier is a replica's state machine as dragonboat sees it. It applies entries to the user's
// state machine. dragonboat ends the process over every error that a method returns, except
// ErrSnapshotAborted and ErrSnapshotStopped of SaveSnapshot.
type applier struct {
	replica *Replica

	mu   sync.Mutex   // held during calls of user
	user StateMachine // nil once the replica is stopped
	load load
}

var _ statemachine.IStateMachine = (*applier)(nil)

// detach ends all calls of the user's state machine: none is in flight or begins once it has
// returned.
func (a *applier) detach() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.user = nil
}

// Update implements [statemachine.IStateMachine].
func (a *applier) Update(e statemachine.Entry) (statemachine.Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.user == nil || a.replica.isFenced() {
		return statemachine.Result{}, nil
	}
	defer a.isolate("apply")
	if err := a.user.Apply(Entry{
		Index: sm.Index(e.Index),
		Term:  a.replica.termOf(e.Index),
		Data:  e.Cmd,
	}); err != nil {
		a.replica.abandon(fmt.Errorf("engine: apply entry %d: %w", e.Index, err))
		return statemachine.Result{}, nil
	}
	if through, due := a.load.add(sm.Index(e.Index), len(e.Cmd)); due && a.user.CanSnapshot() {
		a.replica.report(snapshotDue{a.replica, through})
	}
	return statemachine.Result{}, nil
}

// isolate fences the replica when the user's state machine panics. It must be deferred.
func (a *applier) isolate(doing string) {
	if r := recover(); r != nil {
		a.replica.fail(fmt.Errorf("engine: %s: the machine panicked: %v", doing, r))
	}
}

// Lookup implements [statemachine.IStateMachine]. Reads use the user's state machine directly.
func (a *applier) Lookup(any) (any, error) { return nil, nil }

// SaveSnapshot implements [statemachine.IStateMachine].
func (a *applier) SaveSnapshot(w io.Writer, _ statemachine.ISnapshotFileCollection, _ <-chan struct{}) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.user == nil || a.replica.isFenced() {
		return statemachine.ErrSnapshotStopped
	}
	a.load.restart()
	if err := a.snapshot(w); err != nil {
		a.replica.report(snapshotFailed{fmt.Errorf("engine: write snapshot: %w", err)})
		return statemachine.ErrSnapshotAborted
	}
	if a.replica.durable == nil {
		a.replica.report(snapshotTaken{})
	}
	return nil
}

// snapshot turns a panic into an error: the state machine has not changed.
func (a *applier) snapshot(w io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the machine panicked: %v", r)
		}
	}()
	view, _, err := a.user.Freeze()
	if err != nil {
		return err
	}
	return errors.Join(view.Snapshot(w), view.Close())
}

// RecoverFromSnapshot implements [statemachine.IStateMachine]. If the user's state machine
// fails, it fences the replica and reports success: dragonboat continues after the snapshot in
// any case, and panics over a gap.
func (a *applier) RecoverFromSnapshot(r io.Reader, _ []statemachine.SnapshotFile, _ <-chan struct{}) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.user == nil || a.replica.isFenced() {
		return nil
	}
	a.load.last = 0 // dragonboat does not reveal the snapshot's index
	a.load.restart()
	defer a.isolate("restore snapshot")
	if err := a.user.Restore(r); err != nil {
		a.replica.abandon(fmt.Errorf("engine: restore snapshot: %w", err))
	}
	return nil
}

// Close implements [statemachine.IStateMachine].
func (a *applier) Close() error { return nil }
