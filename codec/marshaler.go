package codec

import (
	"bytes"
	"encoding"
	"fmt"
)

// Binary is the codec of a type by its AppendBinary or else MarshalBinary, and
// UnmarshalBinary, for registration with mosaik-gen, once for a module:
//
//	//mosaik:codec name=uuid module
//	type uuidCodec = codec.Binary[uuid.UUID, *uuid.UUID]
//
// T's methods must give the same bytes for equal values in every process, also
// after T's package was updated. Decode accepts what Append makes and nothing
// else: bytes that are encoded again as others are an [ErrCanonical].
type Binary[T any, P interface {
	*T
	encoding.BinaryUnmarshaler
}] struct{}

// Append implements [Codec].
func (Binary[T, P]) Append(dst []byte, v T) ([]byte, error) {
	switch m := any(P(&v)).(type) {
	case encoding.BinaryAppender:
		return appended(dst, m.AppendBinary)
	case encoding.BinaryMarshaler:
		b, err := m.MarshalBinary()
		return joined(dst, b, err)
	}
	return dst, fmt.Errorf("%w: %T has no AppendBinary and no MarshalBinary", ErrUnsupported, v)
}

// Decode implements [Codec].
func (c Binary[T, P]) Decode(src []byte) (v T, err error) {
	if err = P(&v).UnmarshalBinary(src); err != nil {
		return v, err
	}
	return v, canonical(c, src, v)
}

// Text is the codec of a type by its AppendText or else MarshalText, and
// UnmarshalText, otherwise as [Binary]:
//
//	//mosaik:codec name=decimal module
//	type decimalCodec = codec.Text[decimal.Decimal, *decimal.Decimal]
type Text[T any, P interface {
	*T
	encoding.TextUnmarshaler
}] struct{}

// Append implements [Codec].
func (Text[T, P]) Append(dst []byte, v T) ([]byte, error) {
	switch m := any(P(&v)).(type) {
	case encoding.TextAppender:
		return appended(dst, m.AppendText)
	case encoding.TextMarshaler:
		b, err := m.MarshalText()
		return joined(dst, b, err)
	}
	return dst, fmt.Errorf("%w: %T has no AppendText and no MarshalText", ErrUnsupported, v)
}

// Decode implements [Codec].
func (c Text[T, P]) Decode(src []byte) (v T, err error) {
	if err = P(&v).UnmarshalText(src); err != nil {
		return v, err
	}
	return v, canonical(c, src, v)
}

// appended returns dst as it was on error, and what is appended to it otherwise.
func appended(dst []byte, f func([]byte) ([]byte, error)) ([]byte, error) {
	b, err := f(dst)
	if err != nil {
		return dst, err
	}
	return b, nil
}

func joined(dst, b []byte, err error) ([]byte, error) {
	if err != nil {
		return dst, err
	}
	return append(dst, b...), nil
}

// canonical reports whether v, decoded from src, is encoded as src again.
func canonical[T any](c Codec[T], src []byte, v T) error {
	again, err := c.Append(make([]byte, 0, len(src)), v)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(again, src):
		return fmt.Errorf("%w: %s, which is written %s", ErrCanonical, quote(src), quote(again))
	}
	return nil
}
