package codecimpl

import "github.com/mosaik-go/mosaik/codec"

// The methods in this file are for structs without containers, whose fields mostly
// come in the expected order.

// Begins reads the start of a struct, up to the name of its first field, if the
// next bytes are start. The struct has at most 15 fields, all of them present and
// none with a container. If Begins returns false, the caller uses [Reader.Rest].
func (r *Reader) Begins(start string) bool {
	fields := int(start[0] & 0x0f)
	if to := r.input.Off + len(start); to <= len(r.input.Src) &&
		string(r.input.Src[r.input.Off:to]) == start &&
		r.input.Off+2*fields < len(r.input.Src) && r.depth < codec.MaxDepth {
		r.input.Off = to
		return true
	}
	return false
}

// Follows reads the encoded name of a field if the next bytes are key.
func (r *Reader) Follows(key string) bool {
	if to := r.input.Off + len(key); to <= len(r.input.Src) && string(r.input.Src[r.input.Off:to]) == key {
		r.input.Off = to
		return true
	}
	return false
}

// OK reports whether there was no error so far.
func (r *Reader) OK() bool { return r.fault == nil }

// Rest returns a cursor for the other fields of a struct of which the first n were
// read. If n is 0, it reads the start of the struct.
func (r *Reader) Rest(f *Fields, n int) StructCursor {
	if n == 0 {
		return r.Struct(f)
	}
	r.depth++
	last := len(f.keys) - 1
	return StructCursor{Index: n - 1, fields: f, end: last, last: last}
}

// Peek returns the next n bytes, which may be fields of a struct, or nil if fewer
// remain. A caller that has decoded them calls [Reader.Skip].
func (r *Reader) Peek(n int) []byte {
	if n <= len(r.input.Src)-r.input.Off && r.depth < codec.MaxDepth {
		return r.input.Src[r.input.Off : r.input.Off+n]
	}
	return nil
}

// Skip skips n bytes that [Reader.Peek] returned.
func (r *Reader) Skip(n int) { r.input.Off += n }
