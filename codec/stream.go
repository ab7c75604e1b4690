package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// Machine state v1: what generated snapshots are made of, as one stream.
// Integers are little endian.
//
//	offset  size  field
//	     0     7  magic "MSKMACH"
//	     7     1  version, 1
//	     8     -  chunks of the state:
//	                4 bytes length, 1 to 67108864
//	                as many bytes
//	     -     4  0, the end of the chunks
//	     -     4  CRC-32C of everything before
//
// Nothing follows. The chunks together are one MessagePack map, from the names
// of the machine's fields to their values in the encoding of commands, in which
// every field stands and the keys of maps are sorted. Strings are whatever bytes
// the machine holds. A chunk ends once it has 65536 bytes or more, in front of
// an element of a slice, a key of a map or the name of a field of the machine.
const stateMagic = "MSKMACH\x01"

const (
	chunkHeader = 4
	chunkSize   = 64 << 10
	maxChunk    = 64 << 20
	// maxRecursion bounds how often types in a state are nested within
	// themselves.
	maxRecursion = 1000
)

// ErrChecksum reports a state whose bytes are not those that were written.
var ErrChecksum = errors.New("codec: checksum mismatch")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteState writes the state of a machine, v, with the generated function
// encode. It holds one chunk at a time, 64 KiB or a little more; between two
// elements of slices or maps at most 64 MiB may stand, a single string, say,
// beyond which the error is [ErrTooLarge]. An error of dst is wrapped.
func WriteState[T any](dst io.Writer, root string, v *T, encode func([]byte, *T, *Encoder) []byte) error {
	out := &chunkWriter{w: dst}
	e := Encoder{out: out}
	out.put([]byte(stateMagic))
	out.finish(encode(make([]byte, chunkHeader, chunkSize+chunkSize/4), v, &e))
	if out.err != nil {
		return out.err.named(opEncode, root)
	}
	return nil
}

// chunkWriter is where a state goes.
type chunkWriter struct {
	w       io.Writer
	crc     uint32
	section string // the machine's field that is being written
	err     *Error // the first
}

// stop remembers the first error; nothing is written any more.
func (c *chunkWriter) stop(err error, format string, args ...any) {
	if c.err == nil {
		c.err = &Error{Path: c.section, Err: err, Detail: fmt.Sprintf(format, args...)}
	}
}

// put writes bytes as they are.
func (c *chunkWriter) put(b []byte) {
	if c.err != nil {
		return
	}
	c.crc = crc32.Update(c.crc, castagnoli, b)
	n, err := c.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		c.stop(err, "")
	}
}

// chunk writes b, which begins with room for its length, as a chunk. It returns
// the start of the next one, nil when something is wrong.
func (c *chunkWriter) chunk(b []byte) []byte {
	n := len(b) - chunkHeader
	if n > maxChunk {
		c.stop(ErrTooLarge, "%d bytes without a slice or map between, at most %d are allowed", n, maxChunk)
	}
	if c.err != nil {
		return nil
	}
	binary.LittleEndian.PutUint32(b, uint32(n))
	c.put(b)
	if c.err != nil {
		return nil
	}
	if cap(b) > 2*chunkSize {
		b = make([]byte, 0, chunkSize+chunkSize/4) // of an element that was large
	}
	return b[:chunkHeader]
}

// finish writes the last chunk and what comes behind it.
func (c *chunkWriter) finish(b []byte) {
	if c.err == nil {
		c.chunk(b)
	}
	c.put(make([]byte, chunkHeader))
	c.put(binary.LittleEndian.AppendUint32(nil, c.crc))
}

// enter counts one more level of a recursive type.
func (e *Encoder) enter() bool {
	if e.depth >= maxRecursion {
		e.out.stop(ErrDepth, "types nest within themselves more than %d times, or pointers lead in a circle", maxRecursion)
	}
	if e.out.err != nil {
		return false
	}
	e.depth++
	return true
}

// Section is [Encoder.Flush] in front of the machine's field of that path in Go.
func (e *Encoder) Section(b []byte, path string) []byte {
	b = e.Flush(b)
	e.out.section = path
	return b
}

// Flush writes b as a chunk of a state if it is large enough for one. It
// returns where to go on, or nil when it makes no sense to.
func (e *Encoder) Flush(b []byte) []byte {
	if len(b) < chunkSize+chunkHeader && e.out.err == nil {
		return b
	}
	return e.out.chunk(b)
}

// Items is [Encoder.SliceHeader] for a slice in a state.
func (e *Encoder) Items(b []byte, n int) []byte {
	e.out.counted(n)
	return e.SliceHeader(b, n)
}

// Entries is [Encoder.MapHeader] for a map in a state.
func (e *Encoder) Entries(b []byte, n int) []byte {
	e.out.counted(n)
	return e.MapHeader(b, n)
}

// counted refuses more elements than can be announced.
func (c *chunkWriter) counted(n int) {
	if uint64(n) > math.MaxUint32 {
		c.stop(ErrTooLarge, "%d elements, at most %d are allowed", n, uint32(math.MaxUint32))
	}
}
