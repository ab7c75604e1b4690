package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The header of a segment, format 2. Integers are little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKLOG\r\n"
//	     8     4  format, 2, or 1 of a segment that an older version began
//	    12     4  CRC-32C of the other 76 bytes of the header
//	    16    16  directory id, random, the same in all segments
//	    32    32  network id
//	    64     8  number of the segment, from 1, as in the file's name
//	    72     4  length of the segment before it, 0 in the first
//	    76     3  0
//	    79     1  255
//
// The length is the end of the segment before, all of which was durable before this
// header was written. To create a segment, its file gets its length, then the header is
// written, then the first frame, each with a sync, and its name is synced last. Only then
// is the file of the segment before it cut. In format 1 that file was cut first.
const (
	headerSize = 80
	format     = 2
	formatOld  = 1 // can be read, is not written
	magic      = "MSKLOG\r\n"
	mark       = 0xff // ends what is written, to detect a partial write
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the header of a segment.
type header struct {
	format   uint32
	id       [16]byte
	network  [32]byte
	number   uint64
	previous uint32
}

func (h *header) marshal() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], h.format)
	copy(b[16:], h.id[:])
	copy(b[32:], h.network[:])
	binary.LittleEndian.PutUint64(b[64:], h.number)
	binary.LittleEndian.PutUint32(b[72:], h.previous)
	b[79] = mark
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))
	return b
}

func headerSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, b[16:headerSize])
}

// parseHeader parses the header of the segment whose file name has the number.
func parseHeader(b []byte, number uint64) (h header, err error) {
	switch {
	case len(b) < headerSize:
		return header{}, fmt.Errorf("%w: its header is cut off after %d bytes", ErrCorrupt, len(b))
	case !bytes.Equal(b[:8], []byte(magic)):
		return header{}, fmt.Errorf("%w: it does not start with the magic of a segment", ErrForeign)
	}
	f := binary.LittleEndian.Uint32(b[8:])
	if f < formatOld || f > format {
		return header{}, fmt.Errorf("%w: its format is %d, this version reads formats %d to %d", ErrFormat, f, formatOld, format)
	}
	h = header{
		format:   f,
		id:       [16]byte(b[16:]),
		network:  [32]byte(b[32:]),
		number:   binary.LittleEndian.Uint64(b[64:]),
		previous: binary.LittleEndian.Uint32(b[72:]),
	}
	switch {
	case binary.LittleEndian.Uint32(b[12:]) != headerSum(b):
		return header{}, fmt.Errorf("%w: its header fails its checksum", ErrCorrupt)
	case h.number != number:
		return header{}, fmt.Errorf("%w: its header names segment %d", ErrCorrupt, h.number)
	}
	return h, nil
}
