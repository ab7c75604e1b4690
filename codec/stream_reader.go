package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"
)

// ErrMissing reports a state without one of the machine's fields.
var ErrMissing = errors.New("codec: missing field")

// memoryAhead is how much memory a state may take before its bytes are there:
// those of a struct may stand in later chunks.
const memoryAhead = 8 << 20

// ReadState reads what [WriteState] wrote into v, which is zero so far, with
// the generated function decode. Between a type and itself there are at most so
// many levels of containers. The bytes may be damaged or hostile: ReadState
// neither panics nor allocates out of proportion to the bytes that it received.
// Errors are of type [*Error]; one of src is wrapped. After an error v holds a
// part of the state.
func ReadState[T any](src io.Reader, root string, levels int, v *T, decode func(*Reader, *T)) error {
	in := &chunkReader{src: src, deepest: (maxRecursion + 1) * levels, limit: memoryAhead}
	r := Reader{reader: reader{open: true}, chunks: in, budget: memoryAhead}
	in.start(&r)
	if r.err == nil {
		decode(&r, v)
	}
	in.finish(&r)
	if r.err != nil {
		r.err.Offset += int(in.base)
		return r.err.named(opDecode, root)
	}
	return nil
}

// chunkReader is where a state comes from.
type chunkReader struct {
	src  io.Reader
	crc  uint32
	base int64  // how much was read before the current chunk
	next int64  // how much was read
	buf  []byte // of the current chunk

	deepest int   // how deep the state may nest
	limit   int64 // of the memory that the state may take so far, about
}

// read fills b, what is about to start there.
func (c *chunkReader) read(r *Reader, b []byte, what string) bool {
	n, err := io.ReadFull(c.src, b)
	c.crc = crc32.Update(c.crc, castagnoli, b[:n])
	c.next += int64(n)
	switch {
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		r.refuse(r.off, ErrTruncated, "the stream ends where %s should be", what)
	case err != nil:
		r.refuse(r.off, err, "")
	}
	return err == nil
}

// start reads what stands before the chunks.
func (c *chunkReader) start(r *Reader) {
	magic := make([]byte, len(stateMagic))
	switch {
	case !c.read(r, magic, "the start of a state"):
	case string(magic[:len(magic)-1]) != stateMagic[:len(magic)-1]:
		r.refuse(0, ErrType, "the stream is not the state of a machine")
	case string(magic) != stateMagic:
		r.refuse(0, ErrType, "format %d, where %d is wanted", magic[len(magic)-1], stateMagic[len(magic)-1])
	default:
		c.base = c.next
		c.more(r)
	}
}

// length reads the length of the next chunk, 0 when there is none.
func (c *chunkReader) length(r *Reader) (n int, ok bool) {
	var header [chunkHeader]byte
	if !c.read(r, header[:], "a chunk") {
		return 0, false
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length > maxChunk {
		r.refuse(r.off, ErrTooLarge, "a chunk of %d bytes, at most %d are allowed", length, maxChunk)
		return 0, false
	}
	return int(length), true
}

// more reads the next chunk, which has to be there. Its buffer grows with the
// bytes that arrive.
func (c *chunkReader) more(r *Reader) {
	n, ok := c.length(r)
	if ok && n == 0 {
		r.refuse(r.off, ErrTruncated, "the chunks end too early")
	}
	if r.err != nil {
		return
	}
	begin, got := c.next, 0
	if cap(c.buf) > 2*chunkSize {
		c.buf = nil // of an element that was large
	}
	for got < n {
		if got == cap(c.buf) {
			grown := make([]byte, min(n, max(chunkSize+chunkSize/4, 2*got)))
			copy(grown, c.buf[:got])
			c.buf = grown
		}
		piece := c.buf[:cap(c.buf)][got:min(n, cap(c.buf))]
		if !c.read(r, piece, "the rest of a chunk") {
			return
		}
		got += len(piece)
	}
	c.base = begin
	r.src, r.off = c.buf[:n], 0
	r.budget += memoryPerByte * int64(n)
	c.limit += memoryPerByte * int64(n)
}

// finish reads what stands behind the chunks.
func (c *chunkReader) finish(r *Reader) {
	if r.err != nil {
		return
	}
	if n := r.remaining(); n > 0 {
		r.refuse(r.off, ErrTrailing, "%d bytes follow the state in its chunk", n)
		return
	}
	if n, ok := c.length(r); !ok {
		return
	} else if n > 0 {
		r.refuse(r.off, ErrTrailing, "a chunk follows the state")
		return
	}
	sum := c.crc
	var want [4]byte
	if !c.read(r, want[:], "the checksum") {
		return
	}
	if binary.LittleEndian.Uint32(want[:]) != sum {
		r.refuse(r.off, ErrChecksum, "the checksum of the state does not fit")
		return
	}
	switch _, err := io.ReadFull(c.src, want[:1]); {
	case err == nil:
		r.refuse(r.off, ErrTrailing, "more follows the end of the state")
	case err != io.EOF:
		r.refuse(r.off, err, "")
	}
}

// refill goes on to the next chunk where this one ends.
func (r *Reader) refill() {
	if r.off == len(r.src) && r.err == nil {
		r.chunks.more(r)
	}
}

// Section moves c to the next field of a machine. It returns false at the end
// and when something is wrong; every field has to be there.
func (r *Reader) Section(c *StructCursor) bool {
	if r.err == nil && c.Index != c.end {
		if r.refill(); r.err != nil {
			return false
		}
	}
	if r.Field(c) {
		return true
	}
	if r.err != nil {
		return false
	}
	for i, name := range c.fields.names {
		if word, bit := c.word(i); *word&bit == 0 && (i < c.row || i > c.Index) {
			r.refuse(r.off, ErrMissing, "the field is missing")
			r.in(name)
			return false
		}
	}
	return false
}

// StreamCursor goes through the elements of a slice, or the entries of a map,
// in a state.
type StreamCursor struct {
	Index int  // of the element that comes next
	Room  int  // how many to make room for at first; there may be more or fewer
	Nil   bool // the slice or map is nil

	left  uint64
	size  int64 // of each, in memory
	value bool  // the key of the entry was read
}

// Items reads the start of a slice whose elements take size bytes each, or nil.
func (r *Reader) Items(size int64) StreamCursor {
	if r.Nil() {
		r.depth++
		return StreamCursor{Index: -1, Nil: true}
	}
	at := r.off
	n, ok := r.expectArray()
	if !ok || !r.enter(at) {
		return StreamCursor{Index: -1, Nil: true}
	}
	return StreamCursor{Index: -1, Room: r.room(n, 1, size), left: n, size: size}
}

// Entries reads the start of a map whose entries take size bytes each, or nil.
func (r *Reader) Entries(size int64) StreamCursor {
	if r.Nil() {
		r.depth++
		return StreamCursor{Index: -1, Nil: true}
	}
	at := r.off
	n, ok := r.expectMap()
	if !ok || !r.enter(at) {
		return StreamCursor{Index: -1, Nil: true}
	}
	size *= entryOverhead
	return StreamCursor{Index: -1, Room: r.room(n, 2, size), left: n, size: size}
}

// room returns how many of n elements to make room for at once: no more than
// this chunk can hold, of at least so many bytes each, and not much memory.
func (r *Reader) room(n uint64, least int, size int64) int {
	return int(min(n, uint64(r.remaining()/least), uint64(max(1, chunkSize/max(1, size)))))
}

// Item moves c to the next element. It returns false at the end and when
// something is wrong.
func (r *Reader) Item(c *StreamCursor) bool {
	if r.err == nil && c.left > 0 {
		c.left--
		c.Index++
		r.refill()
		if r.err == nil && r.charge(r.off, c.size) {
			return true
		}
	}
	switch {
	case r.err == nil:
		r.depth--
	case c.Index >= 0:
		r.in(fmt.Sprintf("[%d]", c.Index))
	}
	return false
}

// Entry moves c to the key of the next entry. It returns false at the end and
// when something is wrong; held is how many entries the map holds so far.
func (r *Reader) Entry(c *StreamCursor, held int) bool {
	if r.err == nil && held <= c.Index {
		r.refuse(r.off, ErrDuplicate, "a key comes twice")
		return false
	}
	if r.err == nil && c.left > 0 {
		c.left--
		c.Index++
		c.value = false
		r.refill()
		return r.err == nil && r.charge(r.off, c.size)
	}
	switch {
	case r.err == nil:
		r.depth--
	case c.Index >= 0 && !c.value:
		r.in("[key]")
	}
	return false
}

// EntryValue moves c from the key that was read to its value.
func (r *Reader) EntryValue(c *StreamCursor) { c.value = r.err == nil }

// EndEntry ends the entry of key.
func EndEntry[K comparable](r *Reader, c *StreamCursor, key K) {
	if r.err != nil && c.value {
		r.in(segment(key))
	}
}

// segment returns the path segment of a map's key.
func segment(key any) string {
	v := reflect.ValueOf(key)
	switch {
	case v.Kind() == reflect.String:
		return "[" + quote([]byte(v.String())) + "]"
	case v.CanInt():
		return fmt.Sprintf("[%d]", v.Int())
	case v.CanUint():
		return fmt.Sprintf("[%d]", v.Uint())
	}
	return "[" + quote(fmt.Append(nil, key)) + "]" // of a type with a registered codec
}

// Rebuild replaces the state of a machine, by replace, and has what is derived
// from it made again by rebuild. If that fails, both are called once more,
// which has to undo it.
func Rebuild(root string, replace func(), rebuild func() error) error {
	replace()
	err := rebuild()
	if err == nil {
		return nil
	}
	replace()
	return fmt.Errorf("codec: rebuild %s: %w", root, errors.Join(err, rebuild()))
}
