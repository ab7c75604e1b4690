package codec

// What decoders of plain structs read: those without containers, whose fields
// are mostly the ones that are expected next.

// Begins reads the start of a struct up to the name of its first field, start, if
// that follows. The struct has 15 fields at most, all of them there, and none
// with a container. Whatever else follows is for [Reader.Rest].
func (r *Reader) Begins(start string) bool {
	fields := int(start[0] & 0x0f)
	if to := r.off + len(start); to <= len(r.src) && string(r.src[r.off:to]) == start && r.off+2*fields < len(r.src) && r.depth < MaxDepth {
		r.off = to
		return true
	}
	return false
}

// Follows reads the encoded name of a field, key, if that follows.
func (r *Reader) Follows(key string) bool {
	if to := r.off + len(key); to <= len(r.src) && string(r.src[r.off:to]) == key {
		r.off = to
		return true
	}
	return false
}

// OK reports whether nothing is wrong so far.
func (r *Reader) OK() bool { return r.err == nil }

// Rest reads what is left of a struct of which the first n fields were read, or
// the start of one of which nothing was.
func (r *Reader) Rest(f *Fields, n int) StructCursor {
	if n == 0 {
		return r.Struct(f)
	}
	r.depth++
	last := len(f.keys) - 1
	return StructCursor{Index: n - 1, fields: f, end: last, last: last}
}

// Ahead returns the next n bytes, of a struct whose encoding may well be them,
// nil when there are not as many. What it returns may be read, and then be left
// behind with [Reader.Skip].
func (r *Reader) Ahead(n int) []byte {
	if n <= len(r.src)-r.off && r.depth < MaxDepth {
		return r.src[r.off : r.off+n]
	}
	return nil
}

// Skip leaves n bytes behind that [Reader.Ahead] returned.
func (r *Reader) Skip(n int) { r.off += n }
