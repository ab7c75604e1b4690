package state

import (
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// Texts have no prefix: package mosaik adds it once, with the call that failed.
var (
	// ErrInvalid is what errors of calls are that fail however often they are made.
	ErrInvalid = errors.New("invalid call")
	// ErrForming reports commands in a group that is not open yet. They were
	// not applied.
	ErrForming = errors.New("the group is still forming")
	// ErrSealed reports commands in an epoch that yields to another one, which
	// the members move to. They were not applied.
	ErrSealed = fmt.Errorf("%w: its epoch yields to another", ErrForming)
	// ErrPoisoned is what every [PoisonedError] is.
	ErrPoisoned = consensus.ErrPoisoned
	// ErrLevel reports commands that were encoded at a level of the schema above
	// the group's. They were not applied.
	ErrLevel = errors.New("the command needs a higher level of the schema than the group has")
	// ErrOutdated is what every [OutdatedError] is.
	ErrOutdated = consensus.ErrOutdated
	// ErrUnknownSession reports an entry whose session is not in the table.
	// This copy of it was not applied.
	ErrUnknownSession = errors.New("unknown session")
	// ErrGap reports an entry whose predecessor in its session is missing. This
	// copy of it was not applied.
	ErrGap = errors.New("gap in session")
	// ErrUndecodable reports a command that the machine's codec refuses. It is a result, which
	// nothing wraps, and has the prefix.
	ErrUndecodable = errors.New("mosaik: command cannot be decoded")
	// ErrResultLost reports commands that were applied, but whose results this
	// replica does not know, because it caught up by a snapshot.
	ErrResultLost = errors.New("the command was applied, but its result is lost")
	// ErrOtherEpoch reports that the indices of commands count in another epoch.
	ErrOtherEpoch = errors.New("this member is in another epoch of the group")
	// ErrInApply reports a call that the machine's Apply made of its own group, which waits
	// until Apply returns. Nothing was done.
	ErrInApply = fmt.Errorf("%w: the machine's Apply calls its own group", ErrInvalid)
	// ErrNoSnapshot reports a machine that cannot be snapshotted.
	ErrNoSnapshot = errors.New("machine has no snapshots")
)

// The errors that carry data are public.
type (
	PoisonedError = consensus.PoisonedError
	OutdatedError = consensus.OutdatedError
	BehindError   = consensus.BehindError
)

// PanicError reports a query or a snapshot in which the machine panicked. It
// spoils nothing: both only read.
type PanicError struct {
	Doing string // "query" and its name, "freeze", "snapshot" or "close snapshot"
	Value any    // the value of the panic
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("state machine panicked: %s: %v", e.Doing, e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
