package state

import (
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
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
	ErrPoisoned = errors.New("state machine is poisoned")
	// ErrLevel reports commands that were encoded at a level of the schema above
	// the group's. They were not applied.
	ErrLevel = errors.New("the command needs a higher level of the schema than the group has")
	// ErrOutdated is what every [OutdatedError] is.
	ErrOutdated = errors.New("this program is older than the group's log")
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

// PoisonedError reports a replica whose state can no longer be trusted, because
// the machine panicked or a snapshot could not be restored. Nothing is applied or
// read any more.
type PoisonedError struct {
	Doing   string    // what failed: "apply" or "restore"
	Command string    // the type of the command, "" for none; where a machine applies batches, of the first one
	Index   sm.Index  // the dense index of the command, 0 for none
	Entry   sm.Cursor // the position of the entry in Raft's log
	Offset  int       // the offset of the command in the entry
	Value   any       // the value of the panic, or the error
	Stack   []byte    // the stack of the panic, nil for none
}

// Error implements error.
func (e *PoisonedError) Error() string {
	if e.Index != 0 {
		command := ""
		if e.Command != "" {
			command = ", " + e.Command
		}
		return fmt.Sprintf("state machine is poisoned: %s command %d%s (entry %v, offset %d): %v",
			e.Doing, e.Index, command, e.Entry, e.Offset, e.Value)
	}
	return fmt.Sprintf("state machine is poisoned: %s (entry %v): %v", e.Doing, e.Entry, e.Value)
}

// Is reports whether target is [ErrPoisoned].
func (e *PoisonedError) Is(target error) bool { return target == ErrPoisoned }

// Unwrap returns the value if it is an error.
func (e *PoisonedError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// OutdatedError reports a log or a snapshot that this program cannot go on from,
// since a newer one wrote it: it raised the schema to a level that this program
// does not support, or uses a format that it does not know. The member has stopped,
// its log is left as it is, and a newer program goes on from there.
type OutdatedError struct {
	Found     uint32    // the level that is needed, 0 if it is not a matter of levels
	Supported uint32    // the highest level that this program supports
	Entry     sm.Cursor // the entry or the snapshot's last one, zero if the log's metadata say so
	Err       error     // the format that is not known, nil if it is a matter of levels
}

// Error implements error.
func (e *OutdatedError) Error() string {
	at := "the log"
	if e.Entry != (sm.Cursor{}) {
		at = fmt.Sprintf("entry %v", e.Entry)
	}
	if e.Err != nil {
		return fmt.Sprintf("%v: %s: %v; run a newer program", ErrOutdated, at, e.Err)
	}
	return fmt.Sprintf("%v: %s needs level %d of the schema, this program supports %d; run a newer program", ErrOutdated, at, e.Found, e.Supported)
}

// Is reports whether target is [ErrOutdated].
func (e *OutdatedError) Is(target error) bool { return target == ErrOutdated }

// Unwrap returns Err.
func (e *OutdatedError) Unwrap() error { return e.Err }

// NeedsLevel returns Found, for the log's metadata.
func (e *OutdatedError) NeedsLevel() uint32 { return e.Found }

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
