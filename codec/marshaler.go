package codec

import (
	"bytes"
	"encoding"
	"fmt"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Binary is the codec of a type that has UnmarshalBinary, and AppendBinary or
// MarshalBinary. Register it with mosaik-gen, once for a module:
//
//	//mosaik:codec name=uuid module
//	type uuidCodec = codec.Binary[uuid.UUID, *uuid.UUID]
//
// T's methods must return the same bytes for equal values in every process, also
// after an update of T's package. Decode accepts only bytes that Append writes. If
// the decoded value has a different encoding, the error is [ErrCanonical].
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

// Text is the codec of a type that has UnmarshalText, and AppendText or MarshalText.
// Otherwise it is like [Binary]:
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

// appended returns what f appends to dst, or dst itself on error.
func appended(dst []byte, f func([]byte) ([]byte, error)) ([]byte, error) {
	b, err := f(dst)
	if err != nil {
		return dst, err
	}
	return b, nil
}

// joined appends b to dst, unless there is an error.
func joined(dst, b []byte, err error) ([]byte, error) {
	if err != nil {
		return dst, err
	}
	return append(dst, b...), nil
}

// canonical returns an error unless c encodes v, which it decoded from src, as src.
func canonical[T any](c Codec[T], src []byte, v T) error {
	again, err := c.Append(make([]byte, 0, len(src)), v)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(again, src):
		return fmt.Errorf("%w: %s, which is written %s", ErrCanonical, wire.Quote(src), wire.Quote(again))
	}
	return nil
}
