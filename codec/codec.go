// Package codec defines how commands are encoded, and what can go wrong.
//
// [Codec] is the contract between a machine and the log. [Reflect] returns the
// codec of a hand-written machine. mosaik-gen writes the codecs of generated
// machines; these call package codecimpl, which programs need not import. [Text],
// [Binary] and the codecs of standard types let commands hold types that encode
// themselves.
//
// Commands are MessagePack. All codecs share the limits ([MaxSize], [MaxDepth])
// and the errors of this package.
package codec

// Codec encodes and decodes values of type C. Implementations must be safe for
// concurrent use and keep no state between calls.
type Codec[C any] interface {
	// Append appends the encoding of v to dst and returns the extended slice.
	// On error it returns dst unchanged.
	Append(dst []byte, v C) ([]byte, error)

	// Decode returns the value that src encodes. It returns an error if bytes
	// follow the value. The bytes come from other members and may be hostile:
	// Decode must not panic, nor allocate out of proportion to len(src). The
	// value must not alias src.
	Decode(src []byte) (C, error)
}

// Checker is implemented by codecs that can report before their first use that
// their type cannot be encoded.
type Checker interface{ Check() error }

// Leveled is implemented by codecs of a schema with more than one level. Levels
// count from 1. Each level adds fields and variants to the commands and keeps the
// encoding of those of older levels. Append and Decode use the newest level.
//
// At an older level, both methods accept and produce exactly what the codec did
// when that level was the newest. A level that is 0 or above the newest is an
// [ErrLevel].
type Leveled[C any] interface {
	Codec[C]

	// AppendLevel is Append at a level. A value that needs a higher level is an
	// [ErrLevel], and the path of the error leads to the part that needs it.
	AppendLevel(dst []byte, v C, level uint32) ([]byte, error)

	// DecodeLevel is Decode at a level. It does not know the fields and variants
	// of higher levels.
	DecodeLevel(src []byte, level uint32) (C, error)
}
