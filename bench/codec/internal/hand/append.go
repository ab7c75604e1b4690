// Package hand is a codec of [store.Command] written by hand for speed. The
// generated codec is compared with it. It writes and accepts the same bytes as the
// generated codec, but its errors contain no path.
package hand

import (
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/mosaik-go/mosaik/bench/codec/internal/store"
	"github.com/mosaik-go/mosaik/codec"
)

// Codec implements [codec.Codec].
type Codec struct{}

// Append implements [codec.Codec].
func (Codec) Append(dst []byte, cmd store.Command) ([]byte, error) {
	var b []byte
	ok := true
	switch c := cmd.(type) {
	case store.Tiny:
		b = append(dst, "\x92\x02\x81\xa2By\xd3"...)
		return binary.BigEndian.AppendUint64(b, uint64(c.By)), nil
	case store.Put:
		b = append(dst, "\x92\x01\x83\xa3Key"...)
		b, ok = appendString(b, c.Key)
		b = append(b, "\xa5Value"...)
		b = appendBytes(b, c.Value)
		b = append(b, "\xa3TTL\xd3"...)
		b = binary.BigEndian.AppendUint64(b, uint64(c.TTL))
	case store.Order:
		b, ok = appendOrder(dst, &c)
	case nil:
		return dst, codec.ErrNil
	default:
		return dst, codec.ErrVariant
	}
	switch {
	case len(b)-len(dst) > codec.MaxSize:
		return dst, codec.ErrTooLarge
	case !ok:
		return dst, codec.ErrUTF8
	}
	return b, nil
}

func appendOrder(b []byte, o *store.Order) ([]byte, bool) {
	b = append(b, "\x92\x00\x88\xa2ID\xcf"...)
	b = binary.BigEndian.AppendUint64(b, o.ID)
	b = append(b, "\xa4Side\xcc"...)
	b = append(b, o.Side)
	b = append(b, "\xa5Price\xd3"...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Price))
	b = append(b, "\xa3Qty\xd3"...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Qty))
	b = append(b, "\xa5Owner"...)
	b, ok := appendString(b, o.Owner)
	b = append(b, "\xa4Tags"...)
	if o.Tags == nil {
		b = append(b, 0xc0)
	} else {
		b = appendLength(b, 0x90, 0xdc, len(o.Tags))
		for _, tag := range o.Tags {
			var valid bool
			b, valid = appendString(b, tag)
			ok = ok && valid
		}
	}
	b = append(b, "\xa4Meta"...)
	if o.Meta == nil {
		b = append(b, 0xc0)
	} else {
		b = appendLength(b, 0x80, 0xde, len(o.Meta))
		var room [16]string
		keys := room[:0]
		for key := range o.Meta {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			var valid, validKey bool
			b, validKey = appendString(b, key)
			b, valid = appendString(b, o.Meta[key])
			ok = ok && validKey && valid
		}
	}
	b = append(b, "\xa4Legs"...)
	if o.Legs == nil {
		return append(b, 0xc0), ok
	}
	b = appendLength(b, 0x90, 0xdc, len(o.Legs))
	for i := range o.Legs {
		leg := &o.Legs[i]
		var valid bool
		b = append(b, "\x83\xa5Venue"...)
		b, valid = appendString(b, leg.Venue)
		ok = ok && valid
		b = append(b, "\xa5Price\xd3"...)
		b = binary.BigEndian.AppendUint64(b, uint64(leg.Price))
		b = append(b, "\xa3Qty\xd3"...)
		b = binary.BigEndian.AppendUint64(b, uint64(leg.Qty))
	}
	return b, ok
}

// appendString reports whether s is valid UTF-8.
func appendString(b []byte, s string) ([]byte, bool) {
	switch n := len(s); {
	case n <= 31:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		b = append(b, 0xda, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
	b = append(b, s...)
	return b, valid(b[len(b)-len(s):])
}

// valid reports whether b is UTF-8. It first checks for ASCII, which is faster.
func valid(b []byte) bool {
	const high = 0x8080808080808080
	n := len(b)
	switch {
	case n >= 8:
		all := binary.LittleEndian.Uint64(b[n-8:])
		for rest := b; len(rest) > 8; rest = rest[8:] {
			all |= binary.LittleEndian.Uint64(rest)
		}
		if all&high == 0 {
			return true
		}
	case n >= 4:
		if (binary.LittleEndian.Uint32(b)|binary.LittleEndian.Uint32(b[n-4:]))&(high>>32) == 0 {
			return true
		}
	case n > 0:
		if b[0]|b[n/2]|b[n-1] < 0x80 {
			return true
		}
	}
	return utf8.Valid(b)
}

func appendBytes(b, p []byte) []byte {
	switch n := len(p); {
	case p == nil:
		return append(b, 0xc0)
	case n <= math.MaxUint8:
		b = append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		b = append(b, 0xc5, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
	return append(b, p...)
}

// appendLength appends the header of an array or map.
func appendLength(b []byte, fix, wide byte, n int) []byte {
	switch {
	case n <= 15:
		return append(b, fix|byte(n))
	case n <= math.MaxUint16:
		return append(b, wide, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, wide+1), uint32(n))
}
