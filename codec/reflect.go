package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Reflect returns the codec of a hand-written machine. It encodes by reflection what
// github.com/vmihailenco/msgpack writes, with the struct tags of that package. It
// checks bytes against the type before it decodes them.
//
// # Types
//
// C and the types in it may be bool, integers, floats, string, byte slices and
// arrays, [time.Time] (decoded to UTC, without its monotonic reading), named types
// of these, structs, slices, arrays, maps with string or integer keys, pointers to
// other types than pointers, slices and maps, and types that encode themselves with
// MarshalMsgpack, MarshalBinary or MarshalText and the opposite method. Types may be
// recursive. On the wire int and uint have 64 bits; a process in which they have 32
// refuses them.
//
// Interfaces, including any, are refused: a value would not come back as it was sent
// (an int comes back as an int8), and would depend on what a process registered.
// Types of which vmihailenco/msgpack would lose a part are refused as well. The codec
// implements [Checker], which names the path of the refused type. The codec of a
// refused type returns that error from every call.
//
// # Bytes
//
// A struct is a map, whose keys are the Go names of its fields or the names in their
// msgpack tags. Unexported fields are not encoded. Fields may come in any order; a
// missing field is left zero. Integers and lengths may have any width that holds
// them. Everything else is refused; see the errors of this package. Append accepts
// only what Decode accepts, so strings must be valid UTF-8. If C is a pointer type,
// the command must not be nil.
//
// Equal values have equal encodings unless they hold maps: only maps with keys of
// type string and values of type string or bool are sorted.
func Reflect[C any]() Codec[C] {
	t := reflect.TypeFor[C]()
	if c, ok := reflected.Load(t); ok {
		return c.(*reflectCodec[C])
	}
	c, _ := reflected.LoadOrStore(t, newReflectCodec[C](t))
	return c.(*reflectCodec[C])
}

// reflected caches the codec of each type that Reflect was called with, by
// reflect.Type. The types of a program bound its size.
var reflected sync.Map

type reflectCodec[C any] struct {
	root     *node
	name     string // of C; the paths of errors start with it
	refused  error  // why C cannot be encoded, nil if it can
	encoders sync.Pool
	decoders sync.Pool
}

func newReflectCodec[C any](t reflect.Type) *reflectCodec[C] {
	c := &reflectCodec[C]{name: rootName(t)}
	root, fault := buildNode(t)
	if fault != nil {
		c.refused = failed(opCheck, c.name, fault)
		return c
	}
	c.root = root
	c.encoders.New = func() any { return &encoder[C]{msgpack: msgpack.NewEncoder(nil)} }
	c.decoders.New = func() any { return &decoder{msgpack: msgpack.NewDecoder(nil)} }
	return c
}

// encoder holds the state of one Append. It also holds the command: msgpack needs a
// pointer to it, which would otherwise cost an allocation.
type encoder[C any] struct {
	msgpack *msgpack.Encoder
	sink    sink
	command C
}

// decoder holds the state of one Decode.
type decoder struct {
	msgpack *msgpack.Decoder
	source  bytes.Reader
}

// Check implements [Checker].
func (c *reflectCodec[C]) Check() error { return c.refused }

// Append implements [Codec].
func (c *reflectCodec[C]) Append(dst []byte, v C) ([]byte, error) {
	if c.refused != nil {
		return dst, c.refused
	}
	e := c.encoders.Get().(*encoder[C])
	e.command, e.sink = v, sink{b: dst, room: MaxSize}
	if fault := c.encode(e); fault != nil {
		return dst, failed(opEncode, c.name, fault)
	}
	encoded := e.sink.b
	if fault := scan(c.root, encoded[len(dst):]); fault != nil {
		return dst, failed(opEncode, c.name, fault)
	}
	var none C
	e.command, e.sink = none, sink{}
	c.encoders.Put(e)
	return encoded, nil
}

// encode writes e.command to e.sink. After a fault e must not be pooled: a method of
// the user's may have panicked in the middle of it.
func (c *reflectCodec[C]) encode(e *encoder[C]) (fault *wire.Fault) {
	defer func() {
		if p := recover(); p != nil {
			fault = wire.Panicked(p)
		}
	}()
	if fault := checkDepth(c.root, reflect.ValueOf(&e.command).Elem(), 0); fault != nil {
		return fault
	}
	e.msgpack.Reset(&e.sink)
	e.msgpack.SetSortMapKeys(true)
	if err := e.msgpack.Encode(&e.command); err != nil {
		return &wire.Fault{Err: err}
	}
	return nil
}

// Decode implements [Codec].
func (c *reflectCodec[C]) Decode(src []byte) (C, error) {
	var none C
	if c.refused != nil {
		return none, c.refused
	}
	if fault := scan(c.root, src); fault != nil {
		return none, failed(opDecode, c.name, fault)
	}
	v := new(C)
	if fault := c.decode(v, src); fault != nil {
		return none, failed(opDecode, c.name, fault)
	}
	return *v, nil
}

// decode decodes src, which scan accepted, into v.
func (c *reflectCodec[C]) decode(v *C, src []byte) (fault *wire.Fault) {
	defer func() {
		if p := recover(); p != nil {
			fault = wire.Panicked(p)
		}
	}()
	d := c.decoders.Get().(*decoder)
	d.source.Reset(src)
	d.msgpack.Reset(&d.source)
	d.msgpack.DisallowUnknownFields(true)
	if err := d.msgpack.Decode(v); err != nil {
		return &wire.Fault{Err: err}
	}
	d.source.Reset(nil)
	c.decoders.Put(d)
	toUTC(c.root, reflect.ValueOf(v).Elem())
	return nil
}

// sink appends to b what is written, up to room bytes.
type sink struct {
	b    []byte
	room int
}

var errFull = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxSize)

func (s *sink) Write(p []byte) (int, error) {
	if len(p) > s.room {
		return 0, errFull
	}
	s.room -= len(p)
	s.b = append(s.b, p...)
	return len(p), nil
}

func (s *sink) WriteByte(b byte) error {
	if s.room == 0 {
		return errFull
	}
	s.room--
	s.b = append(s.b, b)
	return nil
}
