// Package wal is a log in segments: checksummed frames, each written and synced
// at once, and found again after a crash. It knows nothing of what is in them.
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
	// ErrCorrupt reports bytes that no crash of ours leaves behind.
	ErrCorrupt = errors.New("logstore: the log on disk is damaged")
	// ErrFormat reports a log of another format, written by another version.
	ErrFormat = errors.New("logstore: the log on disk is of another format")
	// ErrForeign reports a directory that holds something else, or another
	// network's log.
	ErrForeign = errors.New("logstore: the directory is not this network's")
	// ErrLocked reports a directory that is in use.
	ErrLocked = errors.New("logstore: the directory is in use, by another process or under another name")
	// ErrTooLarge reports a payload of more than [MaxPayload] bytes.
	ErrTooLarge = errors.New("logstore: the batch is too large")
	// ErrRemoved reports a segment that is not there any more.
	ErrRemoved = errors.New("logstore: the segment was removed")
	// ErrClosed reports a log that was closed.
	ErrClosed = errors.New("logstore: the directory's log is closed")
)

// maxOpen is how many segments are kept open, beside the last.
const maxOpen = 32

// Config says which log to open.
type Config struct {
	FS      vfs.FS
	Dir     string // made if need be
	Network [32]byte
	// SegmentSize is how long the file of a segment is made, in bytes, a multiple
	// of 16, and past which length it is not continued. A frame that is longer
	// gets a file of several times that length. A log that was not closed must be
	// opened with the size that it was written with: its last file would be taken
	// for one that was cut.
	SegmentSize int64
	// Begin returns the payload of the first frame of a directory's first
	// segment, behind FrameHead free bytes.
	Begin func() []byte
	// Found is told, before any frame is replayed, how long all files are.
	Found func(bytes int64)
	// Replay is given each frame from the oldest on. The payload is valid
	// until it returns. What it refuses is damage.
	Replay func(at Place, kind Kind, payload []byte) error
	// ID, if not zero, is the id of a new directory, which is random otherwise.
	ID [16]byte
}

// Place is where something lies in a log.
type Place struct {
	Segment uint64
	Offset  uint32 // in the segment, in bytes
}

// Log is an open log. One goroutine at a time may call its methods, except
// ReadAt, which may run beside any other call.
type Log struct {
	cfg    Config
	id     [16]byte
	lock   io.Closer
	tail   *segment
	offset int64 // where the next frame goes
	room   int64 // how long the last segment's file is
	begun  int64 // where the last segment's first frame ends
	sealed int64 // bytes of the segments before the last
	ended  bool  // the last frame is an end
	failed error // why nothing can be written any more

	mu       sync.RWMutex // guards segments; held alone by the one who changes them
	segments []*segment   // oldest first, consecutive, the last is tail
	opening  sync.Mutex   // guards opened; comes before a segment's lock
	opened   []*segment   // by age of the opening, without tail
}

// segment is one file of a log.
type segment struct {
	number uint64
	length int64 // of a segment that is complete
	name   string

	mu      sync.RWMutex // held while file is read
	file    vfs.File     // nil while it is closed
	removed bool
}

// Oldest and Newest return the numbers of the first and the last segment.
func (l *Log) Oldest() uint64 { return l.segments[0].number }

// Newest returns the number of the last segment.
func (l *Log) Newest() uint64 { return l.tail.number }

// Name returns the name of a segment's file, which need not be there.
func (l *Log) Name(number uint64) string { return filepath.Join(l.cfg.Dir, fileName(number)) }

// Length returns how many bytes a segment holds.
func (l *Log) Length(number uint64) int64 {
	if number == l.tail.number {
		return l.offset
	}
	return l.segments[number-l.segments[0].number].length
}

// Size returns how many bytes all segments hold.
func (l *Log) Size() int64 { return l.sealed + l.offset }

// Full reports whether a payload of n bytes should go to a new segment.
func (l *Log) Full(n int) bool {
	return l.offset > l.begun && l.offset+frameSize(n) > l.cfg.SegmentSize
}

// Append writes a frame and syncs it. The payload is b[FrameHead:]. It returns
// where the payload lies, and b, which may have moved. After an error nothing
// can be written any more.
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

// whole returns how long the file of a segment is made that holds n bytes: a
// multiple of SegmentSize, which tells it from one that was cut.
func (l *Log) whole(n int64) int64 {
	size := l.cfg.SegmentSize
	return max(1, (n+size-1)/size) * size
}

// extend makes the last segment's file long enough for n bytes, before they are
// written: a file that a write makes longer may end anywhere after a crash.
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

// fits reports a payload that is longer than a frame may be.
func fits(n int) error {
	if n > MaxPayload {
		return fmt.Errorf("%w: %d bytes, at most %d can be written at once", ErrTooLarge, n, MaxPayload)
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

// Rotate begins a new segment, whose first payload is begin[FrameHead:].
func (l *Log) Rotate(begin []byte) error {
	if l.failed != nil {
		return l.failed
	}
	l.tail.length = l.offset
	l.sealed += l.offset
	return l.begin(header{id: l.id, network: l.cfg.Network, number: l.tail.number + 1, previous: uint32(l.offset)}, begin)
}

// begin makes the segment of h the last one.
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
	// Not before the new segment is there for good: the file of the last one is cut
	// only behind an end, which says that it was closed.
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
		return err // what begins so could not be read again
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
	// Writing within the length of a file makes a sync cheaper.
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

// keepOpen notes that a segment is open, and closes another if there are too many.
func (l *Log) keepOpen(s *segment) {
	l.opening.Lock()
	defer l.opening.Unlock()
	l.opened = append(l.opened, s)
	if len(l.opened) > maxOpen {
		// What was only read can be closed whatever that says.
		_ = l.opened[0].close()
		l.opened = l.opened[1:]
	}
}

// close closes the file until it is read again.
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

// shut closes the file. Called with s.mu.
func (s *segment) shut() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// ReadAt fills b from a place on. It returns [ErrRemoved] if the segment is gone.
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

// reopen opens a segment again that was closed because others were used.
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

// Scan reads the frames of a segment from an offset on, 0 for its beginning, as
// long as yield returns true, and returns where it stopped: the segment's
// length once there is no more. A payload is valid until yield returns.
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

// placed reads a segment of a log, which may be open or not.
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

// damaged makes an error of what a scanner found.
func (l *Log) damaged(name string, offset int64, err error) error {
	if failed := (*readError)(nil); errors.As(err, &failed) {
		return fmt.Errorf("logstore: read %s at %d: %w", name, offset, failed.err)
	}
	return fmt.Errorf("%w: %s at %d: %w", ErrCorrupt, name, offset, err)
}

// RemoveOldest removes the first segment, which is not the last one too.
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
		// Before the next one goes: a segment may be missing only before all others.
		err = l.cfg.FS.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		return l.fail(fmt.Errorf("logstore: remove %s: %w", s.name, err))
	}
	return nil
}

// Close says at the log's end that it is one, closes the files and unlocks the
// directory. It returns why writing failed, if it did only now.
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
