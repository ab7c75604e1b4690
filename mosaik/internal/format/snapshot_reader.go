package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"lukechampine.com/blake3"
)

// SnapshotReader reads the machine's bytes from a snapshot. Read returns bytes that have been
// checked in their place; the whole snapshot has been checked once Close has returned nil. A
// caller that restores a machine from it must discard the machine if Close fails, even if the
// machine reported success.
type SnapshotReader struct {
	r    io.Reader
	crc  uint32
	hash *blake3.Hasher
	buf  []byte // the part that was read last
	rest []byte // the bytes of a chunk that Read has not returned yet
	err  error  // the first error, io.EOF at the end of a whole snapshot
}

// NewSnapshotReader reads and checks the part before the machine's bytes. It reads nothing behind
// the snapshot. The errors are [ErrVersion], [ErrMalformed] and those of r.
func NewSnapshotReader(r io.Reader) (*SnapshotReader, Snapshot, error) {
	sr := &SnapshotReader{r: r, hash: blake3.New(sumSize, nil)}
	s, err := sr.open()
	if err != nil {
		return nil, Snapshot{}, fmt.Errorf("format: read snapshot: %w", err)
	}
	return sr, s, nil
}

// Read returns the machine's bytes, and io.EOF after the last.
func (r *SnapshotReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		r.chunk()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if n == 0 {
		return 0, r.err
	}
	return n, nil
}

// Close reads the rest and returns an error unless the snapshot is whole. It does not close the
// underlying reader.
func (r *SnapshotReader) Close() error {
	for r.err == nil {
		r.chunk()
	}
	r.rest = nil
	if !errors.Is(r.err, io.EOF) {
		return r.err
	}
	return nil
}

// open reads the header and the session table.
func (r *SnapshotReader) open() (Snapshot, error) {
	var s Snapshot
	// The first bytes identify a snapshot and its version. They are tested before the check,
	// because other versions may have other checks.
	var head [snapshotHeaderSize + checkSize]byte
	if _, err := io.ReadFull(r.r, head[:8]); err != nil {
		return s, unexpected(err)
	}
	if string(head[:7]) != snapshotMagic {
		return s, fmt.Errorf("%w: not a snapshot", ErrMalformed)
	}
	if head[7] != snapshotVersion {
		return s, fmt.Errorf("%w: snapshot version %d, known is %d", ErrVersion, head[7], snapshotVersion)
	}
	if _, err := io.ReadFull(r.r, head[8:]); err != nil {
		return s, unexpected(err)
	}
	if !r.checked(head[:]) {
		return s, fmt.Errorf("%w: damaged header", ErrMalformed)
	}
	sessions, ancestors, err := s.parse(head[:])
	if err != nil {
		return s, err
	}
	return s, r.tables(&s, sessions, ancestors)
}

// tables reads the tables of sessions and ancestors line by line, so that a short stream cannot
// make it allocate for a long table.
func (r *SnapshotReader) tables(s *Snapshot, sessions, ancestors int) error {
	var line [sessionSize]byte
	has := s.TokenBase != 0
	for range sessions {
		if _, err := io.ReadFull(r.r, line[:]); err != nil {
			return unexpected(err)
		}
		r.count(line[:])
		var session Session
		session.parse(line[:])
		s.Sessions = append(s.Sessions, session)
	}
	for range ancestors {
		if _, err := io.ReadFull(r.r, line[:ancestorSize]); err != nil {
			return unexpected(err)
		}
		r.count(line[:ancestorSize])
		s.Ancestors = append(s.Ancestors, [16]byte(line[:ancestorSize]))
	}
	if has {
		if _, err := io.ReadFull(r.r, line[:tokensSize]); err != nil {
			return unexpected(err)
		}
		r.count(line[:tokensSize])
		s.TokenBase = binary.LittleEndian.Uint64(line[:])
	}
	if _, err := io.ReadFull(r.r, line[:checkSize]); err != nil {
		return unexpected(err)
	}
	if !r.checked(line[:checkSize]) {
		return fmt.Errorf("%w: damaged session table", ErrMalformed)
	}
	if has && (s.TokenBase == 0 || s.TokenBase > MaxTokenBase) {
		return fmt.Errorf("%w: token base %d, not from 1 to %d", ErrMalformed, s.TokenBase, uint64(MaxTokenBase))
	}
	return nil
}

// chunk reads the next chunk into rest, or sets err.
func (r *SnapshotReader) chunk() {
	if r.err != nil {
		return
	}
	if r.rest, r.err = r.readChunk(); r.err != nil && !errors.Is(r.err, io.EOF) {
		r.err = fmt.Errorf("format: read snapshot: %w", r.err)
	}
}

func (r *SnapshotReader) readChunk() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return nil, unexpected(err)
	}
	r.count(head[:])
	length := binary.LittleEndian.Uint32(head[:])
	switch {
	case length == 0:
		return nil, r.sum()
	case length > maxChunk:
		return nil, fmt.Errorf("%w: chunk of %d bytes, at most %d are allowed", ErrMalformed, length, maxChunk)
	}
	size := int(length) + checkSize
	if cap(r.buf) < size {
		r.buf = make([]byte, size)
	}
	part := r.buf[:size]
	if _, err := io.ReadFull(r.r, part); err != nil {
		return nil, unexpected(err)
	}
	if !r.checked(part) {
		return nil, fmt.Errorf("%w: damaged chunk", ErrMalformed)
	}
	return part[:length], nil
}

// sum reads the hash at the end. It returns io.EOF if the hash is right.
func (r *SnapshotReader) sum() error {
	var want, got [sumSize]byte
	if _, err := io.ReadFull(r.r, got[:]); err != nil {
		return unexpected(err)
	}
	if r.hash.Sum(want[:0]); want != got {
		return fmt.Errorf("%w: wrong hash", ErrMalformed)
	}
	return io.EOF
}

// checked reports whether the check at the end of part is right, and adds part to the checks.
func (r *SnapshotReader) checked(part []byte) bool {
	n := len(part) - checkSize
	r.crc = crc32.Update(r.crc, castagnoli, part[:n])
	ok := r.crc == binary.LittleEndian.Uint32(part[n:])
	r.hash.Write(part)
	return ok
}

// count adds part to the checks.
func (r *SnapshotReader) count(part []byte) {
	r.crc = crc32.Update(r.crc, castagnoli, part)
	r.hash.Write(part)
}

// unexpected returns err, or io.ErrUnexpectedEOF for the end of the stream.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
