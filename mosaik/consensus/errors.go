package consensus

import (
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// The texts of these errors have no prefix: the call that returns one adds it.
var (
	// ErrPoisoned reports that the machine panicked on this member, that it ended its goroutine
	// in a test (runtime.Goexit, which t.Fatal calls), or that its constructor failed. The
	// member no longer applies or answers anything. A [*PoisonedError] matches it, and names
	// the command and the value of the panic.
	ErrPoisoned = errors.New("state machine is poisoned")
	// ErrOutdated reports that this program is older than the group's log, or than a snapshot
	// that another member sent: the schema was raised to a level that this program's machine
	// does not support, or a newer release of this library wrote the log. The group has ended
	// on this member, or joining failed; the log is unchanged. Run a newer program, which
	// continues from there. An [*OutdatedError] matches it, and names what is needed.
	ErrOutdated = errors.New("this program is older than the group's log")
)

// RefusedError reports a peer that refused a connection or a bond, or that was refused one.
// [Status] lists them, and the errors of Network.Connected wrap them.
type RefusedError struct {
	Peer sm.PeerID // the other side
	Code CloseCode // the reason; never CodeAccepted
}

// Error names the peer, the code and its meaning.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("peer %s refused: %d, %s", e.Peer.Short(), uint32(e.Code), e.Code)
}

// BehindError ends Group.Commands where this member does not hold the next command: the consumer
// was too slow, the member caught up by snapshot, or no consumer followed the group when the member
// applied it. Read the machine and resume after the index of that read.
type BehindError struct {
	Index sm.Index // of the command that was asked for
	First sm.Index // of the first command that is held, or of the next one
}

// Error implements error.
func (e *BehindError) Error() string {
	return fmt.Sprintf("command %d is not held here, the first one that is held is %d; "+
		"read the machine and resume after the index of that answer", e.Index, e.First)
}

// PoisonedError is an [ErrPoisoned] of a machine that panicked, or that could not restore a
// snapshot. Where a machine applies batches, the command is the first one of its log entry.
type PoisonedError struct {
	Doing   string    // what failed: "apply" or "restore"
	Command string    // the type of the command, "" for none
	Index   sm.Index  // the index of the command, 0 for none
	Entry   sm.Cursor // the position of the entry in Raft's log
	Offset  int       // the offset of the command in the entry, from 0
	Value   any       // the value of the panic, or the error
	Stack   []byte    // the stack of the panic as of [runtime/debug.Stack], nil for none
}

// Error implements error. The text does not contain the stack.
func (e *PoisonedError) Error() string {
	if e.Index == 0 {
		return fmt.Sprintf("%v: %s (entry %v): %v", ErrPoisoned, e.Doing, e.Entry, e.Value)
	}
	command := ""
	if e.Command != "" {
		command = ", " + e.Command
	}
	return fmt.Sprintf("%v: %s command %d%s (entry %v, offset %d): %v",
		ErrPoisoned, e.Doing, e.Index, command, e.Entry, e.Offset, e.Value)
}

// Is reports whether target is [ErrPoisoned].
func (e *PoisonedError) Is(target error) bool { return target == ErrPoisoned }

// Unwrap returns Value if that is an error.
func (e *PoisonedError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// OutdatedError is an [ErrOutdated] that names what is needed.
type OutdatedError struct {
	Found     uint32    // the level of the schema that is needed, 0 where a format is unknown
	Supported uint32    // the highest level that this program's machine supports
	Entry     sm.Cursor // the log entry or the snapshot; zero if the log's metadata require it
	Err       error     // names the unknown format, nil where a level is needed
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
	return fmt.Sprintf("%v: %s needs level %d of the schema, this program supports %d; run a newer program",
		ErrOutdated, at, e.Found, e.Supported)
}

// Is reports whether target is [ErrOutdated].
func (e *OutdatedError) Is(target error) bool { return target == ErrOutdated }

// Unwrap returns Err.
func (e *OutdatedError) Unwrap() error { return e.Err }

// NeedsLevel returns Found. The engine notes it in the metadata of the log.
func (e *OutdatedError) NeedsLevel() uint32 { return e.Found }
