package ticket

import (
	"encoding/binary"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// The tickets of a peer as bytes, numbers big-endian:
//
//	offset  size  field
//	0       1     version, 1
//	1       1     number of tickets, at most MaxTickets
//	then, for each ticket:
//	0       32    class, not zero
//	32      2     length of data, at most MaxData
//	34      …     data
//
// Nothing follows the last ticket. There is one encoding of a list of tickets.
const (
	version    = 1
	headerSize = 2
	prefixSize = sm.DigestSize + 2 // of a ticket, before its data
)

// Encode returns the encoding of the tickets, in their order. It fails if they exceed a limit
// of this package or if one has no class.
func Encode(tickets []Ticket) ([]byte, error) {
	if len(tickets) > MaxTickets {
		return nil, fmt.Errorf("ticket: encode: %d tickets, at most %d are allowed", len(tickets), MaxTickets)
	}
	b := []byte{version, byte(len(tickets))}
	for i, t := range tickets {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("ticket: encode number %d: %w", i, err)
		}
		b = append(b, t.Class[:]...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(t.Data)))
		b = append(b, t.Data...)
	}
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("ticket: encode: %d bytes, at most %d are allowed", len(b), MaxEncoded)
	}
	return b, nil
}

// Decode returns the tickets that b encodes. They share no memory with b. Any b is safe to
// decode.
func Decode(b []byte) ([]Ticket, error) {
	switch {
	case len(b) > MaxEncoded:
		return nil, fmt.Errorf("ticket: decode: %d bytes, at most %d are allowed", len(b), MaxEncoded)
	case len(b) < headerSize:
		return nil, fmt.Errorf("ticket: decode: %d bytes, at least %d are needed", len(b), headerSize)
	case b[0] != version:
		return nil, fmt.Errorf("ticket: decode: version %d is not known; this program reads version %d", b[0], version)
	case b[1] > MaxTickets:
		return nil, fmt.Errorf("ticket: decode: %d tickets, at most %d are allowed", b[1], MaxTickets)
	}
	tickets := make([]Ticket, b[1])
	rest := b[headerSize:]
	for i := range tickets {
		if len(rest) < prefixSize {
			return nil, fmt.Errorf("ticket: decode number %d: cut off", i)
		}
		t := Ticket{Class: sm.Digest(rest[:sm.DigestSize])}
		size := int(binary.BigEndian.Uint16(rest[sm.DigestSize:]))
		rest = rest[prefixSize:]
		if len(rest) < size {
			return nil, fmt.Errorf("ticket: decode number %d: cut off", i)
		}
		t.Data = append([]byte(nil), rest[:size]...)
		rest = rest[size:]
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("ticket: decode number %d: %w", i, err)
		}
		tickets[i] = t
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("ticket: decode: %d bytes after the last ticket", len(rest))
	}
	return tickets, nil
}
