package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Reflect returns the codec of hand-written machines: MessagePack as
// github.com/vmihailenco/msgpack writes it, by reflection, with its struct
// tags. Bytes are checked against the type before they are decoded.
//
// # Types
//
// C and what it holds may be: bool, integers, floats, string, byte slices and
// arrays, [time.Time] (decoded to UTC, without its monotonic reading), named
// types over these, structs, slices, arrays, maps with string or integer keys,
// pointers to other than pointers, slices and maps, and types that encode
// themselves by a pair of MarshalMsgpack, MarshalBinary or MarshalText.
// Recursive types are fine. int and uint are 64 bits wide on the wire; a
// process where they are narrower refuses them.
//
// Interfaces, any among them, are refused: what comes back would not be what
// was sent (an int comes back as an int8) and would depend on what a process
// registered. So are types of which vmihailenco/msgpack would lose something.
// The codec implements [Checker], which names the path of what is refused; the
// codec of a refused type returns that error from every call.
//
// # Bytes
//
// Structs are maps with a field's Go name or the name in its msgpack tag as
// key; unexported fields are not encoded. Fields may come in any order and be
// missing, which leaves them zero. Integers may come in any width that holds
// them, lengths too; anything else is refused, see the errors of this package.
// Append accepts only what Decode accepts, so strings must be valid UTF-8. A C
// that is a pointer must not be nil.
//
// Equal values have equal encodings unless they hold maps, of which only those
// with keys of type string and values of type string or bool are sorted.
func Reflect[C any]() Codec[C] {
	t := reflect.TypeFor[C]()
	if c, ok := reflected.Load(t); ok {
		return c.(*reflectCodec[C])
	}
	c, _ := reflected.LoadOrStore(t, newReflectCodec[C](t))
	return c.(*reflectCodec[C])
}

// reflected holds the codec of every type that was asked for, by reflect.Type.
var reflected sync.Map

type reflectCodec[C any] struct {
	root     *node
	name     string // of C, with which paths start
	refused  error  // why C cannot be encoded
	encoders sync.Pool
	decoders sync.Pool
}

func newReflectCodec[C any](t reflect.Type) *reflectCodec[C] {
	c := &reflectCodec[C]{name: rootName(t)}
	root, err := buildNode(t)
	if err != nil {
		c.refused = err
		return c
	}
	c.root = root
	c.encoders.New = func() any { return &encoder[C]{msgpack: msgpack.NewEncoder(nil)} }
	c.decoders.New = func() any { return &decoder{msgpack: msgpack.NewDecoder(nil)} }
	return c
}

// encoder is what one Append needs. It keeps the command too, since a pointer
// to it is handed on and would otherwise cost an allocation.
type encoder[C any] struct {
	msgpack *msgpack.Encoder
	sink    sink
	command C
}

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
	if err := c.encode(e); err != nil {
		return dst, err.named(opEncode, c.name)
	}
	encoded := e.sink.b
	if err := scan(c.root, encoded[len(dst):]); err != nil {
		return dst, err.named(opEncode, c.name)
	}
	var none C
	e.command, e.sink = none, sink{}
	c.encoders.Put(e)
	return encoded, nil
}

func (c *reflectCodec[C]) encode(e *encoder[C]) (failed *Error) {
	defer func() {
		if p := recover(); p != nil {
			failed = panicked(p)
		}
	}()
	if err := checkDepth(c.root, reflect.ValueOf(&e.command).Elem(), 0); err != nil {
		return err
	}
	e.msgpack.Reset(&e.sink)
	e.msgpack.SetSortMapKeys(true)
	if err := e.msgpack.Encode(&e.command); err != nil {
		return &Error{Err: err}
	}
	return nil
}

// Decode implements [Codec].
func (c *reflectCodec[C]) Decode(src []byte) (C, error) {
	var none C
	if c.refused != nil {
		return none, c.refused
	}
	if err := scan(c.root, src); err != nil {
		return none, err.named(opDecode, c.name)
	}
	v := new(C)
	if err := c.decode(v, src); err != nil {
		return none, err.named(opDecode, c.name)
	}
	return *v, nil
}

func (c *reflectCodec[C]) decode(v *C, src []byte) (failed *Error) {
	defer func() {
		if p := recover(); p != nil {
			failed = panicked(p)
		}
	}()
	d := c.decoders.Get().(*decoder)
	d.source.Reset(src)
	d.msgpack.Reset(&d.source)
	d.msgpack.DisallowUnknownFields(true)
	if err := d.msgpack.Decode(v); err != nil {
		return &Error{Err: err}
	}
	d.source.Reset(nil)
	c.decoders.Put(d)
	toUTC(c.root, reflect.ValueOf(v).Elem())
	return nil
}

// panicked makes an error of a panic in the methods of a type that encodes
// itself. The encoder or decoder in use is not pooled again.
func panicked(p any) *Error {
	if err, ok := p.(error); ok {
		return &Error{Err: fmt.Errorf("panic: %w", err)}
	}
	return &Error{Err: fmt.Errorf("panic: %v", p)}
}

// sink appends to b what is written, as long as there is room.
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
