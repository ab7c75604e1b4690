package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A frame is written and synced at once. The frames of a segment follow its header, each
// at a multiple of 16. Integers are little-endian.
//
//	offset  size  content
//	     0     4  CRC-32C of directory id, segment number (8 bytes), offset of
//	              the frame in the segment (8 bytes), and bytes 4 to 16
//	     4     4  length n of the payload
//	     8     4  CRC-32C of the payload
//	    12     1  kind: 1 begin, 2 data, 3 end
//	    13     2  0
//	    15     1  255
//	    16     n  payload
//	  16+n     1  255
//	     -     -  0 up to a multiple of 16
//
// Only the first frame of a segment is of kind begin. A frame of kind end has no payload
// and records that the log was closed. The rest of the file is zeros. A frame is written
// once everything before it is durable, so only the last one can be torn. A torn frame
// lacks whole sectors of 512 bytes, or its end.
const (
	// FrameHead is the number of bytes that callers of [Log.Append] reserve before a
	// payload.
	FrameHead = 16
	// MaxPayload is the highest length of a payload, in bytes.
	MaxPayload = 1 << 30

	align  = 16
	sector = 512
)

// Kind is the kind of a frame.
type Kind uint8

// The kinds of frames.
const (
	Begin Kind = 1 // the first frame of a segment
	Data  Kind = 2
	end   Kind = 3
)

// seal turns b, whose payload starts at FrameHead, into a frame.
func (l *Log) seal(b []byte, kind Kind, number uint64, offset int64) []byte {
	n := len(b) - FrameHead
	clear(b[:FrameHead])
	binary.LittleEndian.PutUint32(b[4:], uint32(n))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[FrameHead:], castagnoli))
	b[12], b[15] = byte(kind), mark
	binary.LittleEndian.PutUint32(b, headSum(l.id, number, offset, b))
	b = append(b, mark)
	for len(b)%align != 0 {
		b = append(b, 0)
	}
	return b
}

// headSum returns the checksum of a frame's head. It covers the place of the frame, so a
// copy elsewhere is invalid.
func headSum(id [16]byte, number uint64, offset int64, head []byte) uint32 {
	var b [44]byte
	copy(b[:], id[:])
	binary.LittleEndian.PutUint64(b[16:], number)
	binary.LittleEndian.PutUint64(b[24:], uint64(offset))
	copy(b[32:], head[4:FrameHead])
	return crc32.Checksum(b[:], castagnoli)
}

// frameSize returns the length of the frame of a payload of n bytes.
func frameSize(n int) int64 { return (FrameHead + int64(n) + 1 + align - 1) / align * align }

var errBad = errors.New("it fails its checksum")

// parseHead parses the head of the frame at offset.
func parseHead(id [16]byte, number uint64, offset int64, b []byte) (kind Kind, n int, sum uint32, err error) {
	if len(b) < FrameHead || binary.LittleEndian.Uint32(b) != headSum(id, number, offset, b) {
		return 0, 0, 0, errBad
	}
	kind, length := Kind(b[12]), binary.LittleEndian.Uint32(b[4:])
	if kind < Begin || kind > end || (kind == Begin) != (offset == headerSize) || length > MaxPayload || kind == end && length > 0 {
		return 0, 0, 0, fmt.Errorf("a frame of kind %d and length %d is not valid here", kind, length)
	}
	return kind, int(length), binary.LittleEndian.Uint32(b[8:]), nil
}
