package codec

import (
	"fmt"
	"strings"
)

// Fields are the fields of a struct as a generated decoder knows them.
type Fields struct {
	keys   []string // a field's name as it is encoded
	names  []string // a field's path in Go
	byName map[string]int

	// Below level since before takes their place, if it is not nil.
	before *Fields
	since  uint32
}

// NewFields returns the fields of a struct. Each is given by its name on the
// wire, followed by a colon and the Go name where that is another.
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

// seenWords bounds what a [StructCursor] marks without an allocation.
const seenWords = 1

// StructCursor goes through the fields of an encoded struct.
type StructCursor struct {
	Index int // of the field whose value comes next

	fields  *Fields
	end     int  // the index of the last field, if those that are left come in a row
	row     int  // the first field of the current row; it and what follows is not marked yet
	last    int  // end as long as each field came after those before it, then -1
	keyless bool // the struct is encoded as an array
	seen    [seenWords]uint64
	more    []uint64 // of the fields from 64*seenWords on
}

// Struct reads the start of a struct that is encoded as a map.
func (r *Reader) Struct(f *Fields) StructCursor {
	last := r.enterMap() - 1
	return StructCursor{Index: -1, fields: f, end: last, last: last}
}

// enterMap reads the start of a struct and returns how many fields follow.
func (r *Reader) enterMap() int {
	at := r.off
	n, ok := r.short(0x80, 2)
	if !ok {
		n, ok = r.expect(kindMap)
	}
	if !ok || !r.enter(at) {
		return 0
	}
	return int(n)
}

// Tuple reads the start of a struct that is encoded as an array. All of its
// fields follow.
func (r *Reader) Tuple(f *Fields) StructCursor {
	at := r.off
	n, ok := r.expectArray()
	if !ok || !r.enter(at) {
		return StructCursor{Index: -1, end: -1}
	}
	if n != uint64(len(f.keys)) {
		r.refuse(at, ErrType, "%d elements, where the struct has %d fields", n, len(f.keys))
	}
	return StructCursor{Index: -1, fields: f, end: int(n) - 1, last: -1, keyless: true}
}

// First moves c to the first field if c is at no field yet and the encoded name
// of the first, key, follows at once. Whatever else follows is for [Reader.Field].
func (r *Reader) First(c *StructCursor, key string) bool { return c.Index < 0 && r.Next(c, key) }

// Next moves c to the next field if its encoded name, key, follows at once. It
// returns false for whatever else follows: that is for [Reader.Field].
func (r *Reader) Next(c *StructCursor, key string) bool {
	if to := r.off + len(key); c.Index < c.last && to <= len(r.src) && string(r.src[r.off:to]) == key {
		r.off = to
		c.Index++
		return true
	}
	return false
}

// Field moves c to the next field and reads its name. It returns false at the
// end and when something is wrong.
func (r *Reader) Field(c *StructCursor) bool {
	if c.Index != c.end || r.err != nil {
		return r.field(c)
	}
	r.depth--
	return false
}

// maxSkipped bounds how many omitted fields are skipped before a field is
// looked up by its name.
const maxSkipped = 8

func (r *Reader) field(c *StructCursor) bool {
	if r.err != nil {
		if c.Index >= 0 {
			r.in(c.fields.names[c.Index])
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
	src := r.src[r.off:]
	for i, key := range c.fields.keys[min(next, len(c.fields.keys)):] {
		if len(src) >= len(key) && string(src[:len(key)]) == key {
			at := r.off
			r.off += len(key)
			return r.mark(c, at, next+i)
		}
		if i == maxSkipped {
			break
		}
	}
	return r.search(c)
}

// search reads the name of a field that is not among those expected.
func (r *Reader) search(c *StructCursor) bool {
	at := r.off
	h, err := r.header()
	if err != nil {
		r.stop(err)
		return false
	}
	if h.kind != kindString {
		r.refuse(at, ErrType, "%s, where a field's name is wanted", h.kind)
		return false
	}
	name, err := r.text(at, h.num)
	if err != nil {
		r.stop(err)
		return false
	}
	i, ok := c.fields.byName[string(name)]
	if !ok {
		r.refuse(at, ErrUnknownField, "unknown field %s", quote(name))
		return false
	}
	return r.mark(c, at, i)
}

// mark makes i the current field, unless it was before.
func (r *Reader) mark(c *StructCursor, at, i int) bool {
	for ; c.row <= c.Index; c.row++ {
		word, bit := c.word(c.row)
		*word |= bit
	}
	if word, bit := c.word(i); *word&bit != 0 {
		r.refuse(at, ErrDuplicate, "the field comes twice")
		r.in(c.fields.names[i])
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

// word returns where field i is marked.
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

// SliceCursor goes through the elements of an encoded slice or array.
type SliceCursor struct {
	Index int  // of the element that comes next
	Len   int  // how many there are; the bytes can hold them
	Nil   bool // the slice is nil
}

// Slice reads the start of a slice, or nil. Its elements take size bytes each;
// there may be highest at most, 0 is no limit.
func (r *Reader) Slice(size int64, highest int) SliceCursor {
	at := r.off
	if r.Nil() {
		r.depth++
		return SliceCursor{Index: -1, Nil: true}
	}
	n, ok := r.expectArray()
	if !ok || !r.within(at, n, highest, "elements") || !r.charge(at, int64(n)*size) || !r.enter(at) {
		return SliceCursor{Index: -1, Nil: true}
	}
	return SliceCursor{Index: -1, Len: int(n)}
}

// Elements reads the start of an array of n elements.
func (r *Reader) Elements(n int) SliceCursor {
	at := r.off
	got, ok := r.expectArray()
	if !ok || !r.enter(at) {
		return SliceCursor{Index: -1}
	}
	if got != uint64(n) {
		r.refuse(at, ErrType, "%d elements, where the array has %d", got, n)
	}
	return SliceCursor{Index: -1, Len: n}
}

// Element moves c to the next element. It returns false at the end and when
// something is wrong.
func (r *Reader) Element(c *SliceCursor) bool {
	if c.Index++; c.Index < c.Len && r.err == nil {
		return true
	}
	r.endElements(c)
	return false
}

func (r *Reader) endElements(c *SliceCursor) {
	switch {
	case r.err == nil:
		r.depth--
	case c.Index > 0:
		r.in(fmt.Sprintf("[%d]", c.Index-1))
	}
}

// MapCursor goes through the entries of an encoded map.
type MapCursor struct {
	Len int  // how many entries there are; the bytes can hold them
	Nil bool // the map is nil

	at    int // where the map starts
	begun int // entries whose key was to be read
	key   int // where the key of the current entry starts
	value bool
}

// Map reads the start of a map, or nil. Its entries take size bytes each; there
// may be highest at most, 0 is no limit.
func (r *Reader) Map(size int64, highest int) MapCursor {
	at := r.off
	if r.Nil() {
		r.depth++
		return MapCursor{Nil: true}
	}
	n, ok := r.expectMap()
	if !ok || !r.within(at, n, highest, "entries") || !r.charge(at, int64(n)*size*entryOverhead) || !r.enter(at) {
		return MapCursor{Nil: true}
	}
	return MapCursor{Len: int(n), at: at}
}

// Key moves c to the key of the next entry. It returns false at the end and
// when something is wrong; held is how many entries the map holds so far.
func (r *Reader) Key(c *MapCursor, held int) bool {
	if held != c.begun || held == c.Len || r.err != nil {
		r.endEntries(c, held)
		return false
	}
	c.begun++
	c.key, c.value = r.off, false
	return true
}

func (r *Reader) endEntries(c *MapCursor, held int) {
	if r.err == nil && held < c.begun {
		r.refuse(c.at, ErrDuplicate, "the key comes twice")
	}
	switch {
	case r.err == nil:
		r.depth--
	case c.value:
		r.in(r.segment(c.key))
	case c.begun > 0:
		r.in("[key]")
	}
}

// Value moves c from the key that was read to its value.
func (r *Reader) Value(c *MapCursor) { c.value = r.err == nil }

// segment returns the path segment of the map key that starts at byte at.
func (r *Reader) segment(at int) string {
	key := reader{src: r.src, off: at}
	switch h, _ := key.header(); h.kind {
	case kindString, kindBytes:
		return "[" + quote(key.take(h.num)) + "]"
	case kindNegative:
		return fmt.Sprintf("[%d]", int64(h.num))
	default:
		return fmt.Sprintf("[%d]", h.num)
	}
}
