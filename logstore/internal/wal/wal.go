// Package wal is a write-ahead log in segments. It writes and syncs checksummed frames,
// and finds them again after a crash. It does not interpret their payloads.
package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

var (
	// ErrCorrupt reports bytes that a crash cannot explain.
	ErrCorrupt = errors.New("logstore: the log on disk is damaged")
	// ErrFormat reports a log in the format of an incompatible version.
	ErrFormat = errors.New("logstore: the log on disk is of another format")
	// ErrForeign reports a directory that holds other files, or the log of another
	// network.
	ErrForeign = errors.New("logstore: the directory is not this network's")
	// ErrLocked reports a directory that is in use.
	ErrLocked = errors.New("logstore: the directory is in use, by another process or under another name")
	// ErrTooLarge reports a payload of more than [MaxPayload] bytes.
	ErrTooLarge = errors.New("logstore: the batch is too large")
	// ErrRemoved reports a segment that was removed.
	ErrRemoved = errors.New("logstore: the segment was removed")
	// ErrClosed reports a log that was closed.
	ErrClosed = errors.New("logstore: the directory's log is closed")
)

// maxOpen is the number of segment files that stay open, beside the last one.
const maxOpen = 32

// Config configures a log.
type Config struct {
	FS      vfs.FS
	Dir     string // created if it does not exist
	Network [32]byte
	// SegmentSize is the length of a segment's file in bytes, a multiple of 16. A
	// segment is full when it exceeds this length. A longer frame gets a file of a
	// multiple of this length. A log that was not closed must be opened with the
	// size that it was written with, or its last file would seem to be cut.
	SegmentSize int64
	// Begin returns the payload of the first frame in a new directory, after
	// FrameHead reserved bytes.
	Begin func() []byte
	// Found is called before any frame is replayed, with the length of all files.
	Found func(bytes int64)
	// Replay is called for each frame, from the oldest on. The payload is valid until
	// it returns. An error is reported as damage of the log.
	Replay func(at Place, kind Kind, payload []byte) error
	// ID, if not zero, is the id of a new directory. The default is random.
	ID [16]byte
}

// Place is a position in a log.
type Place struct {
	Segment uint64
	Offset  uint32 // in the segment, in bytes
}

// Log is an open log. Its methods must not be called concurrently, except ReadAt, which
// may be called concurrently with any other.
type Log struct {
	cfg    Config
	id     [16]byte
	lock   io.Closer // of the directory
	tail   *segment  // the last segment
	offset int64     // of the next frame in tail
	room   int64     // the length of tail's file
	begun  int64     // the offset at which the first frame of tail ends
	sealed int64     // the length of all segments before tail
	ended  bool      // the last frame is of kind end
	failed error     // the error after which nothing is written

	mu       sync.RWMutex // guards segments, which one goroutine changes
	segments []*segment   // oldest first, consecutive; the last one is tail
	opening  sync.Mutex   // guards opened; taken before the mu of a segment
	opened   []*segment   // in the order in which they were opened, without tail
}

// segment is a file of a log.
type segment struct {
	number uint64
	length int64 // of a complete segment
	name   string

	mu      sync.RWMutex // read-locked during a read of file
	file    vfs.File     // nil if it is closed
	removed bool
}

// Oldest returns the number of the first segment.
func (l *Log) Oldest() uint64 { return l.segments[0].number }

// Newest returns the number of the last segment.
func (l *Log) Newest() uint64 { return l.tail.number }

// Name returns the name of a segment's file, which need not exist.
func (l *Log) Name(number uint64) string { return filepath.Join(l.cfg.Dir, fileName(number)) }

// Length returns the length of a segment in bytes.
func (l *Log) Length(number uint64) int64 {
	if number == l.tail.number {
		return l.offset
	}
	return l.segments[number-l.segments[0].number].length
}

// Size returns the length of all segments in bytes.
func (l *Log) Size() int64 { return l.sealed + l.offset }

// Full reports whether a payload of n bytes belongs in a new segment.
func (l *Log) Full(n int) bool {
	return l.offset > l.begun && l.offset+frameSize(n) > l.cfg.SegmentSize
}

// Append writes a frame with the payload b[FrameHead:], and syncs it. It returns the place
// of the payload, and b, which may have been reallocated. After an error of the disk the
// log rejects all writes.
func (l *Log) Append(b []byte) (Place, []byte, error) { return l.append(b, Data) }

func (l *Log) append(b []byte, kind Kind) (Place, []byte, error) {
	if l.failed != nil {
		return Place{}, b, l.failed
	}
	if err := fits(len(b) - FrameHead); err != nil {
		return Place{}, b, err
	}
	b = l.seal(b, kind, l.tail.number, l.offset)
	err := l.extend(l.offset + int64(len(b)))
	if err == nil {
		err = l.write(b)
	}
	if err != nil {
		return Place{}, b, l.fail(fmt.Errorf("logstore: write %s at %d: %w", l.tail.name, l.offset, err))
	}
	at := Place{l.tail.number, uint32(l.offset + FrameHead)}
	l.offset += int64(len(b))
	l.ended = kind == end
	return at, b, nil
}

// whole returns the length for the file of a segment with n bytes. It is a multiple of
// SegmentSize, which distinguishes it from a file that was cut.
func (l *Log) whole(n int64) int64 {
	size := l.cfg.SegmentSize
	return max(1, (n+size-1)/size) * size
}

// extend makes the last segment's file long enough for n bytes before they are written. A
// file that a write extends may end anywhere after a crash.
func (l *Log) extend(n int64) error {
	if n <= l.room {
		return nil
	}
	if err := l.tail.file.Truncate(l.whole(n)); err != nil {
		return err
	}
	l.room = l.whole(n)
	return l.tail.file.Sync()
}

// fits returns an error if a payload of n bytes is too long.
func fits(n int) error {
	if n > MaxPayload {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, n, MaxPayload)
	}
	return nil
}

func (l *Log) write(b []byte) error {
	if _, err := l.tail.file.WriteAt(b, l.offset); err != nil {
		return err
	}
	return l.tail.file.Sync()
}

func (l *Log) fail(err error) error {
	l.failed = err
	return err
}

// Rotate starts a new segment, whose first payload is begin[FrameHead:].
func (l *Log) Rotate(begin []byte) error {
	if l.failed != nil {
		return l.failed
	}
	l.tail.length = l.offset
	l.sealed += l.offset
	return l.begin(header{id: l.id, network: l.cfg.Network, number: l.tail.number + 1, previous: uint32(l.offset)}, begin)
}

// begin creates the segment of h as the last one.
func (l *Log) begin(h header, begin []byte) error {
	s := l.segment(h.number)
	if err := l.create(s, h, begin); err != nil {
		return l.fail(fmt.Errorf("logstore: begin %s: %w", s.name, err))
	}
	before := l.tail
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.tail = s
	l.mu.Unlock()
	if before == nil {
		return nil
	}
	// Only now is the new segment durable. Without one after it, a file that is cut
	// must end with a frame of kind end.
	err := before.file.Truncate(before.length)
	if err == nil {
		err = before.file.Sync()
	}
	if err != nil {
		return l.fail(fmt.Errorf("logstore: cut %s: %w", before.name, err))
	}
	l.keepOpen(before)
	return nil
}

func (l *Log) create(s *segment, h header, begin []byte) (err error) {
	if err := fits(len(begin) - FrameHead); err != nil {
		return err // the segment could not be read again
	}
	if s.file, err = l.cfg.FS.Create(s.name); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.file.Close())
		}
	}()
	h.format = format
	begin = l.seal(begin, Begin, h.number, headerSize)
	// A write within the length of the file makes the sync cheaper.
	room := l.whole(headerSize + int64(len(begin)))
	if err := s.file.Truncate(room); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	for _, part := range []struct {
		b  []byte
		at int64
	}{{h.marshal(), 0}, {begin, headerSize}} {
		if _, err := s.file.WriteAt(part.b, part.at); err != nil {
			return err
		}
		if err := s.file.Sync(); err != nil {
			return err
		}
	}
	l.begun = headerSize + int64(len(begin))
	l.offset, l.room, l.ended = l.begun, room, false
	return l.cfg.FS.SyncDir(l.cfg.Dir)
}

func (l *Log) segment(number uint64) *segment {
	return &segment{number: number, name: l.Name(number)}
}

// keepOpen records that a segment is open, and closes the oldest one if there are too
// many.
func (l *Log) keepOpen(s *segment) {
	l.opening.Lock()
	defer l.opening.Unlock()
	l.opened = append(l.opened, s)
	if len(l.opened) > maxOpen {
		// The file was only read, so an error of Close loses nothing.
		_ = l.opened[0].close()
		l.opened = l.opened[1:]
	}
}

// close closes the file. The next read opens it again.
func (s *segment) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut()
}

// remove closes the file for good: a reader who comes now, or has just found the
// segment, does not open it again.
func (s *segment) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	return s.shut()
}

// shut closes the file. The caller holds s.mu.
func (s *segment) shut() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// ReadAt fills b from a place on. The error is [ErrRemoved] if the segment was removed.
func (l *Log) ReadAt(b []byte, at Place) error {
	l.mu.RLock()
	var s *segment
	if len(l.segments) > 0 && at.Segment >= l.segments[0].number && at.Segment-l.segments[0].number < uint64(len(l.segments)) {
		s = l.segments[at.Segment-l.segments[0].number]
	}
	l.mu.RUnlock()
	if s == nil {
		return ErrRemoved
	}
	for {
		s.mu.RLock()
		if s.file != nil {
			_, err := s.file.ReadAt(b, int64(at.Offset))
			s.mu.RUnlock()
			if err != nil {
				return fmt.Errorf("logstore: read %s at %d: %w", s.name, at.Offset, err)
			}
			return nil
		}
		s.mu.RUnlock()
		if err := l.reopen(s); err != nil {
			return err
		}
	}
}

// reopen opens a segment that keepOpen closed.
func (l *Log) reopen(s *segment) error {
	s.mu.Lock()
	if s.removed || s.file != nil {
		defer s.mu.Unlock()
		if s.removed {
			return ErrRemoved
		}
		return nil
	}
	var err error
	s.file, err = l.cfg.FS.Open(s.name)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("logstore: read: %w", err)
	}
	l.keepOpen(s)
	return nil
}

// Scan reads the frames of a segment from an offset on, where 0 is its start, until yield
// returns false. It returns the offset at which it stopped, which is the length of the
// segment after the last frame. A payload is valid until yield returns.
func (l *Log) Scan(number uint64, offset int64, yield func(at Place, kind Kind, payload []byte) bool) (int64, error) {
	sc := &scanner{file: placed{l, number}, id: l.id, number: number, limit: l.Length(number), offset: max(offset, headerSize)}
	for {
		at := Place{number, uint32(sc.offset + FrameHead)}
		kind, payload, err := sc.next()
		switch {
		case errors.Is(err, errLimit):
			return sc.offset, nil
		case err != nil:
			return 0, l.damaged(l.segments[number-l.Oldest()].name, sc.offset, err)
		case !yield(at, kind, payload):
			return sc.offset, nil
		}
	}
}

// placed reads a segment of a log, whose file may be open or closed.
type placed struct {
	*Log
	number uint64
}

func (p placed) ReadAt(b []byte, offset int64) (int, error) {
	if err := p.Log.ReadAt(b, Place{p.number, uint32(offset)}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// damaged returns the error of a scanner with the place at which it occurred.
func (l *Log) damaged(name string, offset int64, err error) error {
	if failed := (*readError)(nil); errors.As(err, &failed) {
		return fmt.Errorf("logstore: read %s at %d: %w", name, offset, failed.err)
	}
	return fmt.Errorf("%w: %s at %d: %w", ErrCorrupt, name, offset, err)
}

// RemoveOldest removes the first segment. There must be another one.
func (l *Log) RemoveOldest() error {
	if l.failed != nil {
		return l.failed
	}
	s := l.segments[0]
	l.sealed -= s.length
	l.mu.Lock()
	l.segments = l.segments[1:]
	l.mu.Unlock()
	l.opening.Lock()
	for i := range l.opened {
		if l.opened[i] == s {
			l.opened = append(l.opened[:i:i], l.opened[i+1:]...)
			break
		}
	}
	l.opening.Unlock()
	_ = s.remove() // it was only read
	err := l.cfg.FS.Remove(s.name)
	if err == nil {
		// Before the next removal: no segment after an existing one may be missing.
		err = l.cfg.FS.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		return l.fail(fmt.Errorf("logstore: remove %s: %w", s.name, err))
	}
	return nil
}

// Close writes an end frame, closes the files and unlocks the directory. It returns an
// error of a write that has not been reported before.
func (l *Log) Close() error {
	var err error
	// The end must not lie where the file of a log ends that was not closed.
	for l.failed == nil && (!l.ended || l.offset%l.cfg.SegmentSize == 0) {
		_, _, err = l.append(make([]byte, FrameHead), end)
	}
	if l.failed == nil {
		// It shows the next one where the end must be, and spares it to look for frames
		// behind.
		if err = l.tail.file.Truncate(l.offset); err == nil {
			err = l.tail.file.Sync()
		}
	}
	l.mu.Lock()
	segments := l.segments
	l.segments = nil
	l.mu.Unlock()
	for _, s := range segments {
		err = errors.Join(err, s.remove())
	}
	l.failed = ErrClosed
	return errors.Join(err, l.lock.Close())
}

func newID() (id [16]byte) {
	rand.Read(id[:]) // never fails
	return id
}
