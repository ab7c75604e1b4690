package codecimpl

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Machine state v1 is the stream that generated snapshots consist of. Integers are
// little endian.
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
// Nothing follows. Together the chunks are one MessagePack map, from the names of
// the machine's fields to their values in the encoding of commands. Every field is
// present, and the keys of maps are sorted. Strings may hold any bytes. A chunk ends
// once it has 65536 bytes or more, in front of an element of a slice, a key of a map
// or the name of a field of the machine.
const stateMagic = "MSKMACH\x01"

const (
	chunkHeader = 4
	chunkSize   = 64 << 10
	maxChunk    = 64 << 20
	// maxRecursion bounds how deep recursive types nest in a state.
	maxRecursion = 1000
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteState writes the state of a machine, v, with the generated function encode.
// It buffers one chunk, of little more than 64 KiB. What lies between two elements
// of slices or maps, such as a single string, may have at most 64 MiB; above that
// the error is [codec.ErrTooLarge]. Errors are of type [*codec.Error]; an error of
// dst is wrapped.
func WriteState[T any](dst io.Writer, root string, v *T, encode func([]byte, *T, *Encoder) []byte) error {
	return writeState(&chunkWriter{w: dst, flushAt: chunkSize + chunkHeader}, root, v, encode)
}

func writeState[T any](out *chunkWriter, root string, v *T, encode func([]byte, *T, *Encoder) []byte) error {
	e := Encoder{out: out}
	out.put([]byte(stateMagic))
	out.finish(encode(make([]byte, chunkHeader, chunkSize+chunkSize/4), v, &e))
	if out.fault != nil {
		return failed(opEncode, root, out.fault)
	}
	return nil
}

// chunkWriter writes a state.
type chunkWriter struct {
	w       io.Writer
	crc     uint32
	section string      // the path of the machine's field that is being written
	fault   *wire.Fault // the first one; nothing is written after it
	flushAt int         // the length of a buffer at which Flush does something

	keeping *kept  // receives the places where a chunk may end; nil while chunks are written
	frozen  []kept // the next fields that a view kept, nil without a view
}

// stop records the first error, after which nothing is written.
func (c *chunkWriter) stop(err error, format string, args ...any) {
	if c.fault == nil {
		c.fault = &wire.Fault{Path: c.section, Err: err, Detail: fmt.Sprintf(format, args...)}
	}
}

// put writes bytes as they are.
func (c *chunkWriter) put(b []byte) {
	if c.fault != nil {
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

// chunk writes b as a chunk. The first bytes of b are reserved for its length. It
// returns the start of the next chunk, or nil after an error.
func (c *chunkWriter) chunk(b []byte) []byte {
	n := len(b) - chunkHeader
	if n > maxChunk {
		c.stop(codec.ErrTooLarge, "%d bytes without a slice or map between, at most %d are allowed", n, maxChunk)
	}
	if c.fault != nil {
		return nil
	}
	binary.LittleEndian.PutUint32(b, uint32(n))
	c.put(b)
	if c.fault != nil {
		return nil
	}
	if cap(b) > 2*chunkSize {
		b = make([]byte, 0, chunkSize+chunkSize/4) // a large element had made it grow
	}
	return b[:chunkHeader]
}

// finish writes b as the last chunk, then the end of the chunks and the checksum.
func (c *chunkWriter) finish(b []byte) {
	if c.fault == nil {
		c.chunk(b)
	}
	c.put(make([]byte, chunkHeader))
	c.put(binary.LittleEndian.AppendUint32(nil, c.crc))
}

// enter is Enter for a state.
func (e *Encoder) enter() bool {
	if e.depth >= maxRecursion {
		e.out.stop(codec.ErrDepth, "types nest within themselves more than %d times, or pointers lead in a circle", maxRecursion)
	}
	if e.out.fault != nil {
		return false
	}
	e.depth++
	return true
}

// Section is [Encoder.Flush] in front of the machine's field with the Go path.
func (e *Encoder) Section(b []byte, path string) []byte {
	b = e.Flush(b)
	e.out.section = path
	return b
}

// Flush writes b as a chunk of a state if b is large enough for one. It returns the
// slice to append to, or nil after an error.
func (e *Encoder) Flush(b []byte) []byte {
	if len(b) < e.out.flushAt && e.out.fault == nil {
		return b
	}
	return e.out.flush(b)
}

func (c *chunkWriter) flush(b []byte) []byte {
	switch {
	case c.keeping == nil:
		return c.chunk(b)
	case c.fault != nil:
		return nil
	}
	c.keeping.mark(len(b))
	return b
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

// counted refuses more elements than a header can hold.
func (c *chunkWriter) counted(n int) {
	if uint64(n) > math.MaxUint32 {
		c.stop(codec.ErrTooLarge, "%d elements, at most %d are allowed", n, uint32(math.MaxUint32))
	}
}
