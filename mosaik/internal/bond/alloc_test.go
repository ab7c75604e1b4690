package bond

import (
	"bytes"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
)

// TestParsersAllocateWhatTheyRead measures what parsing allocates for the seeds of FuzzFrames,
// mutations of them, and entries of no bytes.
func TestParsersAllocateWhatTheyRead(t *testing.T) {
	bound := alloc.Bound{PerByte: 12, Fixed: 2 << 10} // reencode copies, too
	for _, g := range goldenFrames {
		bound.Check(t, func(b []byte) { reencode(g.kind, b) }, alloc.Variants(g.payload)...)
	}
	for _, size := range []int{4, 1 << 10, maxFrame} {
		bound.Check(t, func(b []byte) { parseEntries(b) }, make([]byte, size), append(make([]byte, size), 1), bytes.Repeat([]byte{0, 0, 0, 1, 0}, size/4))
	}
}
