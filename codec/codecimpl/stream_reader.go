package codecimpl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// memoryAhead is how much memory a state may use in advance of the bytes received, in
// bytes. The bytes of a struct may be in later chunks.
const memoryAhead = 8 << 20

// ReadState reads what [WriteState] wrote into v, which must be zero, with the
// generated function decode. containers is the maximum number of containers between two
// values of a recursive type, and before the first. The bytes may be
// damaged or hostile: ReadState neither panics nor allocates out of proportion to
// the bytes that it received. Errors are of type [*codec.Error]; an error of src is
// wrapped. After an error v holds a part of the state.
func ReadState[T any](src io.Reader, root string, containers int, v *T, decode func(*Reader, *T)) error {
	in := &chunkReader{src: src, deepest: (maxRecursion + 1) * containers, limit: memoryAhead}
	r := Reader{input: wire.Reader{Open: true}, chunks: in, budget: memoryAhead}
	in.start(&r)
	if r.fault == nil {
		decode(&r, v)
	}
	in.finish(&r)
	if r.fault != nil {
		r.fault.Offset += int(in.base)
		return failed(opDecode, root, r.fault)
	}
	return nil
}

// chunkReader reads the chunks of a state.
type chunkReader struct {
	src  io.Reader
	crc  uint32
	base int64  // how many bytes were read before the current chunk
	next int64  // how many bytes were read
	buf  []byte // holds the current chunk

	deepest int   // how deep the state may nest
	limit   int64 // how much memory the state may take so far, in bytes, roughly
}

// read fills b. For errors, what is the part of the stream that starts there.
func (c *chunkReader) read(r *Reader, b []byte, what string) bool {
	n, err := io.ReadFull(c.src, b)
	c.crc = crc32.Update(c.crc, castagnoli, b[:n])
	c.next += int64(n)
	switch {
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		r.refuse(r.input.Off, codec.ErrTruncated, "the stream ends where %s should be", what)
	case err != nil:
		r.refuse(r.input.Off, err, "")
	}
	return err == nil
}

// start reads the magic and the first chunk.
func (c *chunkReader) start(r *Reader) {
	magic := make([]byte, len(stateMagic))
	switch {
	case !c.read(r, magic, "the start of a state"):
	case string(magic[:len(magic)-1]) != stateMagic[:len(magic)-1]:
		r.refuse(0, codec.ErrType, "the stream is not the state of a machine")
	case string(magic) != stateMagic:
		r.refuse(0, codec.ErrType, "format %d, where %d is wanted", magic[len(magic)-1], stateMagic[len(magic)-1])
	default:
		c.base = c.next
		c.more(r)
	}
}

// length reads the length of the next chunk, 0 at the end of the chunks.
func (c *chunkReader) length(r *Reader) (n int, ok bool) {
	var header [chunkHeader]byte
	if !c.read(r, header[:], "a chunk") {
		return 0, false
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length > maxChunk {
		r.refuse(r.input.Off, codec.ErrTooLarge, "a chunk of %d bytes, at most %d are allowed", length, maxChunk)
		return 0, false
	}
	return int(length), true
}

// more reads the next chunk, which must exist. The buffer grows with the bytes that
// arrive, since a hostile length may be wrong.
func (c *chunkReader) more(r *Reader) {
	n, ok := c.length(r)
	if ok && n == 0 {
		r.refuse(r.input.Off, codec.ErrTruncated, "the chunks end too early")
	}
	if r.fault != nil {
		return
	}
	begin, got := c.next, 0
	if cap(c.buf) > 2*chunkSize {
		c.buf = nil // a large element had made it grow
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
	r.input.Src, r.input.Off = c.buf[:n], 0
	r.budget += wire.MemoryPerByte * int64(n)
	c.limit += wire.MemoryPerByte * int64(n)
}

// finish reads the end of the chunks and the checksum.
func (c *chunkReader) finish(r *Reader) {
	if r.fault != nil {
		return
	}
	if n := r.input.Remaining(); n > 0 {
		r.refuse(r.input.Off, codec.ErrTrailing, "%d bytes follow the state in its chunk", n)
		return
	}
	if n, ok := c.length(r); !ok {
		return
	} else if n > 0 {
		r.refuse(r.input.Off, codec.ErrTrailing, "a chunk follows the state")
		return
	}
	sum := c.crc
	var want [4]byte
	if !c.read(r, want[:], "the checksum") {
		return
	}
	if binary.LittleEndian.Uint32(want[:]) != sum {
		r.refuse(r.input.Off, codec.ErrChecksum, "the checksum of the state does not fit")
		return
	}
	switch _, err := io.ReadFull(c.src, want[:1]); {
	case err == nil:
		r.refuse(r.input.Off, codec.ErrTrailing, "more follows the end of the state")
	case err != io.EOF:
		r.refuse(r.input.Off, err, "")
	}
}

// refill reads the next chunk if r is at the end of this one.
func (r *Reader) refill() {
	if r.input.Off == len(r.input.Src) && r.fault == nil {
		r.chunks.more(r)
	}
}

// Section moves c to the next field of a machine. It returns false at the end of
// the state and on error. A missing field is a [codec.ErrMissing].
func (r *Reader) Section(c *StructCursor) bool {
	if r.fault == nil && c.Index != c.end {
		if r.refill(); r.fault != nil {
			return false
		}
	}
	if r.Field(c) {
		return true
	}
	if r.fault != nil {
		return false
	}
	for i, name := range c.fields.names {
		if word, bit := c.word(i); *word&bit == 0 && (i < c.row || i > c.Index) {
			r.refuse(r.input.Off, codec.ErrMissing, "the field is missing")
			r.locate(name)
			return false
		}
	}
	return false
}

// StreamCursor iterates over the elements of a slice, or the entries of a map, in a
// state.
type StreamCursor struct {
	Index int  // of the element that comes next
	Cap   int  // the capacity to begin with; there may be more or fewer elements
	Nil   bool // the slice or map is nil

	left  uint64 // how many elements remain
	size  int64  // the memory that each takes, in bytes
	value bool   // the key of the current entry was read
}

// Items reads nil or the start of a slice whose elements take size bytes of memory
// each.
func (r *Reader) Items(size int64) StreamCursor {
	if r.Nil() {
		r.depth++
		return StreamCursor{Index: -1, Nil: true}
	}
	at := r.input.Off
	n, ok := r.expectArray()
	if !ok || !r.enter(at) {
		return StreamCursor{Index: -1, Nil: true}
	}
	return StreamCursor{Index: -1, Cap: r.capacity(n, 1, size), left: n, size: size}
}

// Entries reads nil or the start of a map whose entries take size bytes of memory
// each.
func (r *Reader) Entries(size int64) StreamCursor {
	if r.Nil() {
		r.depth++
		return StreamCursor{Index: -1, Nil: true}
	}
	at := r.input.Off
	n, ok := r.expectMap()
	if !ok || !r.enter(at) {
		return StreamCursor{Index: -1, Nil: true}
	}
	size *= wire.EntryOverhead
	return StreamCursor{Index: -1, Cap: r.capacity(n, 2, size), left: n, size: size}
}

// capacity returns the initial capacity for n elements of size bytes of memory: at most
// the number of elements of least bytes that the rest of the chunk can hold, and at
// most as many as fit into the memory of a chunk.
func (r *Reader) capacity(n uint64, least int, size int64) int {
	return int(min(n, uint64(r.input.Remaining()/least), uint64(max(1, chunkSize/max(1, size)))))
}

// Item moves c to the next element. It returns false at the end of the slice and on
// error.
func (r *Reader) Item(c *StreamCursor) bool {
	if r.fault == nil && c.left > 0 {
		c.left--
		c.Index++
		r.refill()
		if r.fault == nil && r.charge(r.input.Off, c.size) {
			return true
		}
	}
	switch {
	case r.fault == nil:
		r.depth--
	case c.Index >= 0:
		r.locate(fmt.Sprintf("[%d]", c.Index))
	}
	return false
}

// Entry moves c to the key of the next entry. It returns false at the end of the map
// and on error. The map holds so many entries so far, held: fewer than were read if
// a key occurred twice.
func (r *Reader) Entry(c *StreamCursor, held int) bool {
	if r.fault == nil && held <= c.Index {
		r.refuse(r.input.Off, codec.ErrDuplicate, "a key comes twice")
		return false
	}
	if r.fault == nil && c.left > 0 {
		c.left--
		c.Index++
		c.value = false
		r.refill()
		return r.fault == nil && r.charge(r.input.Off, c.size)
	}
	switch {
	case r.fault == nil:
		r.depth--
	case c.Index >= 0 && !c.value:
		r.locate("[key]")
	}
	return false
}

// EntryValue moves c from a key to its value.
func (r *Reader) EntryValue(c *StreamCursor) { c.value = r.fault == nil }

// EndEntry ends the entry of key, which it adds to the path of an error.
func EndEntry[K comparable](r *Reader, c *StreamCursor, key K) {
	if r.fault != nil && c.value {
		r.locate(segment(key))
	}
}

// segment returns the path segment of a map's key.
func segment(key any) string {
	v := reflect.ValueOf(key)
	switch {
	case v.Kind() == reflect.String:
		return "[" + wire.Quote([]byte(v.String())) + "]"
	case v.CanInt():
		return fmt.Sprintf("[%d]", v.Int())
	case v.CanUint():
		return fmt.Sprintf("[%d]", v.Uint())
	}
	return "[" + wire.Quote(fmt.Append(nil, key)) + "]" // of a type with a registered codec
}

// Rebuild replaces the state of a machine by calling replace, and what is derived
// from the state by calling rebuild. If rebuild fails, Rebuild calls both again: the
// second replace restores the old state.
func Rebuild(root string, replace func(), rebuild func() error) error {
	replace()
	err := rebuild()
	if err == nil {
		return nil
	}
	replace()
	return fmt.Errorf("codec: rebuild %s: %w", root, errors.Join(err, rebuild()))
}
