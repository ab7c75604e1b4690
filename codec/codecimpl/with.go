package codecimpl

import (
	"bytes"
	"slices"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// A generated codec can use a codec that is registered with mosaik-gen. On the wire
// a value of such a codec is MessagePack bytes, whose content the codec defines.

// refusedValue stands in place of a value that its codec refused. No MessagePack
// value starts with this byte.
const refusedValue = 0xc1

// EncodeWith appends v, encoded by c as at most highest bytes; a highest of 0 is no
// limit. [Check] returns an error if c refuses v, cannot decode what it wrote, or
// panics.
func EncodeWith[T any](e *Encoder, b []byte, c codec.Codec[T], v T, highest int) []byte {
	b = append(b, 0xc4, 0)
	start := len(b)
	content, err := appendSafely(c, b[start:], v)
	if err == nil {
		_, err = decodeSafely(c, content)
	}
	if err != nil {
		e.refuse(err)
		return append(b[:start-2], refusedValue)
	}
	if highest > 0 {
		e.Limit(len(content), highest)
	}
	if len(content) > 0xff {
		// The header is longer than the room that was left for it, and would
		// overwrite content.
		return e.Array(b[:start-2], bytes.Clone(content))
	}
	b[start-1] = byte(len(content))
	return append(b, content...)
}

// DecodeWith reads at most highest bytes and returns the value that c decodes from
// them; a highest of 0 is no limit. A panic of c is an error.
func DecodeWith[T any](r *Reader, c codec.Codec[T], highest int) (v T) {
	at := r.input.Off
	n, ok := r.expect(wire.KindBytes)
	if !ok || !r.limit(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return v
	}
	decoded, err := decodeSafely(c, slices.Clip(r.input.Take(n)))
	if err != nil {
		r.stop(&wire.Fault{Offset: at, Err: err})
		return v
	}
	return decoded
}

// appendSafely is c.Append, with panics as errors.
func appendSafely[T any](c codec.Codec[T], dst []byte, v T) (content []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			content, err = nil, wire.Panicked(p).Err
		}
	}()
	return c.Append(dst, v)
}

// decodeSafely is c.Decode, with panics as errors.
func decodeSafely[T any](c codec.Codec[T], src []byte) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = wire.Panicked(p).Err
		}
	}()
	return c.Decode(src)
}

// refuse records the first error of a registered codec.
func (e *Encoder) refuse(err error) {
	if e.out != nil {
		e.out.stop(err, "")
		return
	}
	e.unchecked = true
	if e.refused == nil {
		e.refused = &err
	}
}

// blame replaces a fault that decoding found at a refusedValue by the error of the
// codec that refused the value.
func (e *Encoder) blame(fault *wire.Fault, encoded []byte) {
	if e.refused != nil && fault.Offset < len(encoded) && encoded[fault.Offset] == refusedValue {
		fault.Err, fault.Detail = *e.refused, ""
	}
}

// EncodeBytes is [Encoder.Bytes] for bytes of a named type.
func EncodeBytes[B ~byte](e *Encoder, b []byte, p []B) []byte {
	if p == nil {
		return append(b, 0xc0)
	}
	b = wire.AppendBytesHeader(b, len(p))
	for _, v := range p {
		b = append(b, byte(v))
	}
	return b
}

// DecodeBytes is [Reader.Bytes] for bytes of a named type.
func DecodeBytes[B ~byte](r *Reader, highest int) []B {
	if r.Nil() {
		return nil
	}
	at := r.input.Off
	n, ok := r.expect(wire.KindBytes)
	if !ok || !r.limit(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return nil
	}
	p := make([]B, n)
	for i, v := range r.input.Take(n) {
		p[i] = B(v)
	}
	return p
}

// DecodeArray is [Reader.Array] for bytes of a named type.
func DecodeArray[B ~byte](r *Reader, dst []B) {
	at := r.input.Off
	n, ok := r.expect(wire.KindBytes)
	if !ok {
		return
	}
	if n != uint64(len(dst)) {
		r.refuse(at, codec.ErrType, "%d bytes, where %d are wanted", n, len(dst))
		return
	}
	for i, v := range r.input.Take(n) {
		dst[i] = B(v)
	}
}
