package sm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mosaik-go/mosaik/codec"

	// Every machine imports package sm, and its generated code imports codecimpl.
	// This import makes go mod vendor copy codecimpl before the first generation.
	_ "github.com/mosaik-go/mosaik/codec/codecimpl"
)

// StateMachine is a deterministic machine with commands of type C, which is one struct
// or the sealed interface of all commands.
//
// mosaik-gen generates both methods for machines with typed commands. If the compiler
// reports that one is missing in such a machine, run go generate in its package. In a
// hand-written machine, Spec is one line with [Define] and Apply is a switch.
type StateMachine[C any] interface {
	// Spec describes the machine. It must return the same Spec on every call and
	// in every process, before and after any Apply.
	Spec() Spec[C]

	// Apply applies one command to the machine. It returns the result of the
	// command, or the domain error with which the machine rejects it. The member
	// that executed the command passes both to the caller unchanged. They must not
	// alias the machine's state, which later commands change. A returned error is
	// an outcome like any other, and stops nothing.
	//
	// After a panic this member no longer uses the machine. The same holds in tests
	// after runtime.Goexit, which t.Fatal calls; elsewhere Apply must not call
	// Goexit.
	//
	// Apply must not call its own group, which waits for Apply: such a call returns
	// an error on the goroutine of Apply, and blocks on others. While Apply runs,
	// the member applies no other command of the group, and perhaps none of other
	// groups in the process.
	Apply(at ApplyContext, cmd C) (any, error)
}

// Spec describes a machine: its name, version and signature, and the codec of its
// commands.
type Spec[C any] struct {
	// Name is the machine's name, of 1 to 255 bytes. It is part of the group id.
	Name string
	// Version is the version of the machine's behavior. Raise it whenever the same
	// commands lead to another state or outcome: members whose machines behave
	// differently must not be in the same group. It is part of the group id.
	Version uint32
	// Signature identifies the machine and the schema of its commands. It is part
	// of the group id, so machines with different signatures are never in the same
	// group.
	Signature Digest
	// Levels holds the digests of the schema's levels, from level 1, whose digest
	// is Signature, to the newest level that this code supports. nil means that
	// there is only level 1. The digest of a higher level is the hash of the
	// schema up to that level, so if two programs differ about a level, they have
	// different digests for it and for all levels above. Levels are not part of
	// the group id. With more than one level, Codec must be a [codec.Leveled].
	Levels []Digest
	// Codec encodes and decodes commands.
	Codec codec.Codec[C]
}

// maxName is the highest number of bytes in the name of a machine.
const maxName = 255

// Define returns the Spec of a hand-written machine. Its codec is [codec.Reflect], so C
// must be a type that Reflect accepts. The signature covers the name and the version,
// but not C: raise the version when the fields of C change.
func Define[C any](name string, version uint32) Spec[C] {
	return Spec[C]{
		Name:      name,
		Version:   version,
		Signature: ID("mosaik_machine").Derive([]byte(name)).Derive(binary.LittleEndian.AppendUint32(nil, version)),
		Codec:     codec.Reflect[C](),
	}
}

// Validate returns an error if the name is missing or too long, the signature is zero,
// the codec is missing or cannot encode the type of the commands, or the levels do not
// start with the signature, repeat a digest or are not supported by the codec.
func (s Spec[C]) Validate() error {
	switch {
	case s.Name == "":
		return errors.New("sm: the machine's spec has no name; set Spec.Name")
	case len(s.Name) > maxName:
		return fmt.Errorf("sm: the machine's name is %d bytes long, at most %d are allowed; shorten Spec.Name", len(s.Name), maxName)
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

// Snapshotter is implemented by machines that can write and restore their state. A
// group of such machines compacts its log, and new members start from a snapshot.
// Without it the group keeps its whole log, and new members replay it. mosaik-gen
// generates both methods if the directive of the machine has snapshot.
type Snapshotter interface {
	// Snapshot writes the machine's whole state. It never runs during an Apply:
	// this member applies nothing until it returns. A panic is an error.
	Snapshot(w io.Writer) error
	// Restore replaces the machine's whole state with what Snapshot wrote. It must
	// not keep any of the previous state. The bytes come from another member and
	// may be damaged; Restore must return an error then, and not panic.
	Restore(r io.Reader) error
}

// SnapshotVersioner is implemented by a [Snapshotter] whose format has a version other
// than 1. The version is part of the group id. Generated snapshots do not need it,
// because their format is part of the machine's signature.
type SnapshotVersioner interface{ SnapshotVersion() uint64 }
