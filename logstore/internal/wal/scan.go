package wal

import (
	"bytes"
	"cmp"
	"errors"
	"hash/crc32"
	"io"
)

// readAhead is how many bytes of a segment are read at once.
const readAhead = 256 << 10

var zeros [readAhead]byte

// scanner reads the frames of a segment in order. It buffers as much of the file as the
// longest frame, and at least readAhead.
type scanner struct {
	file   io.ReaderAt
	id     [16]byte
	number uint64
	limit  int64 // the offset at which the segment ends
	offset int64 // of the next frame
	last   int64 // the offset of the frame before it

	buf   []byte
	start int64 // the offset of buf in the file
}

// errLimit reports the end of a segment. It is not [io.EOF], which a file that is shorter
// than its segment returns.
var errLimit = errors.New("the segment ends here")

// next returns the next frame. The payload is valid until the next call. At the limit the
// error is errLimit. Errors of the file are of type [*readError]; any other error, such
// as errBad, says what is wrong with the frame, which is not skipped.
func (s *scanner) next() (kind Kind, payload []byte, err error) {
	if s.offset == s.limit {
		return 0, nil, errLimit
	}
	kind, payload, err = s.frame(s.offset)
	if err == nil {
		s.last = s.offset
		s.offset += frameSize(len(payload))
	}
	return kind, payload, err
}

// frame reads the frame at an offset.
func (s *scanner) frame(offset int64) (Kind, []byte, error) {
	head, err := s.bytes(offset, FrameHead)
	if err != nil {
		return 0, nil, err
	}
	kind, n, sum, err := parseHead(s.id, s.number, offset, head)
	if err != nil {
		return 0, nil, err
	}
	if offset+frameSize(n) > s.limit {
		return 0, nil, errBad
	}
	if n >= readAhead { // a head may claim any length, so check before allocating
		if last, err := s.bytes(offset+FrameHead+int64(n), 1); err != nil || last[0] != mark {
			return 0, nil, cmp.Or(err, errBad)
		}
		if got, err := s.sum(offset+FrameHead, n); err != nil || got != sum {
			return 0, nil, cmp.Or(err, errBad)
		}
	}
	b, err := s.bytes(offset+FrameHead, n+1)
	if err != nil {
		return 0, nil, err
	}
	if b[n] != mark || crc32.Checksum(b[:n], castagnoli) != sum {
		return 0, nil, errBad
	}
	return kind, b[:n:n], nil
}

// sum returns the checksum of n bytes of the file. It reads readAhead bytes at a time.
func (s *scanner) sum(offset int64, n int) (sum uint32, err error) {
	for n > 0 {
		b, err := s.bytes(offset, min(n, readAhead))
		if err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, b)
		offset, n = offset+int64(len(b)), n-len(b)
	}
	return sum, nil
}

// bytes returns n bytes of the file, fewer at the limit.
func (s *scanner) bytes(offset int64, n int) ([]byte, error) {
	n = int(min(int64(n), s.limit-offset))
	if n <= 0 {
		return nil, nil
	}
	if offset < s.start || offset+int64(n) > s.start+int64(len(s.buf)) {
		want := int(min(int64(max(n, readAhead)), s.limit-offset))
		if cap(s.buf) < want {
			s.buf = make([]byte, want)
		}
		s.buf, s.start = s.buf[:want], offset
		if got, err := s.file.ReadAt(s.buf, offset); got < want {
			s.buf = s.buf[:0]
			return nil, &readError{err}
		}
	}
	from := int(offset - s.start)
	return s.buf[from : from+n], nil
}

// readError is an error of the file, not of its content.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

func (e *readError) Unwrap() error { return e.err }

// torn examines a frame at s.offset, the end of a log, that cannot be read. It reports
// whether a crash can be the reason, during a write that was not synced yet, and whether
// nothing of the frame was written. A frame is written only after the one before it was
// synced, or, if the log was opened in between, was written and synced again. So only the
// last frame can be torn. If a frame follows, of which even the head suffices, this one
// was complete and is damaged. A torn frame must lack a part.
func (s *scanner) torn() (torn, blank bool, err error) {
	blank, err = s.blank(s.offset, s.limit)
	if err != nil || blank {
		return blank, blank, err
	}
	for at := s.offset + align; at+FrameHead <= s.limit; at += align {
		head, err := s.bytes(at, FrameHead)
		if err != nil {
			return false, false, err
		}
		if head[15] != mark {
			continue
		}
		if _, _, _, err := parseHead(s.id, s.number, at, head); err == nil {
			return false, false, nil
		}
	}
	torn, err = s.incomplete(s.offset)
	return torn, false, err
}

// incomplete reports whether a part of the frame at an offset was not written.
func (s *scanner) incomplete(offset int64) (bool, error) {
	head, err := s.bytes(offset, FrameHead)
	if err != nil || len(head) < FrameHead || head[15] == 0 {
		return err == nil, err
	}
	_, n, _, err := parseHead(s.id, s.number, offset, head)
	if err != nil {
		return false, nil // the mark was written, and a sector is written whole
	}
	stop := offset + FrameHead + int64(n) + 1
	if stop > s.limit {
		return true, nil
	}
	last, err := s.bytes(stop-1, 1)
	if err != nil || last[0] == 0 {
		return err == nil, err
	}
	for from := offset; from < stop; {
		to := min(from/sector*sector+sector, stop)
		if blank, err := s.blank(from, to); err != nil || blank {
			return blank, err
		}
		from = to
	}
	return false, nil
}

// blank reports whether the bytes in [from, to) are zero.
func (s *scanner) blank(from, to int64) (bool, error) {
	for from < to {
		b, err := s.bytes(from, int(min(to-from, readAhead)))
		if err != nil {
			return false, err
		}
		if !bytes.Equal(b, zeros[:len(b)]) {
			return false, nil
		}
		from += int64(len(b))
	}
	return true, nil
}
