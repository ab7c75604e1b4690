package codec

import (
	"encoding"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// ownForm is a pair of methods with which types encode and decode themselves.
type ownForm struct {
	encodes, decodes           reflect.Type
	encodeMethod, decodeMethod string
	form                       form
}

// ownForms is in the order in which vmihailenco/msgpack looks for methods.
var ownForms = []ownForm{
	{reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder](), "EncodeMsgpack", "DecodeMsgpack", formValue},
	{reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler](), "MarshalMsgpack", "UnmarshalMsgpack", formValue},
	{reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](), "MarshalBinary", "UnmarshalBinary", formBinary},
	{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](), "MarshalText", "UnmarshalText", formBinary},
}

// encoderOf returns the form in which t encodes itself, or nil.
func encoderOf(t reflect.Type) *ownForm {
	for i := range ownForms {
		if t.Implements(ownForms[i].encodes) {
			return &ownForms[i]
		}
	}
	return nil
}

// decoderOf returns the form in which t decodes itself, or nil.
func decoderOf(t reflect.Type) *ownForm {
	for i := range ownForms {
		if t.Implements(ownForms[i].decodes) {
			return &ownForms[i]
		}
	}
	return nil
}

// encodesItself reports whether t or *t encodes or decodes itself.
func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t == timeType || encoderOf(p) != nil || decoderOf(p) != nil
}

// ownCodec returns the form in which t encodes and decodes itself, or nil if it does
// neither. It refuses types that vmihailenco/msgpack would encode in one form and
// decode in another, and types that it can encode in some places only.
func ownCodec(t reflect.Type, addressable bool) (*ownForm, *wire.Fault) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface:
		return nil, nil
	}
	p := reflect.PointerTo(t)
	enc, dec := encoderOf(p), decoderOf(p)
	byValue := encoderOf(t)
	switch {
	case enc == nil && dec == nil:
		return nil, nil
	case promotes(t):
		return nil, refuse("the codec methods that %s has from an embedded type would encode that type alone; give the embedded field a name", t)
	case enc == nil:
		return nil, refuse("%s has %s but not %s; implement both", t, dec.decodeMethod, dec.encodeMethod)
	case dec == nil:
		return nil, refuse("%s has %s but not %s; implement both", t, enc.encodeMethod, enc.decodeMethod)
	case enc != dec:
		return nil, refuse("%s would be encoded with %s but decoded with %s; implement both of a pair", t, enc.encodeMethod, dec.decodeMethod)
	case byValue != nil && byValue != enc:
		return nil, refuse("%s has %s on the value and %s on the pointer; use the same receiver", t, byValue.encodeMethod, enc.encodeMethod)
	case enc == &ownForms[0]:
		return nil, refuse("%s has %s, which may write any number of values; implement MarshalMsgpack and UnmarshalMsgpack instead", t, enc.encodeMethod)
	case decoderOf(t) != nil:
		return nil, refuse("%s of %s has a value receiver, so it would change a copy; give it a pointer receiver", dec.decodeMethod, t)
	case byValue == nil && !addressable:
		return nil, refuse("%s of %s has a pointer receiver, and values in a map have no address; use *%[2]s", enc.encodeMethod, t)
	}
	return enc, nil
}

// promotes reports whether t embeds a type that encodes itself, whose promoted
// methods would then encode t.
func promotes(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.Anonymous {
			continue
		}
		typ := f.Type
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if encodesItself(typ) || encoderOf(typ) != nil || decoderOf(typ) != nil {
			return true
		}
	}
	return false
}
