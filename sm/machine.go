package sm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mosaik-go/mosaik/codec"
)

// StateMachine is a deterministic machine whose commands are of type C: one
// struct, or the sealed interface of all its commands.
//
// mosaik-gen writes both methods for machines with typed commands. By hand,
// Spec is one line with [Define] and Apply a switch. Where the compiler misses one
// of them in a machine with typed commands, run go generate in its package.
type StateMachine[C any] interface {
	// Spec describes the machine. It must return the same on every call and
	// in every process, before and after any Apply.
	Spec() Spec[C]

	// Apply changes the machine by one command and returns the command's
	// result, or the domain error with which the machine declines it. Both
	// reach the caller as they are, on the caller's own replica only; they must
	// not alias the machine's state, which goes on changing. A returned error
	// is an outcome like any other and stops nothing. After a panic, and in
	// tests after runtime.Goexit, which t.Fatal calls, the machine is not used any
	// more on this member; elsewhere Apply must not call Goexit. It must not call
	// its own group either, which would wait for Apply: calls on Apply's own goroutine
	// return an error, others block. While Apply runs, the member applies nothing else, in
	// this group and perhaps in others of the process.
	Apply(at ApplyContext, cmd C) (any, error)
}

// Spec describes a machine: its name and version, its identity, and how its
// commands become bytes.
type Spec[C any] struct {
	// Name is the machine's name, 1 to 255 bytes. It enters the group id.
	Name string
	// Version is the version of the machine's behaviour. Members whose
	// machines behave differently must not meet: raise it when Apply changes
	// what the same commands lead to. It enters the group id.
	Version uint32
	// Signature identifies the machine and the shape of its commands; it
	// enters the group id. Machines with different signatures never meet.
	Signature Digest
	// Levels identifies the levels of the schema, from level 1, which is
	// Signature itself, to the newest one that this code knows; nil means that
	// there is level 1 alone. A further one is the hash of the schema from its
	// start up to that level: members that mean different things by the same
	// level have different digests for it, and for all above. Levels do not
	// enter the group id. A Codec with more than one is a [codec.Leveled].
	Levels []Digest
	// Codec turns commands into bytes and back.
	Codec codec.Codec[C]
}

// maxName bounds a machine's name in bytes.
const maxName = 255

// Define returns the Spec of a hand-written machine. Its commands are encoded
// with a reflection codec (MessagePack), so C is a concrete type that
// [codec.Reflect] accepts. The signature covers name and version: whoever
// changes the shape of C must raise version.
func Define[C any](name string, version uint32) Spec[C] {
	return Spec[C]{
		Name:      name,
		Version:   version,
		Signature: ID("mosaik_machine").Derive([]byte(name)).Derive(binary.LittleEndian.AppendUint32(nil, version)),
		Codec:     codec.Reflect[C](),
	}
}

// Validate reports what is wrong with the spec, or nil: a missing or too long
// name, a zero signature, a missing codec, levels that do not start with the
// signature, hold a digest twice or lack a codec that knows them, or a command type that the
// reflection codec cannot encode.
func (s Spec[C]) Validate() error {
	switch {
	case s.Name == "":
		return errors.New("sm: the machine's spec has no name; set Spec.Name")
	case len(s.Name) > maxName:
		return fmt.Errorf("sm: the machine's name is %d bytes long; at most %d are allowed", len(s.Name), maxName)
	case s.Signature.IsZero():
		return fmt.Errorf("sm: machine %q has a zero signature; use sm.Define or generate the spec", s.Name)
	case s.Codec == nil:
		return fmt.Errorf("sm: machine %q has no codec; use sm.Define or generate the spec", s.Name)
	}
	if err := s.validateLevels(); err != nil {
		return err
	}
	if c, ok := s.Codec.(codec.Checker); ok {
		if err := c.Check(); err != nil {
			return fmt.Errorf("sm: machine %q: %w", s.Name, err)
		}
	}
	return nil
}

// Snapshotter is implemented by machines whose state can be written down. A
// group of such machines compacts its log and brings new members up by
// snapshot; without it the whole log is kept and replayed. mosaik-gen writes
// both methods for machines whose directive says snapshot.
type Snapshotter interface {
	// Snapshot writes the machine's whole state. It never overlaps an Apply: this
	// member applies nothing meanwhile. A panic is an error.
	Snapshot(w io.Writer) error
	// Restore replaces the machine's whole state by what Snapshot wrote. It
	// must not keep anything of the state before. The bytes come from another
	// member and may be damaged: Restore returns an error rather than panic.
	Restore(r io.Reader) error
}

// SnapshotVersioner is implemented by a [Snapshotter] whose snapshot format has
// a version other than 1. The version enters the group id. Generated snapshots
// do not need it: their format is part of the machine's signature.
type SnapshotVersioner interface{ SnapshotVersion() uint64 }
