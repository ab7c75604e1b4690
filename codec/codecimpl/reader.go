package codecimpl

import (
	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Reader reads a command for a generated decoder. It accepts what [codec.Reflect]
// accepts and reports the same errors. After an error its methods do nothing and
// return zero values; [Reader.Finish] returns the error.
//
// Each container is read with a cursor, which also finds the path to an error:
//
//	f := r.Struct(fields)
//	for r.First(&f, "\xa7Account") || r.Field(&f) {
//		switch f.Index {
//		case 0:
//			v.Account = r.String(0)
//			if !r.Next(&f, "\xa5Marks") {
//				break
//			}
//			fallthrough
//		case 1:
//			s := r.Slice(16, 0)
//			…
//		}
//	}
//
// Structs without containers need no cursor as long as their fields come in the
// expected order:
//
//	n := 0
//	if r.Begins("\x82\xa7Account") {
//		v.Account = r.String(0)
//		n = 1
//	}
//	if b := r.Peek(16); n == 1 && b != nil && string(b[0:8]) == "\xa6Amount\xd3" {
//		v.Amount = int64(binary.BigEndian.Uint64(b[8:]))
//		r.Skip(16)
//		return
//	}
//	f := r.Rest(fields, n)
//	for r.Field(&f) {
//		…
//	}
type Reader struct {
	input  wire.Reader
	fault  *wire.Fault // the first one; input is then at its end
	budget int64       // how much more memory the value may take, in bytes, roughly
	depth  int32       // how many containers are open
	level  uint32      // of the schema, 0 for the newest

	chunks *chunkReader // the source of a machine's state, nil for commands
}

// NewReader returns a reader of src, a command. It is just small enough to be
// inlined, so that the reader is on the caller's stack.
func NewReader(src []byte) *Reader {
	if len(src) > codec.MaxSize {
		return tooLong(src)
	}
	return &Reader{input: wire.Reader{Src: src}, budget: wire.MemoryBase + wire.MemoryPerByte*int64(len(src))}
}

//go:noinline
func tooLong(src []byte) *Reader {
	r := &Reader{input: wire.Reader{Src: src}}
	r.refuse(codec.MaxSize, codec.ErrTooLarge, "%d bytes, at most %d are allowed", len(src), codec.MaxSize)
	return r
}

// Finish returns the first error, or nil. It is a [*codec.Error] whose path starts
// with root. Bytes that were not read are an error, too.
func (r *Reader) Finish(root string) error {
	if r.input.Off == len(r.input.Src) && r.fault == nil {
		return nil
	}
	return r.failure(root)
}

// failure is a function of its own so that Finish is inlined.
//
//go:noinline
func (r *Reader) failure(root string) error { return failed(opDecode, root, r.end()) }

// end returns the first fault, or nil. Bytes that were not read are one.
func (r *Reader) end() *wire.Fault {
	if n := r.input.Remaining(); n > 0 {
		r.refuse(r.input.Off, codec.ErrTrailing, "%d bytes follow the command", n)
	}
	return r.fault
}

const (
	opEncode = "encode"
	opDecode = "decode"
)

// failed returns the error of a fault that was found in op within a value of the
// type that root names.
func failed(op, root string, f *wire.Fault) *codec.Error {
	return &codec.Error{Op: op, Path: root + f.Path, Offset: f.Offset, Detail: f.Detail, Err: f.Err}
}

// stop records the first fault and ends the reading.
func (r *Reader) stop(fault *wire.Fault) {
	if r.fault == nil {
		r.fault = fault
		r.input.Off = len(r.input.Src)
	}
}

// refuse records a fault at byte at, unless there is one.
func (r *Reader) refuse(at int, err error, format string, args ...any) {
	if r.fault == nil {
		r.stop(r.input.Fail(at, err, format, args...))
	}
}

// maxPath bounds the path of an error, in bytes, roughly: each container of a
// deeply nested state copies the path.
const maxPath = 2 << 10

// locate puts segment before the path of the fault, if there is one.
func (r *Reader) locate(segment string) {
	if r.fault != nil && len(r.fault.Path) > maxPath {
		r.fault.Path = r.fault.Path[:maxPath] + "…"
	}
	r.fault.In(segment)
}

// Charge counts size bytes of memory that the command is about to take. It
// returns false if the command takes too much, and after an error.
func (r *Reader) Charge(size int64) bool {
	r.budget -= size
	return r.budget >= 0 && r.fault == nil || r.overcharged()
}

// overcharged is a function of its own so that Charge is inlined.
//
//go:noinline
func (r *Reader) overcharged() bool { return r.fault == nil && r.charge(r.input.Off, 0) }

// charge is Charge for the value at byte at.
func (r *Reader) charge(at int, size int64) bool {
	r.budget -= size
	if r.budget < 0 {
		limit := wire.MemoryBase + wire.MemoryPerByte*int64(len(r.input.Src))
		if r.chunks != nil {
			limit = r.chunks.limit
		}
		r.refuse(at, codec.ErrTooLarge, "%d bytes would take more than %d bytes of memory", len(r.input.Src), limit)
		return false
	}
	return true
}

// enter opens the container at byte at. What reads its end decrements r.depth.
func (r *Reader) enter(at int) bool {
	r.depth++
	return r.depth <= codec.MaxDepth || r.deeper(at)
}

// deeper refuses a container that nests too deep. A state may nest deeper than a
// command. It is a function of its own so that enter is inlined.
//
//go:noinline
func (r *Reader) deeper(at int) bool {
	deepest := codec.MaxDepth
	if r.chunks != nil {
		deepest = max(deepest, r.chunks.deepest)
	}
	if int(r.depth) > deepest {
		r.refuse(at, codec.ErrDepth, "nested deeper than %d", deepest)
	}
	return r.fault == nil
}

// limit refuses an n above the highest allowed. A highest of 0 is no limit.
func (r *Reader) limit(at int, n uint64, highest int, what string) bool {
	if highest > 0 && n > uint64(highest) {
		r.refuse(at, codec.ErrTooLarge, "%d %s, at most %d are allowed", n, what, highest)
		return false
	}
	return true
}

// expect reads a header of the given kind and returns its number.
func (r *Reader) expect(k wire.Kind) (n uint64, ok bool) {
	at := r.input.Off
	h, fault := r.input.Header()
	switch {
	case r.fault != nil:
		return 0, false
	case fault != nil:
		r.stop(fault)
	case h.Kind == k:
		return h.Num, true
	case h.Kind == wire.KindNil:
		r.refuse(at, codec.ErrNil, "nil, where %s is wanted", k)
	default:
		r.refuse(at, codec.ErrType, "%s, where %s is wanted", h.Kind, k)
	}
	return 0, false
}

// short reads the header of an array (first is 0x90) or a map (0x80) if it is one
// byte long. Each element or entry takes at least unit bytes. If it returns false,
// the caller uses expect.
func (r *Reader) short(first byte, unit int) (n uint64, ok bool) {
	if r.input.Off < len(r.input.Src) && r.input.Src[r.input.Off]&0xf0 == first {
		if n := int(r.input.Src[r.input.Off] & 0x0f); n*unit < r.input.Remaining() {
			r.input.Off++
			return uint64(n), true
		}
	}
	return 0, false
}

// expectArray reads the header of an array.
func (r *Reader) expectArray() (n uint64, ok bool) {
	if n, ok := r.short(0x90, 1); ok {
		return n, true
	}
	return r.expect(wire.KindArray)
}

// expectMap reads the header of a map.
func (r *Reader) expectMap() (n uint64, ok bool) {
	if n, ok := r.short(0x80, 2); ok {
		return n, true
	}
	return r.expect(wire.KindMap)
}

// Nil reads nil if nil comes next, and reports whether it did.
func (r *Reader) Nil() bool {
	if r.input.Off < len(r.input.Src) && r.input.Src[r.input.Off] == 0xc0 {
		r.input.Off++
		return true
	}
	return false
}

// Pointer reads nil if nil comes next, and returns false then. It returns true if
// the value pointed to follows, which takes size bytes of memory.
func (r *Reader) Pointer(size int64) bool {
	return !r.Nil() && r.fault == nil && r.charge(r.input.Off, size)
}
