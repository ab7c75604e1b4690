package codecimpl

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Bool reads a bool.
func (r *Reader) Bool() bool {
	n, _ := r.expect(wire.KindBool)
	return n != 0
}

// Int64 reads an integer.
func (r *Reader) Int64() int64 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 9 && b[0] == 0xd3 {
		r.input.Off += 9
		return int64(binary.BigEndian.Uint64(b[1:]))
	}
	return r.signed("int64", 64)
}

// Int32 reads an integer.
func (r *Reader) Int32() int32 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 5 && b[0] == 0xd2 {
		r.input.Off += 5
		return int32(binary.BigEndian.Uint32(b[1:]))
	}
	return int32(r.signed("int32", 32))
}

// Int16 reads an integer.
func (r *Reader) Int16() int16 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 3 && b[0] == 0xd1 {
		r.input.Off += 3
		return int16(binary.BigEndian.Uint16(b[1:]))
	}
	return int16(r.signed("int16", 16))
}

// Int8 reads an integer.
func (r *Reader) Int8() int8 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 2 && b[0] == 0xd0 {
		r.input.Off += 2
		return int8(b[1])
	}
	return int8(r.signed("int8", 8))
}

// IntSize is the number of bits in an int. A machine whose commands hold an int or
// uint has another signature on platforms of 32 bits, because a member there could
// not decode every command of the others.
const IntSize = strconv.IntSize

// Int reads an integer. A number that overflows an int, on a platform of 32 bits,
// is a [codec.ErrOverflow].
func (r *Reader) Int() int {
	if strconv.IntSize == 64 {
		return int(r.Int64())
	}
	return int(r.signed("int", strconv.IntSize))
}

// Uint reads an unsigned integer, otherwise like [Reader.Int].
func (r *Reader) Uint() uint {
	if strconv.IntSize == 64 {
		return uint(r.Uint64())
	}
	return uint(r.unsigned("uint", strconv.IntSize))
}

// Uint64 reads an integer.
func (r *Reader) Uint64() uint64 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 9 && b[0] == 0xcf {
		r.input.Off += 9
		return binary.BigEndian.Uint64(b[1:])
	}
	return r.unsigned("uint64", 64)
}

// Uint32 reads an integer.
func (r *Reader) Uint32() uint32 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 5 && b[0] == 0xce {
		r.input.Off += 5
		return binary.BigEndian.Uint32(b[1:])
	}
	return uint32(r.unsigned("uint32", 32))
}

// Uint16 reads an integer.
func (r *Reader) Uint16() uint16 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 3 && b[0] == 0xcd {
		r.input.Off += 3
		return binary.BigEndian.Uint16(b[1:])
	}
	return uint16(r.unsigned("uint16", 16))
}

// Uint8 reads an integer.
func (r *Reader) Uint8() uint8 {
	if b := r.input.Src[r.input.Off:]; len(b) >= 2 && b[0] == 0xcc {
		r.input.Off += 2
		return b[1]
	}
	return uint8(r.unsigned("uint8", 8))
}

// integer reads the header of an integer; name is for errors.
func (r *Reader) integer(name string) (h wire.Header, ok bool) {
	at := r.input.Off
	h, fault := r.input.Header()
	switch {
	case r.fault != nil:
	case fault != nil:
		r.stop(fault)
	case h.Kind == wire.KindUint || h.Kind == wire.KindNegative:
		return h, true
	case h.Kind == wire.KindNil:
		r.refuse(at, codec.ErrNil, "nil, where %s is wanted", name)
	default:
		r.refuse(at, codec.ErrType, "%s, where %s is wanted", h.Kind, name)
	}
	return wire.Header{}, false
}

// signed reads an integer of the type called name, which has so many bits.
func (r *Reader) signed(name string, bits int) int64 {
	at := r.input.Off
	h, ok := r.integer(name)
	switch v := int64(h.Num); {
	case !ok:
	case h.Kind == wire.KindUint && h.Num > math.MaxInt64>>(64-bits):
		r.refuse(at, codec.ErrOverflow, "%d overflows %s", h.Num, name)
	case h.Kind == wire.KindNegative && v < math.MinInt64>>(64-bits):
		r.refuse(at, codec.ErrOverflow, "%d overflows %s", v, name)
	default:
		return v
	}
	return 0
}

// unsigned is signed for unsigned types.
func (r *Reader) unsigned(name string, bits int) uint64 {
	at := r.input.Off
	h, ok := r.integer(name)
	switch {
	case !ok:
	case h.Kind == wire.KindNegative:
		r.refuse(at, codec.ErrOverflow, "%d overflows %s", int64(h.Num), name)
	case h.Num > math.MaxUint64>>(64-bits):
		r.refuse(at, codec.ErrOverflow, "%d overflows %s", h.Num, name)
	default:
		return h.Num
	}
	return 0
}

// Float32 reads a float of 32 bits.
func (r *Reader) Float32() float32 {
	n, _ := r.expect(wire.KindFloat32)
	return math.Float32frombits(uint32(n))
}

// Float64 reads a float of either width.
func (r *Reader) Float64() float64 {
	if r.input.Off < len(r.input.Src) && r.input.Src[r.input.Off] == 0xca {
		return float64(r.Float32())
	}
	n, _ := r.expect(wire.KindFloat64)
	return math.Float64frombits(n)
}
