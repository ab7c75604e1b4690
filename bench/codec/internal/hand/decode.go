package hand

import (
	"bytes"
	"encoding/binary"

	"github.com/mosaik-go/mosaik/bench/codec/internal/store"
	"github.com/mosaik-go/mosaik/codec"
)

// Decode implements [codec.Codec]. It first assumes that the bytes are a command
// with short strings and few elements, as Append writes it. For other bytes it starts
// again with a general decoder. No command needs as much memory as the limit of package
// codec.
func (Codec) Decode(src []byte) (store.Command, error) {
	if len(src) > codec.MaxSize {
		return nil, codec.ErrTooLarge
	}
	if len(src) > 2 && src[0] == 0x92 {
		switch b := src[2:]; src[1] {
		case 0:
			var o store.Order
			if decodeOrder(b, &o) {
				return o, nil
			}
		case 1:
			var p store.Put
			if decodePut(b, &p) {
				return p, nil
			}
		case 2:
			if len(b) == 13 && string(b[:5]) == "\x81\xa2By\xd3" {
				return store.Tiny{By: int64(binary.BigEndian.Uint64(b[5:]))}, nil
			}
		}
	}
	return decodeAny(src)
}

func decodePut(b []byte, p *store.Put) (ok bool) {
	if len(b) < 5 || string(b[:5]) != "\x83\xa3Key" {
		return false
	}
	if p.Key, b, ok = cutString(b[5:]); !ok {
		return false
	}
	if len(b) < 8 || string(b[:7]) != "\xa5Value\xc4" {
		return false
	}
	n := int(b[7])
	if b = b[8:]; len(b) != n+13 || string(b[n:n+5]) != "\xa3TTL\xd3" {
		return false
	}
	p.Value = bytes.Clone(b[:n:n])
	p.TTL = int64(binary.BigEndian.Uint64(b[n+5:]))
	return true
}

func decodeOrder(b []byte, o *store.Order) (ok bool) {
	if len(b) < 53 || string(b[:5]) != "\x88\xa2ID\xcf" || string(b[13:19]) != "\xa4Side\xcc" ||
		string(b[20:27]) != "\xa5Price\xd3" || string(b[35:40]) != "\xa3Qty\xd3" {
		return false
	}
	o.ID = binary.BigEndian.Uint64(b[5:])
	o.Side = b[19]
	o.Price = int64(binary.BigEndian.Uint64(b[27:]))
	o.Qty = int64(binary.BigEndian.Uint64(b[40:]))
	if b = b[48:]; len(b) < 6 || string(b[:6]) != "\xa5Owner" {
		return false
	}
	if o.Owner, b, ok = cutString(b[6:]); !ok {
		return false
	}
	if len(b) < 6 || string(b[:5]) != "\xa4Tags" || b[5]&0xf0 != 0x90 {
		return false
	}
	o.Tags = make([]string, b[5]&0x0f)
	b = b[6:]
	for i := range o.Tags {
		if o.Tags[i], b, ok = cutString(b); !ok {
			return false
		}
	}
	if len(b) < 6 || string(b[:5]) != "\xa4Meta" || b[5]&0xf0 != 0x80 {
		return false
	}
	n := int(b[5] & 0x0f)
	o.Meta = make(map[string]string, n)
	b = b[6:]
	for range n {
		var key, value string
		if key, b, ok = cutString(b); !ok {
			return false
		}
		if value, b, ok = cutString(b); !ok {
			return false
		}
		o.Meta[key] = value
	}
	if len(o.Meta) != n || len(b) < 6 || string(b[:5]) != "\xa4Legs" || b[5]&0xf0 != 0x90 {
		return false
	}
	o.Legs = make([]store.Leg, b[5]&0x0f)
	b = b[6:]
	for i := range o.Legs {
		if b, ok = cutLeg(b, &o.Legs[i]); !ok {
			return false
		}
	}
	return len(b) == 0
}

func cutLeg(b []byte, leg *store.Leg) (_ []byte, ok bool) {
	if len(b) < 7 || string(b[:7]) != "\x83\xa5Venue" {
		return nil, false
	}
	if leg.Venue, b, ok = cutString(b[7:]); !ok {
		return nil, false
	}
	if len(b) < 28 || string(b[:7]) != "\xa5Price\xd3" || string(b[15:20]) != "\xa3Qty\xd3" {
		return nil, false
	}
	leg.Price = int64(binary.BigEndian.Uint64(b[7:]))
	leg.Qty = int64(binary.BigEndian.Uint64(b[20:]))
	return b[28:], true
}

// cutString reads a string of at most 31 bytes and returns what follows.
func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || b[0]&0xe0 != 0xa0 {
		return "", nil, false
	}
	n := int(b[0]&0x1f) + 1
	if len(b) < n || !valid(b[1:n]) {
		return "", nil, false
	}
	return string(b[1:n]), b[n:], true
}
