package codec

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxSize bounds the encoding of one command, in bytes.
	MaxSize = 8 << 20
	// MaxDepth bounds how deep arrays, maps and structs nest in a command: a
	// struct of scalars has depth 1.
	MaxDepth = 64
)

// What can be wrong with a command's bytes, its value or its type. The errors
// of codecs are of type [*Error] and match one of these with [errors.Is], or
// the error of a type that encodes itself.
var (
	// ErrTruncated reports bytes that end too early, and a declared length
	// that the remaining bytes cannot hold.
	ErrTruncated = errors.New("codec: truncated")
	// ErrTrailing reports bytes after the end of the command.
	ErrTrailing = errors.New("codec: trailing bytes")
	// ErrDepth reports a nesting deeper than [MaxDepth], or than a state can be.
	ErrDepth = errors.New("codec: nested too deep")
	// ErrTooLarge reports a command longer than [MaxSize], a part of a state
	// longer than it can be, and bytes that take memory out of proportion.
	ErrTooLarge = errors.New("codec: too large")
	// ErrOverflow reports a number that its Go type cannot hold.
	ErrOverflow = errors.New("codec: number overflows its type")
	// ErrDuplicate reports a struct field or a map key that comes twice.
	ErrDuplicate = errors.New("codec: duplicate")
	// ErrUnknownField reports a field that the struct does not have.
	ErrUnknownField = errors.New("codec: unknown field")
	// ErrType reports a value of another type or length than the Go type
	// wants, and bytes that are not MessagePack.
	ErrType = errors.New("codec: wrong type")
	// ErrUTF8 reports a string that is not valid UTF-8.
	ErrUTF8 = errors.New("codec: invalid UTF-8")
	// ErrNil reports nil where the Go type has no nil.
	ErrNil = errors.New("codec: unexpected nil")
	// ErrCanonical reports bytes of a registered codec, as of [Text] and [Binary],
	// that are not those in which it writes the value.
	ErrCanonical = errors.New("codec: not canonical")
	// ErrLevel reports a value that needs a higher level of its schema than
	// the one it is encoded at, and a level that is not known.
	ErrLevel = errors.New("codec: level")
	// ErrUnsupported reports a Go type that cannot be encoded.
	ErrUnsupported = errors.New("codec: unsupported type")
)

// Error says what is wrong and where.
type Error struct {
	Op     string // "check" (of a type), "encode" or "decode"
	Path   string // the Go path from the command's type, as Transfer.Legs[3].Amount
	Offset int    // the byte at which it was found, when decoding
	Detail string // what is wrong; "" leaves it to Err
	Err    error  // one of this package's errors, or that of a type which encodes itself
}

// Error implements error.
func (e *Error) Error() string {
	detail := e.Detail
	if detail == "" && e.Err != nil {
		detail = strings.TrimPrefix(e.Err.Error(), "codec: ")
	}
	if e.Op == opDecode {
		return fmt.Sprintf("codec: %s %s: %s (at byte %d)", e.Op, e.Path, detail, e.Offset)
	}
	return fmt.Sprintf("codec: %s %s: %s", e.Op, e.Path, detail)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

const (
	opCheck  = "check"
	opEncode = "encode"
	opDecode = "decode"
)

// within puts segment before the path of err. Paths are put together on the
// way out, so that they cost nothing while all is well.
func within(err *Error, segment string) *Error {
	if err != nil {
		err.Path = segment + err.Path
	}
	return err
}

// named completes err, found in op, with the name of the command's type.
func (e *Error) named(op, root string) *Error {
	e.Op, e.Path = op, root+e.Path
	return e
}
