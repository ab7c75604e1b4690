package codec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

const (
	// MaxSize is the highest number of bytes in the encoding of one command.
	MaxSize = 8 << 20
	// MaxDepth is how deep arrays, maps and structs may nest in a command. A
	// struct of scalars has depth 1.
	MaxDepth = 64
)

// These errors report what is wrong with the bytes, the value or the type of a
// command, or with the state of a machine. The errors that codecs return have type
// [*Error]. With [errors.Is] they match one of these, or the error of a type that
// encodes itself.
var (
	// ErrTruncated reports bytes that end too early, and a declared length that
	// the remaining bytes cannot hold.
	ErrTruncated = wire.ErrTruncated
	// ErrTrailing reports bytes after the end of a command or state.
	ErrTrailing = errors.New("codec: trailing bytes")
	// ErrDepth reports a command that nests deeper than [MaxDepth], and a state
	// that nests deeper than its type allows.
	ErrDepth = errors.New("codec: nested too deep")
	// ErrTooLarge reports a command longer than [MaxSize], a value above a limit
	// of its field, an oversized part of a state, and bytes that would take memory
	// out of proportion to their number.
	ErrTooLarge = errors.New("codec: too large")
	// ErrOverflow reports a number that its Go type cannot hold.
	ErrOverflow = errors.New("codec: number overflows its type")
	// ErrDuplicate reports a struct field or a map key that occurs twice.
	ErrDuplicate = errors.New("codec: duplicate")
	// ErrUnknownField reports a field that the struct does not have.
	ErrUnknownField = errors.New("codec: unknown field")
	// ErrMissing reports a state that lacks one of the machine's fields.
	ErrMissing = errors.New("codec: missing field")
	// ErrType reports a value whose type or length is not that of the Go type, and
	// bytes that are not MessagePack.
	ErrType = wire.ErrType
	// ErrVariant reports a value of a sealed interface that is none of its
	// variants.
	ErrVariant = errors.New("codec: unknown variant")
	// ErrUTF8 reports a string that is not valid UTF-8.
	ErrUTF8 = wire.ErrUTF8
	// ErrNil reports nil where the Go type has no nil.
	ErrNil = errors.New("codec: unexpected nil")
	// ErrCanonical reports bytes that a registered codec, such as [Text] or
	// [Binary], decodes to a value that it would encode as other bytes, and the
	// state of a machine in which the keys of an ordered map are not in order.
	ErrCanonical = errors.New("codec: not canonical")
	// ErrLevel reports a value that needs a higher level of the schema than the
	// one that it is encoded at, and a level that the schema does not have.
	ErrLevel = errors.New("codec: level")
	// ErrChecksum reports a state whose bytes were damaged after they were written.
	ErrChecksum = errors.New("codec: checksum mismatch")
	// ErrUnsupported reports a Go type that cannot be encoded.
	ErrUnsupported = errors.New("codec: unsupported type")
)

// Error is the error of a codec. It names the fault and where it is.
type Error struct {
	Op     string // "check" (of a type), "encode" or "decode"; "apply" in generated machines
	Path   string // the Go path from the command's type, as Transfer.Legs[3].Amount
	Offset int    // the byte at which the error was found, when decoding
	Detail string // what is wrong; if it is "", Err says it
	Err    error  // an error of this package, or that of a type that encodes itself
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

// failed returns the error of a fault that was found in op within a value of the
// type that root names.
func failed(op, root string, f *wire.Fault) *Error {
	return &Error{Op: op, Path: root + f.Path, Offset: f.Offset, Detail: f.Detail, Err: f.Err}
}
