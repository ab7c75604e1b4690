package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// A frame:
//
//	offset  size  content
//	     0     4  length n of what follows, big-endian, n ≥ 1
//	     4     1  kind, given its meaning by the protocol
//	     5   n-1  payload
//
// After the preface both ends are known to speak the protocol. From then on, or
// from the end of the protocol's own handshake, a frame of an unknown kind is read
// and ignored, within the limits of size and rate of all frames.
const frameHead = 5

// ErrFrame reports a frame that is malformed or exceeds a limit. It is a fault of the end
// that wrote the frame, not of the connection.
var ErrFrame = errors.New("bad frame")

// firstRead bounds the memory, in bytes, that is allocated for the length in a frame's
// header before the payload arrives.
const firstRead = 64 << 10

// appendFrame appends a frame of the kind whose payload is the concatenation of payload.
func appendFrame(dst []byte, kind uint8, payload ...[]byte) ([]byte, error) {
	n := uint64(1)
	for _, p := range payload {
		n += uint64(len(p))
	}
	if n > math.MaxUint32 {
		return dst, fmt.Errorf("%w: write: a payload of %d bytes exceeds the limit of %d", ErrFrame, n-1, uint32(math.MaxUint32-1))
	}
	dst = slices.Grow(dst, frameHead-1+int(n))
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, kind)
	for _, p := range payload {
		dst = append(dst, p...)
	}
	return dst, nil
}

// peekFrame is [Conn.PeekFrame] on any reader.
func peekFrame(r *bufio.Reader) (size int, err error) {
	head, err := r.Peek(frameHead - 1)
	if err != nil {
		if len(head) > 0 {
			err = truncated(err)
		}
		return 0, err
	}
	n := int64(binary.BigEndian.Uint32(head)) - 1
	if n < 0 {
		return 0, fmt.Errorf("%w: read: a length of 0 leaves no room for the kind", ErrFrame)
	}
	return int(min(n, math.MaxInt)), nil
}

// readFrame is [Conn.ReadFrame] on any reader.
func readFrame(r *bufio.Reader, max int, buf []byte) (kind uint8, payload []byte, err error) {
	n, err := peekFrame(r)
	if err != nil {
		return 0, nil, err
	}
	if n > max {
		return 0, nil, fmt.Errorf("%w: read: a payload of %d bytes exceeds the limit of %d", ErrFrame, n, max)
	}
	r.Discard(frameHead - 1)
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, truncated(err)
	}
	payload, err = readPayload(r, n, buf[:0])
	return kind, payload, err
}

// readPayload reads n bytes into buf[:0] or, if that is too small, into memory that grows
// with what has arrived: a peer that announces a large payload and sends little uses
// little memory.
func readPayload(r io.Reader, n int, buf []byte) ([]byte, error) {
	for len(buf) < n {
		had := len(buf)
		if had == cap(buf) {
			buf = slices.Grow(buf, min(n-had, max(had, firstRead)))
		}
		buf = buf[:min(n, cap(buf))]
		if _, err := io.ReadFull(r, buf[had:]); err != nil {
			return nil, truncated(err)
		}
	}
	return buf, nil
}

// truncated returns the error for the end of the stream within a frame.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
