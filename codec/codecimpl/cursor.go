package codecimpl

import (
	"fmt"
	"strings"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Fields describes the fields of a struct to a decoder. It does not change after
// package initialization, and is then safe for concurrent use.
type Fields struct {
	keys   []string       // the encoded name of each field
	names  []string       // the Go path of each field, as ".Amount"
	byName map[string]int // the index of each field

	// Below level since, before describes the fields, if it is not nil.
	before *Fields
	since  uint32
}

// NewFields returns the fields of a struct. Each is described by its name on the
// wire, followed by a colon and its Go name if the two differ.
func NewFields(fields ...string) *Fields {
	f := &Fields{byName: make(map[string]int, len(fields))}
	var e Encoder
	for i, field := range fields {
		wire, name, ok := strings.Cut(field, ":")
		if !ok {
			name = wire
		}
		f.keys = append(f.keys, string(e.String(nil, wire)))
		f.names = append(f.names, "."+name)
		f.byName[wire] = i
	}
	return f
}

// seenWords is the number of words in which a [StructCursor] marks fields as seen
// without an allocation.
const seenWords = 1

// StructCursor iterates over the fields of an encoded struct. Fields mostly come in
// their order, so it marks a field as seen only once another one is out of order.
type StructCursor struct {
	Index int // of the field whose value comes next

	fields  *Fields
	end     int  // the index of the last field, if all that remain come in order
	row     int  // the first field that is not marked: from here on all came in order
	last    int  // end while each field came after the one before it, otherwise -1
	keyless bool // the struct is encoded as an array
	seen    [seenWords]uint64
	more    []uint64 // seen for the fields from index 64*seenWords on
}

// Struct reads the start of a struct that is encoded as a map, and returns a cursor
// in front of its first field.
func (r *Reader) Struct(f *Fields) StructCursor {
	last := r.enterMap() - 1
	return StructCursor{Index: -1, fields: f, end: last, last: last}
}

// enterMap reads the start of a struct and returns how many fields follow.
func (r *Reader) enterMap() int {
	at := r.input.Off
	n, ok := r.short(0x80, 2)
	if !ok {
		n, ok = r.expect(wire.KindMap)
	}
	if !ok || !r.enter(at) {
		return 0
	}
	return int(n)
}

// Tuple is [Reader.Struct] for a struct that is encoded as an array, in which every
// field is present.
func (r *Reader) Tuple(f *Fields) StructCursor {
	at := r.input.Off
	n, ok := r.expectArray()
	if !ok || !r.enter(at) {
		return StructCursor{Index: -1, end: -1}
	}
	if n != uint64(len(f.keys)) {
		r.refuse(at, codec.ErrType, "%d elements, where the struct has %d fields", n, len(f.keys))
	}
	return StructCursor{Index: -1, fields: f, end: int(n) - 1, last: -1, keyless: true}
}

// First moves c to the first field if c is in front of it and the next bytes are
// its encoded name, key. If it returns false, the caller uses [Reader.Field].
func (r *Reader) First(c *StructCursor, key string) bool { return c.Index < 0 && r.Next(c, key) }

// Next moves c to the next field if the next bytes are its encoded name, key. If it
// returns false, the caller uses [Reader.Field].
func (r *Reader) Next(c *StructCursor, key string) bool {
	if to := r.input.Off + len(key); c.Index < c.last && to <= len(r.input.Src) &&
		string(r.input.Src[r.input.Off:to]) == key {
		r.input.Off = to
		c.Index++
		return true
	}
	return false
}

// Field moves c to the next field and reads its name. It returns false at the end
// of the struct and on error.
func (r *Reader) Field(c *StructCursor) bool {
	if c.Index != c.end || r.fault != nil {
		return r.field(c)
	}
	r.depth--
	return false
}

// maxSkipped is how many omitted fields are skipped before a field is looked up by
// its name.
const maxSkipped = 8

// field is Field without a fast path.
func (r *Reader) field(c *StructCursor) bool {
	if r.fault != nil {
		if c.Index >= 0 {
			r.locate(c.fields.names[c.Index])
		}
		return false
	}
	if c.keyless {
		c.Index++
		return true
	}
	next := c.Index + 1
	if next < len(c.fields.keys) && r.Next(c, c.fields.keys[next]) {
		return true
	}
	src := r.input.Src[r.input.Off:]
	for i, key := range c.fields.keys[min(next, len(c.fields.keys)):] {
		if len(src) >= len(key) && string(src[:len(key)]) == key {
			at := r.input.Off
			r.input.Off += len(key)
			return r.mark(c, at, next+i)
		}
		if i == maxSkipped {
			break
		}
	}
	return r.search(c)
}

// search reads the name of a field that is none of those expected next.
func (r *Reader) search(c *StructCursor) bool {
	at := r.input.Off
	h, fault := r.input.Header()
	if fault != nil {
		r.stop(fault)
		return false
	}
	if h.Kind != wire.KindString {
		r.refuse(at, codec.ErrType, "%s, where a field's name is wanted", h.Kind)
		return false
	}
	name, fault := r.input.Text(at, h.Num)
	if fault != nil {
		r.stop(fault)
		return false
	}
	i, ok := c.fields.byName[string(name)]
	if !ok {
		r.refuse(at, codec.ErrUnknownField, "unknown field %s", wire.Quote(name))
		return false
	}
	return r.mark(c, at, i)
}

// mark makes i the current field, or refuses it if it was seen before. Its name is
// at byte at.
func (r *Reader) mark(c *StructCursor, at, i int) bool {
	for ; c.row <= c.Index; c.row++ {
		word, bit := c.word(c.row)
		*word |= bit
	}
	if word, bit := c.word(i); *word&bit != 0 {
		r.refuse(at, codec.ErrDuplicate, "the field comes twice")
		r.locate(c.fields.names[i])
		return false
	}
	c.end += i - c.Index - 1
	switch {
	case i < c.Index:
		c.last = -1
	case c.last >= 0:
		c.last = c.end
	}
	c.Index, c.row = i, i
	return true
}

// word returns the word and the bit in which field i is marked.
func (c *StructCursor) word(i int) (word *uint64, bit uint64) {
	bit = 1 << (i % 64)
	if i < 64*seenWords {
		return &c.seen[i/64], bit
	}
	if c.more == nil {
		c.more = make([]uint64, len(c.fields.keys)/64+1-seenWords)
	}
	return &c.more[i/64-seenWords], bit
}

// SliceCursor iterates over the elements of an encoded slice or array.
type SliceCursor struct {
	Index int  // of the element that comes next
	Len   int  // the number of elements, which the remaining bytes can hold
	Nil   bool // the slice is nil
}

// Slice reads nil or the start of a slice of at most highest elements, each of
// which takes size bytes of memory. A highest of 0 is no limit.
func (r *Reader) Slice(size int64, highest int) SliceCursor {
	at := r.input.Off
	if r.Nil() {
		r.depth++
		return SliceCursor{Index: -1, Nil: true}
	}
	n, ok := r.expectArray()
	if !ok || !r.limit(at, n, highest, "elements") || !r.charge(at, int64(n)*size) || !r.enter(at) {
		return SliceCursor{Index: -1, Nil: true}
	}
	return SliceCursor{Index: -1, Len: int(n)}
}

// Elements reads the start of an array of n elements.
func (r *Reader) Elements(n int) SliceCursor {
	at := r.input.Off
	got, ok := r.expectArray()
	if !ok || !r.enter(at) {
		return SliceCursor{Index: -1}
	}
	if got != uint64(n) {
		r.refuse(at, codec.ErrType, "%d elements, where the array has %d", got, n)
	}
	return SliceCursor{Index: -1, Len: n}
}

// Element moves c to the next element. It returns false at the end of the slice or
// array and on error.
func (r *Reader) Element(c *SliceCursor) bool {
	if c.Index++; c.Index < c.Len && r.fault == nil {
		return true
	}
	r.endElements(c)
	return false
}

// endElements ends what c iterates over, or adds the current element to the path of
// the error.
func (r *Reader) endElements(c *SliceCursor) {
	switch {
	case r.fault == nil:
		r.depth--
	case c.Index > 0:
		r.locate(fmt.Sprintf("[%d]", c.Index-1))
	}
}

// MapCursor iterates over the entries of an encoded map.
type MapCursor struct {
	Len int  // the number of entries, which the remaining bytes can hold
	Nil bool // the map is nil

	at    int  // the byte at which the map starts
	begun int  // how many entries were begun
	key   int  // the byte at which the key of the current entry starts
	value bool // the key of the current entry was read
}

// Map reads nil or the start of a map of at most highest entries, each of which
// takes size bytes of memory. A highest of 0 is no limit.
func (r *Reader) Map(size int64, highest int) MapCursor {
	at := r.input.Off
	if r.Nil() {
		r.depth++
		return MapCursor{Nil: true}
	}
	n, ok := r.expectMap()
	if !ok || !r.limit(at, n, highest, "entries") || !r.charge(at, int64(n)*size*wire.EntryOverhead) || !r.enter(at) {
		return MapCursor{Nil: true}
	}
	return MapCursor{Len: int(n), at: at}
}

// Key moves c to the key of the next entry. It returns false at the end of the map
// and on error. The map holds so many entries so far, held: fewer than were read
// if a key occurred twice.
func (r *Reader) Key(c *MapCursor, held int) bool {
	if held != c.begun || held == c.Len || r.fault != nil {
		r.endEntries(c, held)
		return false
	}
	c.begun++
	c.key, c.value = r.input.Off, false
	return true
}

// endEntries ends the map of c, or adds the current entry to the path of the error.
func (r *Reader) endEntries(c *MapCursor, held int) {
	if r.fault == nil && held < c.begun {
		r.refuse(c.at, codec.ErrDuplicate, "the key comes twice")
	}
	switch {
	case r.fault == nil:
		r.depth--
	case c.value:
		r.locate(r.segment(c.key))
	case c.begun > 0:
		r.locate("[key]")
	}
}

// Value moves c from a key to its value.
func (r *Reader) Value(c *MapCursor) { c.value = r.fault == nil }

// segment returns the path segment of the map key that starts at byte at.
func (r *Reader) segment(at int) string {
	key := wire.Reader{Src: r.input.Src, Off: at}
	switch h, _ := key.Header(); h.Kind {
	case wire.KindString, wire.KindBytes:
		return "[" + wire.Quote(key.Take(h.Num)) + "]"
	case wire.KindNegative:
		return fmt.Sprintf("[%d]", int64(h.Num))
	default:
		return fmt.Sprintf("[%d]", h.Num)
	}
}
