package determinism

import (
	"github.com/mosaik-go/mosaik/sm"
)

// Script is a sequence of commands.
type Script struct {
	Commands []Command
	// Seed decides where the instances are restored and how commands are batched.
	Seed uint64
}

// Command is an encoded command and the context in which it is applied.
type Command struct {
	Info    sm.ApplyInfo
	Encoded []byte
}

// keep returns a script with some of the commands, in their order, and with indices that have no
// gaps.
func (s Script) keep(wanted func(i int) bool) Script {
	out := Script{Seed: s.Seed}
	for i, c := range s.Commands {
		if wanted(i) {
			c.Info.Index = sm.Index(len(out.Commands) + 1)
			out.Commands = append(out.Commands, c)
		}
	}
	return out
}

// Instance is one machine.
type Instance interface {
	// Apply applies one command.
	Apply(Command) Outcome
	// ApplyBatch applies commands together. It is called only if the machine has batches.
	ApplyBatch([]Command) []Outcome
	// Snapshot returns what the machine writes. It is called only if the machine has
	// snapshots.
	Snapshot() ([]byte, error)
	// Restore replaces the state. It is called only if the machine has snapshots.
	Restore([]byte) error
	// Freeze returns a function that writes and closes a view of the state as it is now. It is
	// called only if the machine can be frozen.
	Freeze() (write func() ([]byte, error), err error)
	// Dump returns the machine's fields as text.
	Dump() string
}

// Machine makes instances.
type Machine struct {
	New       func() Instance
	Batches   bool // ApplyBatch may be called
	Snapshots bool // Snapshot and Restore may be called
	Freezes   bool // Freeze may be called
}

// Outcome is the outcome of one command.
type Outcome struct {
	Text     string        // the result or the error; lines as of package dump
	Panicked bool          // Text is what the machine panicked with
	Again    func() string // returns the text of the same result as it is now; nil for errors
}
