package wal

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// lockFile is the file whose lock protects the directory.
const lockFile = "LOCK"

func fileName(number uint64) string { return fmt.Sprintf("%016x.log", number) }

// Open opens the log in a directory, which it creates if it does not exist, and replays
// it. It erases a torn frame at the end, which was never synced. Anything else that cannot
// be read is an [ErrCorrupt], which names the file and the offset.
func Open(cfg Config) (*Log, error) {
	if err := vfs.MkdirAll(cfg.FS, cfg.Dir); err != nil {
		return nil, fmt.Errorf("logstore: open %s: %w", cfg.Dir, err)
	}
	lock, err := cfg.FS.Lock(filepath.Join(cfg.Dir, lockFile))
	if err != nil {
		if errors.Is(err, vfs.ErrLocked) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("logstore: open %s: %w", cfg.Dir, err)
	}
	l := &Log{cfg: cfg, lock: lock}
	if err := l.open(); err != nil {
		for _, s := range l.segments {
			err = errors.Join(err, s.close())
		}
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

func (l *Log) open() error {
	if err := l.list(); err != nil {
		return err
	}
	if err := l.dropUnborn(); err != nil {
		return err
	}
	if len(l.segments) == 0 {
		if l.id = l.cfg.ID; l.id == [16]byte{} {
			l.id = newID()
		}
		return l.begin(header{id: l.id, network: l.cfg.Network, number: 1}, l.cfg.Begin())
	}
	headers, total := make([]header, len(l.segments)), int64(0)
	for i, s := range l.segments {
		h, size, err := l.header(s)
		if err != nil {
			return err
		}
		total += size
		if i == 0 {
			l.id = h.id
		}
		switch {
		case h.network != l.cfg.Network:
			return fmt.Errorf("%w: %s belongs to network %x", ErrForeign, s.name, h.network)
		case h.id != l.id:
			return fmt.Errorf("%w: %s comes from another directory than the one before it", ErrCorrupt, s.name)
		}
		headers[i] = h
	}
	l.cfg.Found(total)
	for i, s := range l.segments[:len(l.segments)-1] {
		s.length = int64(headers[i+1].previous)
		l.sealed += s.length
		if err := l.replay(s); err != nil {
			return err
		}
	}
	return l.replayTail(headers[len(headers)-1].format)
}

// list finds the segments and checks that none is missing between them.
func (l *Log) list() error {
	names, err := l.cfg.FS.List(l.cfg.Dir)
	if err != nil {
		return fmt.Errorf("logstore: open %s: %w", l.cfg.Dir, err)
	}
	for _, name := range names { // sorted by number, as they are of one length
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		var number uint64
		if _, err := fmt.Sscanf(name, "%x.log", &number); err != nil || name != fileName(number) || number == 0 || number > math.MaxUint32 {
			return fmt.Errorf("%w: %s is not the name of a segment", ErrForeign, filepath.Join(l.cfg.Dir, name))
		}
		if n := len(l.segments); n > 0 && l.segments[n-1].number+1 != number {
			return fmt.Errorf("%w: %s is missing", ErrCorrupt, filepath.Join(l.cfg.Dir, fileName(l.segments[n-1].number+1)))
		}
		l.segments = append(l.segments, l.segment(number))
	}
	return nil
}

func (l *Log) header(s *segment) (h header, size int64, err error) {
	size, err = l.load(s)
	if err != nil {
		return header{}, 0, err
	}
	b := make([]byte, min(headerSize, size))
	if _, err := s.file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return header{}, 0, fmt.Errorf("logstore: read %s: %w", s.name, err)
	}
	h, err = parseHeader(b, s.number)
	if err != nil {
		return header{}, 0, fmt.Errorf("%w (%s at 0)", err, s.name)
	}
	if s != l.segments[len(l.segments)-1] {
		err = s.close() // the replay opens it again
	}
	return h, size, err
}

// load opens a segment and returns the file's length.
func (l *Log) load(s *segment) (size int64, err error) {
	if s.file == nil {
		if s.file, err = l.cfg.FS.Open(s.name); err != nil {
			return 0, fmt.Errorf("logstore: open: %w", err)
		}
	}
	if size, err = s.file.Size(); err != nil {
		return 0, fmt.Errorf("logstore: open %s: %w", s.name, err)
	}
	if size > math.MaxUint32 {
		return 0, fmt.Errorf("%w: %s is %d bytes long, a segment at most %d", ErrCorrupt, s.name, size, uint32(math.MaxUint32))
	}
	return size, nil
}

// dropUnborn removes the last segment if a crash interrupted its creation. It has no
// content then.
func (l *Log) dropUnborn() error {
	if len(l.segments) == 0 {
		return nil
	}
	s := l.segments[len(l.segments)-1]
	size, err := l.load(s)
	if err != nil {
		return err
	}
	before := header{format: format}
	cut := s.number > 1 // an older segment was removed only after this one was created
	if n := len(l.segments); n > 1 {
		var size int64
		if before, size, err = l.header(l.segments[n-2]); err != nil {
			return err
		}
		cut = l.cut(before.format, size)
	}
	unborn, err := l.unborn(s, size, before.format)
	if err != nil || !unborn {
		return err
	}
	if cut && before.format > formatOld {
		return fmt.Errorf("%w: %s at 0: it lost its start: the segment before it is cut or removed, which happens only once this one is complete",
			ErrCorrupt, s.name)
	}
	err = s.close()
	if err == nil {
		err = l.cfg.FS.Remove(s.name)
	}
	if err == nil {
		err = l.cfg.FS.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("logstore: remove %s, which holds nothing: %w", s.name, err)
	}
	l.segments = l.segments[:len(l.segments)-1]
	return nil
}

// unborn reports whether the header or the first frame of a segment was not written. The
// segment before it has the format before.
func (l *Log) unborn(s *segment, size int64, before uint32) (bool, error) {
	sc := &scanner{file: s.file, number: s.number, limit: size, offset: headerSize}
	b, err := sc.bytes(0, headerSize)
	if err != nil {
		return false, l.damaged(s.name, 0, err)
	}
	h, err := parseHeader(b, s.number)
	if err != nil {
		if size > 0 && l.cut(before, size) && (before > formatOld || size > headerSize) {
			// The file gets its length before the header is written.
			blank, err := sc.blank(0, size)
			if err == nil && blank {
				err = errBlank
			}
			if err != nil {
				return false, l.damaged(s.name, 0, err)
			}
			return false, nil
		}
		// The first frame is written after the header was synced.
		if len(b) == headerSize && b[headerSize-1] != 0 {
			return false, nil
		}
		blank, err := sc.blank(headerSize, size)
		if err != nil {
			return false, l.damaged(s.name, 0, err)
		}
		return blank, nil
	}
	sc.id = h.id
	_, _, err = sc.next()
	if err == nil || l.cut(h.format, size) && (h.format > formatOld || size > headerSize) {
		return false, nil
	}
	torn, _, err := sc.torn()
	if err != nil {
		return false, l.damaged(s.name, headerSize, err)
	}
	return torn, nil
}

// cut reports whether a segment's file of a length was cut at the end of its last frame,
// which happens when the log is closed and when a newer segment is complete. Nothing was
// written afterwards, so no frame can be torn. In the old format, the file was cut before
// the newer segment was complete, and a frame could extend it.
func (l *Log) cut(format uint32, size int64) bool {
	if format == formatOld {
		return size < l.cfg.SegmentSize
	}
	return size%l.cfg.SegmentSize != 0
}

// replay replays a segment that is complete.
func (l *Log) replay(s *segment) error {
	size, err := l.load(s)
	if err != nil {
		return err
	}
	if size < s.length {
		return fmt.Errorf("%w: %s at %d: it is cut off, %d bytes are missing", ErrCorrupt, s.name, size, s.length-size)
	}
	sc := &scanner{file: s.file, id: l.id, number: s.number, limit: s.length, offset: headerSize}
	if err := l.frames(s, sc); err != nil {
		return l.damaged(s.name, sc.offset, err)
	}
	if size > s.length { // a crash came before the cut
		if err := s.file.Truncate(s.length); err != nil {
			return fmt.Errorf("logstore: cut %s: %w", s.name, err)
		}
	}
	return s.close()
}

// frames replays the frames of a segment up to its end, or to one that cannot be read.
func (l *Log) frames(s *segment, sc *scanner) error {
	for {
		at := Place{s.number, uint32(sc.offset + FrameHead)}
		kind, payload, err := sc.next()
		if errors.Is(err, errLimit) {
			return nil
		}
		if err != nil {
			return err
		}
		switch l.ended = kind == end; kind {
		case end:
			continue
		case Begin:
			l.begun = sc.offset
		}
		if err := l.cfg.Replay(at, kind, payload); err != nil {
			sc.offset = int64(at.Offset) - FrameHead
			return &refusedError{err}
		}
	}
}

// refusedError is an error of Config.Replay.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }

func (e *refusedError) Unwrap() error { return e.err }

// errBlank reports a file of zeros that must have been written.
var errBlank = errors.New("it holds nothing but zeros")

// errEnd reports a file that was cut and does not end with a frame of kind end.
var errEnd = errors.New("it is cut off: the log was closed, and its end is missing")

// replayTail replays the last segment and prepares it for new frames.
func (l *Log) replayTail(format uint32) error {
	s := l.segments[len(l.segments)-1]
	size, err := l.load(s)
	if err != nil {
		return err
	}
	l.tail, l.room = s, size
	cut := l.cut(format, size)
	sc := &scanner{file: s.file, id: l.id, number: s.number, limit: size, offset: headerSize}
	torn := false
	if err := l.frames(s, sc); err != nil {
		refused := (*refusedError)(nil)
		blank, scanned := false, error(nil)
		if !errors.As(err, &refused) && !cut {
			torn, blank, scanned = sc.torn()
		}
		switch {
		case scanned != nil:
			return l.damaged(s.name, sc.offset, scanned)
		case !torn:
			return l.damaged(s.name, sc.offset, err)
		}
		torn = !blank
	}
	if cut && !l.ended && format > formatOld {
		return l.damaged(s.name, sc.offset, errEnd)
	}
	l.offset = sc.offset
	return l.settle(sc, torn)
}

// settle makes the frames in the last segment durable before they are relied on, and erases
// a torn frame after them.
func (l *Log) settle(sc *scanner, torn bool) error {
	err := l.rewrite(sc)
	if err == nil && torn {
		err = l.erase(sc)
	}
	if err == nil {
		err = l.tail.file.Sync() // a file that was cut must hold no torn frame
	}
	if err == nil {
		l.room = l.whole(l.offset)
		err = l.tail.file.Truncate(l.room)
	}
	if err == nil {
		err = l.tail.file.Sync()
	}
	if err == nil {
		err = l.cfg.FS.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("logstore: repair the end of %s: %w", l.tail.name, err)
	}
	return nil
}

// erase overwrites a torn frame with zeros. The last byte of its head is first, so that a
// crash in between leaves a frame that is torn, too. The file keeps its length.
func (l *Log) erase(sc *scanner) error {
	if _, err := l.tail.file.WriteAt(zeros[:1], l.offset+FrameHead-1); err != nil {
		return err
	}
	if err := l.tail.file.Sync(); err != nil {
		return err
	}
	for from := l.offset; from < sc.limit; {
		to := min(from+readAhead, sc.limit)
		blank, err := sc.blank(from, to)
		if err == nil && !blank {
			_, err = l.tail.file.WriteAt(zeros[:to-from], from)
		}
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

// rewrite writes the last frame again. If its sync failed, the operating system may treat
// it as written although the disk does not have it, and another sync would do nothing.
func (l *Log) rewrite(sc *scanner) error {
	b, err := sc.bytes(sc.last, int(l.offset-sc.last))
	if err != nil {
		return err
	}
	_, err = l.tail.file.WriteAt(b, sc.last)
	return err
}
