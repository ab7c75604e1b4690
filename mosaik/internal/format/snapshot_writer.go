package format

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"lukechampine.com/blake3"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SnapshotWriter writes a snapshot: NewSnapshotWriter writes the part before the machine's bytes,
// Write the machine's bytes, and Close the end. A reader refuses a stream that was not closed.
type SnapshotWriter struct {
	w     io.Writer
	crc   uint32
	hash  *blake3.Hasher
	chunk []byte // 4 bytes for the length, then up to maxChunk bytes
	err   error  // the first error, which later calls return
}

// NewSnapshotWriter writes s to w and returns the writer of the machine's bytes. It fails for more
// than [MaxSessions] sessions or [MaxAncestors] ancestors, or a token base above [MaxTokenBase].
func NewSnapshotWriter(w io.Writer, s *Snapshot) (*SnapshotWriter, error) {
	if len(s.Sessions) > MaxSessions {
		return nil, fmt.Errorf("format: write snapshot: %d sessions, at most %d are allowed", len(s.Sessions), MaxSessions)
	}
	if len(s.Ancestors) > MaxAncestors {
		return nil, fmt.Errorf("format: write snapshot: %d ancestors, at most %d are allowed", len(s.Ancestors), MaxAncestors)
	}
	if s.TokenBase > MaxTokenBase {
		return nil, fmt.Errorf("format: write snapshot: token base %d, at most %d is allowed", s.TokenBase, uint64(MaxTokenBase))
	}
	sw := &SnapshotWriter{
		w:     w,
		hash:  blake3.New(sumSize, nil),
		chunk: make([]byte, 4, 4+maxChunk+checkSize),
	}
	head := make([]byte, 0, snapshotHeaderSize+len(s.Sessions)*sessionSize+2*checkSize)
	head = sw.check(s.append(head), 0)
	start := len(head)
	for i := range s.Sessions {
		head = s.Sessions[i].append(head)
	}
	for _, a := range s.Ancestors {
		head = append(head, a[:]...)
	}
	if s.TokenBase != 0 {
		head = binary.LittleEndian.AppendUint64(head, s.TokenBase)
	}
	sw.put(sw.check(head, start))
	return sw, sw.err
}

// Write appends to the machine's bytes.
func (w *SnapshotWriter) Write(p []byte) (int, error) {
	var done int
	for done < len(p) && w.err == nil {
		n := copy(w.chunk[len(w.chunk):4+maxChunk], p[done:])
		w.chunk = w.chunk[:len(w.chunk)+n]
		done += n
		if len(w.chunk) == 4+maxChunk {
			w.flush()
		}
	}
	return done, w.err
}

// Close ends the snapshot. It does not close the underlying writer.
func (w *SnapshotWriter) Close() error {
	if len(w.chunk) > 4 {
		w.flush()
	}
	w.put(make([]byte, 4))
	if w.err == nil {
		_, w.err = w.w.Write(w.hash.Sum(nil))
	}
	if w.err == nil {
		w.err = errSnapshotClosed
		return nil
	}
	return w.err
}

var errSnapshotClosed = fmt.Errorf("format: write snapshot: %w", io.ErrClosedPipe)

func (w *SnapshotWriter) flush() {
	binary.LittleEndian.PutUint32(w.chunk, uint32(len(w.chunk)-4))
	w.put(w.check(w.chunk, 0))
	w.chunk = w.chunk[:4]
}

// check appends the check of all earlier bytes and b[from:].
func (w *SnapshotWriter) check(b []byte, from int) []byte {
	w.crc = crc32.Update(w.crc, castagnoli, b[from:])
	return binary.LittleEndian.AppendUint32(b, w.crc)
}

func (w *SnapshotWriter) put(b []byte) {
	if w.err != nil {
		return
	}
	w.hash.Write(b)
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("format: write snapshot: %w", err)
	}
}
