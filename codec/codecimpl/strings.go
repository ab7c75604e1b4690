package codecimpl

import (
	"time"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// String reads a string of at most highest bytes; a highest of 0 is no limit.
func (r *Reader) String(highest int) string {
	from := r.input.Off + 1
	if from > len(r.input.Src) || highest > 0 {
		return r.anyString(highest)
	}
	n := int(r.input.Src[r.input.Off]) - 0xa0
	if n < 0 || n > 31 {
		return r.longString()
	}
	to := from + n
	if to > len(r.input.Src) || r.budget < int64(n) {
		return r.anyString(highest)
	}
	b := r.input.Src[from:to]
	var all uint64 // the bytes of b, in words that overlap
	switch {
	case n >= 16:
		all = word(b) | word(b[8:]) | word(b[n-16:]) | word(b[n-8:])
	case n >= 8:
		all = word(b) | word(b[n-8:])
	case n >= 4:
		all = uint64(half(b) | half(b[n-4:]))
	case n > 0:
		all = uint64(b[0] | b[n/2] | b[n-1])
	}
	if all&highBits != 0 {
		return r.anyString(highest)
	}
	r.input.Off = to
	r.budget -= int64(n)
	return string(b)
}

// longString is String for strings of 32 to 255 bytes.
func (r *Reader) longString() string {
	from := r.input.Off + 2
	if r.input.Src[r.input.Off] != 0xd9 || from > len(r.input.Src) {
		return r.anyString(0)
	}
	n := int(r.input.Src[r.input.Off+1])
	to := from + n
	if to > len(r.input.Src) || r.budget < int64(n) || !ascii(r.input.Src[from:to]) {
		return r.anyString(0)
	}
	r.input.Off = to
	r.budget -= int64(n)
	return string(r.input.Src[from:to])
}

// anyString is String without a fast path.
func (r *Reader) anyString(highest int) string {
	at := r.input.Off
	n, ok := r.expect(wire.KindString)
	if !ok || !r.limit(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return ""
	}
	b, fault := r.input.Text(at, n)
	if fault != nil {
		r.stop(fault)
	}
	return string(b)
}

// Bytes reads at most highest bytes; a highest of 0 is no limit. The result does
// not alias the command. It is nil for nil.
func (r *Reader) Bytes(highest int) []byte {
	if b := r.input.Src[r.input.Off:]; len(b) >= 2 && b[0] == 0xc4 {
		if n := int(b[1]); 2+n <= len(b) && highest == 0 && r.budget >= int64(n) {
			r.input.Off += 2 + n
			r.budget -= int64(n)
			b = b[2 : 2+n]
			v := make([]byte, len(b))
			copy(v, b)
			return v
		}
	}
	if r.Nil() {
		return nil
	}
	at := r.input.Off
	n, ok := r.expect(wire.KindBytes)
	if !ok || !r.limit(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return nil
	}
	v := make([]byte, n)
	copy(v, r.input.Take(n))
	return v
}

// Array reads exactly len(dst) bytes.
func (r *Reader) Array(dst []byte) {
	at := r.input.Off
	n, ok := r.expect(wire.KindBytes)
	if !ok {
		return
	}
	if n != uint64(len(dst)) {
		r.refuse(at, codec.ErrType, "%d bytes, where %d are wanted", n, len(dst))
		return
	}
	copy(dst, r.input.Take(n))
}

// Time reads a timestamp, in UTC.
func (r *Reader) Time() time.Time {
	at := r.input.Off
	h, fault := r.input.Header()
	switch {
	case r.fault != nil:
	case fault != nil:
		r.stop(fault)
	case h.Kind == wire.KindNil:
		r.refuse(at, codec.ErrNil, "nil, where time.Time is wanted")
	case h.Kind != wire.KindExtension || h.Ext != -1:
		r.refuse(at, codec.ErrType, "%s, where time.Time is wanted", h.Kind)
	default:
		return r.timestamp(at, h.Num)
	}
	return time.Time{}
}

// timestamp reads the content of a timestamp, of size bytes, whose header is at
// byte at.
func (r *Reader) timestamp(at int, size uint64) time.Time {
	var seconds, nanoseconds uint64
	switch body := (wire.Reader{Src: r.input.Take(size)}); size {
	case 4:
		seconds, _ = body.BigEndian(0, 4)
	case 8:
		v, _ := body.BigEndian(0, 8)
		seconds, nanoseconds = v&(1<<34-1), v>>34
	case 12:
		nanoseconds, _ = body.BigEndian(0, 4)
		seconds, _ = body.BigEndian(0, 8)
	default:
		r.refuse(at, codec.ErrType, "a timestamp of %d bytes, where 4, 8 or 12 are wanted", size)
		return time.Time{}
	}
	if nanoseconds > wire.MaxNanoseconds {
		r.refuse(at, codec.ErrOverflow, "%d nanoseconds overflow a second", nanoseconds)
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(nanoseconds)).UTC()
}
