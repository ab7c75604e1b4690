package logstore

import (
	"encoding/binary"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// The file that says whose a directory is, format 1. Integers are little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKDIR\r\n"
//	     8     4  format, 1
//	    12    32  network id
//	    44    32  peer id
//	    76     8  how often the directory was opened, from 1
//	    84    32  BLAKE3 hash of everything before
const (
	ownerMagic  = "MSKDIR\r\n"
	ownerFormat = 1
	ownerHead   = 12
	ownerSize   = 116
)

// owner says whose a directory is.
type owner struct {
	network sm.Digest
	peer    sm.PeerID
	starts  uint64
}

func (o owner) marshal() []byte {
	b := append(make([]byte, 0, ownerSize), ownerMagic...)
	b = binary.LittleEndian.AppendUint32(b, ownerFormat)
	b = append(b, o.network[:]...)
	b = append(b, o.peer[:]...)
	b = binary.LittleEndian.AppendUint64(b, o.starts)
	sum := sm.Parts(b)
	return append(b, sum[:]...)
}

// parseOwner reads an owner, whatever b is. What it accepts marshals to b.
func parseOwner(b []byte) (owner, error) {
	switch {
	case len(b) < ownerHead || string(b[:len(ownerMagic)]) != ownerMagic:
		return owner{}, fmt.Errorf("%w: it does not begin like one", ErrCorrupt)
	case binary.LittleEndian.Uint32(b[8:]) != ownerFormat:
		return owner{}, fmt.Errorf("%w: format %d; this version reads format %d", ErrFormat, binary.LittleEndian.Uint32(b[8:]), ownerFormat)
	case len(b) > ownerSize:
		return owner{}, fmt.Errorf("%w: it is longer than %d bytes", ErrCorrupt, ownerSize)
	case len(b) != ownerSize:
		return owner{}, fmt.Errorf("%w: %d bytes, not %d", ErrCorrupt, len(b), ownerSize)
	}
	if sum := sm.Parts(b[:84]); sm.Digest(b[84:]) != sum {
		return owner{}, fmt.Errorf("%w: its hash is wrong", ErrCorrupt)
	}
	return owner{
		network: sm.Digest(b[12:44]),
		peer:    sm.PeerID(b[44:76]),
		starts:  binary.LittleEndian.Uint64(b[76:]),
	}, nil
}
