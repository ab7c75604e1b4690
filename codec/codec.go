// Package codec turns commands, and the states of machines, into bytes and back: the contract between
// machines and the log, the reflection codec of hand-written machines, and the
// MessagePack primitives, limits and errors that generated codecs stand on.
package codec

// Codec encodes and decodes values of type C. Implementations are safe for
// concurrent use and keep no state between calls.
type Codec[C any] interface {
	// Append appends the encoding of v to dst and returns the extended slice.
	// On error dst is returned as it was.
	Append(dst []byte, v C) ([]byte, error)

	// Decode returns the value that src encodes. The bytes come from other
	// members and may be hostile: whatever they are, Decode neither panics nor
	// allocates out of proportion to len(src). Trailing bytes are an error.
	// The value does not alias src.
	Decode(src []byte) (C, error)
}

// Checker is implemented by codecs that can say before the first use that their
// type cannot be encoded.
type Checker interface{ Check() error }

// Leveled is implemented by codecs of a schema with more than one level. Levels
// count from 1; each adds to what commands can hold and changes nothing about
// the bytes of what was there. Append and Decode work at the newest level.
//
// At an older level both methods do what the codec did whose newest level that
// was, on the same values and bytes. A level that is 0 or above the newest is an
// [ErrLevel].
type Leveled[C any] interface {
	Codec[C]

	// AppendLevel is Append at a level. A value that needs a higher one is an
	// [ErrLevel]; the error's path leads to what needs it.
	AppendLevel(dst []byte, v C, level uint32) ([]byte, error)

	// DecodeLevel is Decode at a level: fields and variants of higher ones are
	// unknown.
	DecodeLevel(src []byte, level uint32) (C, error)
}
