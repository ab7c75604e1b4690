package codec

import (
	"bytes"
	"slices"
)

// A codec that is registered with mosaik-gen takes part in a generated one. On
// the wire its values are bytes, whose content is the registered codec's.

// refusedValue stands in place of a value that its codec refused: the byte that
// starts no MessagePack value.
const refusedValue = 0xc1

// EncodeWith appends v as bytes that c makes of it, at most highest; 0 is no
// limit. What c refuses, what it cannot decode again, and its panics are errors
// of [Check].
func EncodeWith[T any](e *Encoder, b []byte, c Codec[T], v T, highest int) []byte {
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
		return e.Array(b[:start-2], bytes.Clone(content)) // the header is longer: content may be in its way
	}
	b[start-1] = byte(len(content))
	return append(b, content...)
}

// DecodeWith reads bytes, at most highest, and returns the value that c makes of
// them; 0 is no limit. Panics of c are errors.
func DecodeWith[T any](r *Reader, c Codec[T], highest int) (v T) {
	at := r.off
	n, ok := r.expect(kindBytes)
	if !ok || !r.within(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return v
	}
	decoded, err := decodeSafely(c, slices.Clip(r.take(n)))
	if err != nil {
		r.stop(&Error{Offset: at, Err: err})
		return v
	}
	return decoded
}

func appendSafely[T any](c Codec[T], dst []byte, v T) (content []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			content, err = nil, panicked(p).Err
		}
	}()
	return c.Append(dst, v)
}

func decodeSafely[T any](c Codec[T], src []byte) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p).Err
		}
	}()
	return c.Decode(src)
}

// refuse remembers the first error of a registered codec.
func (e *Encoder) refuse(err error) {
	if e.out != nil {
		e.out.stop(err, "")
		return
	}
	e.doubt = true
	if e.refused == nil {
		e.refused = &err
	}
}

// blame puts the error of the codec that refused a value in place of what
// decoding found where the value should be.
func (e *Encoder) blame(err *Error, encoded []byte) {
	if e.refused != nil && err.Offset < len(encoded) && encoded[err.Offset] == refusedValue {
		err.Err, err.Detail = *e.refused, ""
	}
}

// EncodeBytes is [Encoder.Bytes] for a type of the user's.
func EncodeBytes[B ~byte](e *Encoder, b []byte, p []B) []byte {
	if p == nil {
		return append(b, 0xc0)
	}
	b = e.bytesHeader(b, len(p))
	for _, v := range p {
		b = append(b, byte(v))
	}
	return b
}

// DecodeBytes is [Reader.Bytes] for a type of the user's.
func DecodeBytes[B ~byte](r *Reader, highest int) []B {
	if r.Nil() {
		return nil
	}
	at := r.off
	n, ok := r.expect(kindBytes)
	if !ok || !r.within(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return nil
	}
	p := make([]B, n)
	for i, v := range r.take(n) {
		p[i] = B(v)
	}
	return p
}

// DecodeArray is [Reader.Array] for a type of the user's.
func DecodeArray[B ~byte](r *Reader, dst []B) {
	at := r.off
	n, ok := r.expect(kindBytes)
	if !ok {
		return
	}
	if n != uint64(len(dst)) {
		r.refuse(at, ErrType, "%d bytes, where %d are wanted", n, len(dst))
		return
	}
	for i, v := range r.take(n) {
		dst[i] = B(v)
	}
}
