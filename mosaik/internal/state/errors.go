package state

import (
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrForming reports commands in a group that is not open yet. They were
	// not applied.
	ErrForming = errors.New("mosaik: group is still forming")
	// ErrSealed reports commands in an epoch that yields to another one, which
	// the members move to. They were not applied.
	ErrSealed = fmt.Errorf("%w: its epoch yields to another", ErrForming)
	// ErrPoisoned is what every [PoisonedError] is.
	ErrPoisoned = errors.New("mosaik: state machine is poisoned")
	// ErrUnknownSession reports an entry whose session is not in the table.
	// This copy of it was not applied.
	ErrUnknownSession = errors.New("mosaik: unknown session")
	// ErrGap reports an entry whose predecessor in its session is missing. This
	// copy of it was not applied.
	ErrGap = errors.New("mosaik: gap in session")
	// ErrUndecodable reports a command that the machine's codec refuses.
	ErrUndecodable = errors.New("mosaik: command cannot be decoded")
	// ErrResultLost reports commands that were applied, but whose results this
	// replica does not know, because it caught up by a snapshot.
	ErrResultLost = errors.New("mosaik: command was applied, its result is lost")
	// ErrOtherEpoch reports that the indices of commands began anew.
	ErrOtherEpoch = errors.New("mosaik: the group went on in another epoch")
	// ErrNoSnapshot reports a machine that cannot be snapshotted.
	ErrNoSnapshot = errors.New("mosaik: machine has no snapshots")
)

// PoisonedError reports a replica whose state can no longer be trusted, because
// the machine panicked, a snapshot could not be restored, or an entry was
// written by a newer program. Nothing is applied or read any more.
type PoisonedError struct {
	Doing  string    // what failed: "apply", "restore" or "read log"
	Index  sm.Index  // the dense index of the command, 0 for none
	Entry  sm.Cursor // the position of the entry in Raft's log
	Offset int       // the offset of the command in the entry
	Value  any       // the value of the panic, or the error
	Stack  []byte    // the stack of the panic, nil for none
}

// Error implements error.
func (e *PoisonedError) Error() string {
	if e.Index != 0 {
		return fmt.Sprintf("mosaik: state machine is poisoned: %s command %d (entry %v, offset %d): %v",
			e.Doing, e.Index, e.Entry, e.Offset, e.Value)
	}
	return fmt.Sprintf("mosaik: state machine is poisoned: %s (entry %v): %v", e.Doing, e.Entry, e.Value)
}

// Is reports whether target is [ErrPoisoned].
func (e *PoisonedError) Is(target error) bool { return target == ErrPoisoned }

// Unwrap returns the value if it is an error.
func (e *PoisonedError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// PanicError reports a query or a snapshot in which the machine panicked. It
// spoils nothing: both only read.
type PanicError struct {
	Doing string // "query" or "snapshot"
	Value any    // the value of the panic
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("mosaik: state machine panicked: %s: %v", e.Doing, e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
