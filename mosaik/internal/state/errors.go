package state

import (
	"errors"
	"fmt"
)

// The texts have no prefix: package mosaik adds it once, with the call that failed.
var (
	// ErrInvalid is wrapped by the error of a call that fails every time.
	ErrInvalid = errors.New("invalid call")
	// ErrForming reports commands in a group that is not open yet. They were
	// not applied.
	ErrForming = errors.New("the group is still forming")
	// ErrSealed reports commands in an epoch that yields to another one, which
	// the members move to. They were not applied.
	ErrSealed = fmt.Errorf("%w: its epoch yields to another", ErrForming)
	// ErrLevel reports commands that were encoded at a level of the schema above
	// the group's. They were not applied.
	ErrLevel = errors.New("the command needs a higher level of the schema than the group has")
	// ErrUnknownSession reports an entry whose session is not in the table.
	// This copy of it was not applied.
	ErrUnknownSession = errors.New("unknown session")
	// ErrGap reports an entry whose predecessor in its session is missing. This
	// copy of it was not applied.
	ErrGap = errors.New("gap in session")
	// ErrUndecodable reports a command that the machine's codec rejects. It is the result of a
	// command, which the caller receives without further wrapping, so its text has the prefix.
	ErrUndecodable = errors.New("mosaik: command cannot be decoded")
	// ErrResultLost reports commands that were applied, but whose results this
	// replica does not know, because it caught up by a snapshot.
	ErrResultLost = errors.New("the command was applied, but its result is lost")
	// ErrOtherEpoch reports that the indices of commands count in another epoch.
	ErrOtherEpoch = errors.New("this member is in another epoch of the group")
	// ErrInApply reports that the machine's Apply called its own group. The call would block
	// until Apply returns, so nothing was done.
	ErrInApply = fmt.Errorf("%w: the machine's Apply calls its own group", ErrInvalid)
	// ErrNoSnapshot reports a machine that has no snapshots.
	ErrNoSnapshot = errors.New("machine has no snapshots")
)

// PanicError reports a query or a snapshot in which the machine panicked. Both
// only read, so the replica continues.
type PanicError struct {
	Doing string // "query" and its name, "freeze", "snapshot" or "close snapshot"
	Value any    // the value of the panic
	Stack []byte // as formatted by [runtime/debug.Stack]
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("state machine panicked: %s: %v", e.Doing, e.Value)
}

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
