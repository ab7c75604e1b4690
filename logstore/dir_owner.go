package logstore

import (
	"encoding/binary"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// The owner file of a directory, format 2. Integers are little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKDIR\r\n"
//	     8     4  format, 2
//	    12    32  network id
//	    44    32  peer id
//	    76     8  how often the directory was opened, from 1
//	    84    16  id of the directory, random, not zero
//	   100    32  BLAKE3 hash of everything before
//
// Format 1 can be read, too. It has no id; the next start generates one.
const (
	ownerMagic  = "MSKDIR\r\n"
	ownerFormat = 2
	ownerHead   = 12
	ownerID     = 84 // the offset of the id
	hashSize    = 32
	ownerSize1  = ownerID + hashSize // of format 1
	ownerSize   = ownerID + 16 + hashSize
)

// owner is the content of the owner file.
type owner struct {
	network sm.Digest
	peer    sm.PeerID
	starts  uint64
	id      [16]byte // zero if format 1 was read
}

func (o owner) marshal() []byte {
	b := append(make([]byte, 0, ownerSize), ownerMagic...)
	b = binary.LittleEndian.AppendUint32(b, ownerFormat)
	b = append(b, o.network[:]...)
	b = append(b, o.peer[:]...)
	b = binary.LittleEndian.AppendUint64(b, o.starts)
	b = append(b, o.id[:]...)
	sum := sm.Parts(b)
	return append(b, sum[:]...)
}

// parseOwner parses an owner file, which may be damaged.
func parseOwner(b []byte) (owner, error) {
	if len(b) < ownerHead || string(b[:len(ownerMagic)]) != ownerMagic {
		return owner{}, fmt.Errorf("%w: it does not start with the magic of an owner file", ErrCorrupt)
	}
	size, format := ownerSize, binary.LittleEndian.Uint32(b[8:])
	switch format {
	case ownerFormat:
	case 1:
		size = ownerSize1
	default:
		return owner{}, fmt.Errorf("%w: its format is %d, this version reads formats 1 to %d", ErrFormat, format, ownerFormat)
	}
	switch {
	case len(b) > size:
		return owner{}, fmt.Errorf("%w: it is longer than %d bytes", ErrCorrupt, size)
	case len(b) != size:
		return owner{}, fmt.Errorf("%w: %d bytes, not %d", ErrCorrupt, len(b), size)
	}
	body := b[:size-hashSize]
	if sum := sm.Parts(body); sm.Digest(b[len(body):]) != sum {
		return owner{}, fmt.Errorf("%w: its hash is wrong", ErrCorrupt)
	}
	o := owner{
		network: sm.Digest(b[12:44]),
		peer:    sm.PeerID(b[44:76]),
		starts:  binary.LittleEndian.Uint64(b[76:]),
	}
	copy(o.id[:], body[ownerID:])
	if format != 1 && o.id == [16]byte{} {
		return owner{}, fmt.Errorf("%w: its id is zero", ErrCorrupt)
	}
	return o, nil
}
