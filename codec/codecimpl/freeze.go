package codecimpl

import (
	"encoding/binary"
	"errors"
	"io"
)

// Frozen is a view of a machine's state, as package sm defines it.
type Frozen interface {
	Snapshot(dst io.Writer) error
	Close() error
}

// KeptField is a field of a machine that must be encoded when the machine is frozen,
// because later commands may change what it refers to.
type KeptField[T any] struct {
	path   string
	encode func([]byte, *T, *Encoder) []byte
}

// Keep describes a field, by its Go path and the function that encodes its value.
func Keep[T any](path string, encode func([]byte, *T, *Encoder) []byte) KeptField[T] {
	return KeptField[T]{path, encode}
}

// Freeze returns a view of the machine m. v holds copies of the fields of m that can be
// copied, and fields the others, which Freeze encodes, in the order of their encoding.
// encode is the function for the whole state.
func Freeze[T any](root string, m, v *T, encode func([]byte, *T, *Encoder) []byte, fields ...KeptField[T]) (Frozen, error) {
	f := &frozen[T]{root: root, v: v, encode: encode, kept: make([]kept, len(fields))}
	for i, field := range fields {
		out := &chunkWriter{section: field.path, keeping: &f.kept[i]}
		f.kept[i].data = field.encode(nil, m, &Encoder{out: out})
		if out.fault != nil {
			return nil, failed(opEncode, root, out.fault)
		}
	}
	return f, nil
}

// frozen is the view that [Freeze] returns.
type frozen[T any] struct {
	root   string
	v      *T
	encode func([]byte, *T, *Encoder) []byte
	kept   []kept
}

var errClosed = errors.New("codec: the view of the state is closed")

// Snapshot writes what [WriteState] would have written of the machine when it was frozen.
func (f *frozen[T]) Snapshot(dst io.Writer) error {
	if f.v == nil {
		return errClosed
	}
	out := &chunkWriter{w: dst, flushAt: chunkSize + chunkHeader, frozen: f.kept}
	return writeState(out, f.root, f.v, f.encode)
}

// Close releases what the view holds.
func (f *frozen[T]) Close() error {
	f.v, f.kept = nil, nil
	return nil
}

// kept is the encoding of a field, with the places in it where a chunk may end.
type kept struct {
	data  []byte
	last  int    // the last place
	marks []byte // how far each place is behind the one before, as varints
}

func (k *kept) mark(at int) {
	k.marks = binary.AppendUvarint(k.marks, uint64(at-k.last))
	k.last = at
}

// Kept appends a field that [Freeze] encodes: what it kept if a view is written, and
// otherwise the field of v. It returns nil after an error.
func Kept[T any](b []byte, v *T, e *Encoder, encode func([]byte, *T, *Encoder) []byte) []byte {
	if e.out.frozen == nil {
		return encode(b, v, e)
	}
	k := e.out.frozen[0]
	e.out.frozen = e.out.frozen[1:]
	rest := k.data
	for marks := k.marks; len(marks) > 0; {
		n, size := binary.Uvarint(marks)
		b = append(b, rest[:n]...)
		rest, marks = rest[n:], marks[size:]
		if b = e.Flush(b); b == nil {
			return nil
		}
	}
	return append(b, rest...)
}
