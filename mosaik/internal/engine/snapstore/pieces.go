package snapstore

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// pieceSize is the length of the pieces of a file in memory, in bytes.
const pieceSize = 64 << 10

// pieces is the content of a file in memory. It grows without being copied. Its methods may
// be called concurrently.
type pieces struct {
	mu   sync.Mutex
	all  [][]byte // of pieceSize bytes each, but for the last
	size int64
}

// WriteAt implements [io.WriterAt]. It fails if off lies behind the end, where it would
// leave a hole.
func (c *pieces) WriteAt(p []byte, off int64) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if off < 0 || off > c.size {
		return 0, fmt.Errorf("engine: write to a file in memory at %d: the file has %d bytes", off, c.size)
	}
	for n < len(p) {
		i, at := int(off/pieceSize), int(off%pieceSize)
		if i == len(c.all) {
			c.all = append(c.all, c.newPiece())
		}
		m := min(len(p)-n, pieceSize-at)
		if end := at + m; end > len(c.all[i]) {
			c.all[i] = slices.Grow(c.all[i], end-len(c.all[i]))[:end]
		}
		copy(c.all[i][at:], p[n:n+m])
		n += m
		off += int64(m)
	}
	c.size = max(c.size, off)
	return n, nil
}

// newPiece returns an empty piece. The first piece grows, because most files are small.
func (c *pieces) newPiece() []byte {
	if len(c.all) == 0 {
		return nil
	}
	return make([]byte, 0, pieceSize)
}

// ReadAt implements [io.ReaderAt].
func (c *pieces) ReadAt(p []byte, off int64) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if off < 0 {
		return 0, fmt.Errorf("engine: read a file in memory: the offset %d is negative", off)
	}
	for n < len(p) && off < c.size {
		m := copy(p[n:], c.all[off/pieceSize][off%pieceSize:])
		n += m
		off += int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size returns the length in bytes.
func (c *pieces) Size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// Write implements [io.Writer]: it appends.
func (c *pieces) Write(p []byte) (int, error) { return c.WriteAt(p, c.Size()) }
