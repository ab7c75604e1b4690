package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// ErrVariant reports a value of a sealed interface that is none of its variants.
var ErrVariant = errors.New("codec: unknown variant")

// Reader reads a command for a generated decoder. Its methods return zero once
// something is wrong; [Reader.Finish] tells what and where. They accept what
// [Reflect] accepts and report what it reports.
//
// Containers are read with a cursor each, which also finds the path to what is
// wrong:
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
// Structs without containers are read without one, as long as the fields are
// those that are expected next:
//
//	n := 0
//	if r.Begins("\x82\xa7Account") {
//		v.Account = r.String(0)
//		n = 1
//	}
//	if b := r.Ahead(16); n == 1 && b != nil && string(b[0:8]) == "\xa6Amount\xd3" {
//		v.Amount = int64(binary.BigEndian.Uint64(b[8:]))
//		r.Skip(16)
//		return
//	}
//	f := r.Rest(fields, n)
//	for r.Field(&f) {
//		…
//	}
type Reader struct {
	reader
	err    *Error
	budget int64 // what the value may still take, about, in bytes
	depth  int32
	level  uint32 // of the schema, 0 for the newest

	chunks *chunkReader // where a machine's state comes from
}

// NewReader returns a reader of src, a command. It is just small enough to be
// inlined, so that the reader is on the caller's stack.
func NewReader(src []byte) *Reader {
	if len(src) > MaxSize {
		return tooLong(src)
	}
	return &Reader{reader: reader{src: src}, budget: memoryBase + memoryPerByte*int64(len(src))}
}

//go:noinline
func tooLong(src []byte) *Reader {
	r := &Reader{reader: reader{src: src}}
	r.refuse(MaxSize, ErrTooLarge, "%d bytes, at most %d are allowed", len(src), MaxSize)
	return r
}

// Finish returns what is wrong with the command, an [*Error] whose path starts
// with root, or nil. Bytes that were not read are wrong, too.
func (r *Reader) Finish(root string) error {
	if r.off == len(r.src) && r.err == nil {
		return nil
	}
	return r.finish(opDecode, root)
}

func (r *Reader) finish(op, root string) error {
	if n := r.remaining(); n > 0 {
		r.refuse(r.off, ErrTrailing, "%d bytes follow the command", n)
	}
	if r.err == nil {
		return nil
	}
	return r.err.named(op, root)
}

// stop remembers the first error and ends the reading.
func (r *Reader) stop(err *Error) {
	if r.err == nil {
		r.err = err
		r.off = len(r.src)
	}
}

func (r *Reader) refuse(at int, err error, format string, args ...any) {
	if r.err == nil {
		r.stop(r.fail(at, err, format, args...))
	}
}

// in puts segment before the path of what is wrong.
func (r *Reader) in(segment string) {
	if r.err != nil && len(r.err.Path) > maxPath {
		r.err.Path = r.err.Path[:maxPath] + "…" // or what a state nests would be copied again and again
	}
	within(r.err, segment)
}

// maxPath bounds the path of an error, about, in bytes.
const maxPath = 2 << 10

// charge counts memory that decoding takes.
func (r *Reader) charge(at int, size int64) bool {
	r.budget -= size
	if r.budget < 0 {
		limit := memoryBase + memoryPerByte*int64(len(r.src))
		if r.chunks != nil {
			limit = r.chunks.limit
		}
		r.refuse(at, ErrTooLarge, "%d bytes would take more than %d bytes of memory", len(r.src), limit)
		return false
	}
	return true
}

func (r *Reader) enter(at int) bool {
	r.depth++
	return r.depth <= MaxDepth || r.deeper(at)
}

// deeper refuses what is nested too deep, also for a state. It is apart so that
// enter is inlined.
//
//go:noinline
func (r *Reader) deeper(at int) bool {
	deepest := MaxDepth
	if r.chunks != nil {
		deepest = max(deepest, r.chunks.deepest)
	}
	if int(r.depth) > deepest {
		r.refuse(at, ErrDepth, "nested deeper than %d", deepest)
	}
	return r.err == nil
}

// expect reads a header of the given kind and returns its number.
func (r *Reader) expect(k kind) (n uint64, ok bool) {
	at := r.off
	h, err := r.header()
	switch {
	case r.err != nil:
		return 0, false
	case err != nil:
		r.stop(err)
	case h.kind == k:
		return h.num, true
	case h.kind == kindNil:
		r.refuse(at, ErrNil, "nil, where %s is wanted", k)
	default:
		r.refuse(at, ErrType, "%s, where %s is wanted", h.kind, k)
	}
	return 0, false
}

// short reads a header of one byte, if that is what comes next: the length of
// an array (0x90) or a map (0x80), whose elements or entries take unit bytes at
// least. What it does not take is for expect.
func (r *Reader) short(first byte, unit int) (n uint64, ok bool) {
	if r.off < len(r.src) && r.src[r.off]&0xf0 == first {
		if n := int(r.src[r.off] & 0x0f); n*unit < r.remaining() {
			r.off++
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
	return r.expect(kindArray)
}

// expectMap reads the header of a map.
func (r *Reader) expectMap() (n uint64, ok bool) {
	if n, ok := r.short(0x80, 2); ok {
		return n, true
	}
	return r.expect(kindMap)
}

// Nil reads nil, if that is what comes next, and reports whether it was.
func (r *Reader) Nil() bool {
	if r.off < len(r.src) && r.src[r.off] == 0xc0 {
		r.off++
		return true
	}
	return false
}

// Pointer reads nil, if that is what comes next, and returns false for it. It
// returns true when the value pointed to follows, which takes size bytes.
func (r *Reader) Pointer(size int64) bool {
	return !r.Nil() && r.err == nil && r.charge(r.off, size)
}

// Bool reads a bool.
func (r *Reader) Bool() bool {
	n, _ := r.expect(kindBool)
	return n != 0
}

// Int64 reads an integer.
func (r *Reader) Int64() int64 {
	if b := r.src[r.off:]; len(b) >= 9 && b[0] == 0xd3 {
		r.off += 9
		return int64(binary.BigEndian.Uint64(b[1:]))
	}
	return r.signed("int64", 64)
}

// Int32 reads an integer.
func (r *Reader) Int32() int32 {
	if b := r.src[r.off:]; len(b) >= 5 && b[0] == 0xd2 {
		r.off += 5
		return int32(binary.BigEndian.Uint32(b[1:]))
	}
	return int32(r.signed("int32", 32))
}

// Int16 reads an integer.
func (r *Reader) Int16() int16 {
	if b := r.src[r.off:]; len(b) >= 3 && b[0] == 0xd1 {
		r.off += 3
		return int16(binary.BigEndian.Uint16(b[1:]))
	}
	return int16(r.signed("int16", 16))
}

// Int8 reads an integer.
func (r *Reader) Int8() int8 {
	if b := r.src[r.off:]; len(b) >= 2 && b[0] == 0xd0 {
		r.off += 2
		return int8(b[1])
	}
	return int8(r.signed("int8", 8))
}

// IntSize is how many bits an int has. A machine whose commands hold some has
// another signature on platforms of 32 bits, where a member could not decode all
// that others apply.
const IntSize = strconv.IntSize

// Int reads an integer. One that overflows an int of 32 bits, on a platform that
// has them, is an [ErrOverflow].
func (r *Reader) Int() int {
	if strconv.IntSize == 64 {
		return int(r.Int64())
	}
	return int(r.signed("int", strconv.IntSize))
}

// Uint reads an integer, otherwise as [Reader.Int].
func (r *Reader) Uint() uint {
	if strconv.IntSize == 64 {
		return uint(r.Uint64())
	}
	return uint(r.unsigned("uint", strconv.IntSize))
}

// Uint64 reads an integer.
func (r *Reader) Uint64() uint64 {
	if b := r.src[r.off:]; len(b) >= 9 && b[0] == 0xcf {
		r.off += 9
		return binary.BigEndian.Uint64(b[1:])
	}
	return r.unsigned("uint64", 64)
}

// Uint32 reads an integer.
func (r *Reader) Uint32() uint32 {
	if b := r.src[r.off:]; len(b) >= 5 && b[0] == 0xce {
		r.off += 5
		return binary.BigEndian.Uint32(b[1:])
	}
	return uint32(r.unsigned("uint32", 32))
}

// Uint16 reads an integer.
func (r *Reader) Uint16() uint16 {
	if b := r.src[r.off:]; len(b) >= 3 && b[0] == 0xcd {
		r.off += 3
		return binary.BigEndian.Uint16(b[1:])
	}
	return uint16(r.unsigned("uint16", 16))
}

// Uint8 reads an integer.
func (r *Reader) Uint8() uint8 {
	if b := r.src[r.off:]; len(b) >= 2 && b[0] == 0xcc {
		r.off += 2
		return b[1]
	}
	return uint8(r.unsigned("uint8", 8))
}

// integer reads the header of an integer.
func (r *Reader) integer(name string) (h header, ok bool) {
	at := r.off
	h, err := r.header()
	switch {
	case r.err != nil:
	case err != nil:
		r.stop(err)
	case h.kind == kindUint || h.kind == kindNegative:
		return h, true
	case h.kind == kindNil:
		r.refuse(at, ErrNil, "nil, where %s is wanted", name)
	default:
		r.refuse(at, ErrType, "%s, where %s is wanted", h.kind, name)
	}
	return header{}, false
}

func (r *Reader) signed(name string, bits int) int64 {
	at := r.off
	h, ok := r.integer(name)
	switch v := int64(h.num); {
	case !ok:
	case h.kind == kindUint && h.num > math.MaxInt64>>(64-bits):
		r.refuse(at, ErrOverflow, "%d overflows %s", h.num, name)
	case h.kind == kindNegative && v < math.MinInt64>>(64-bits):
		r.refuse(at, ErrOverflow, "%d overflows %s", v, name)
	default:
		return v
	}
	return 0
}

func (r *Reader) unsigned(name string, bits int) uint64 {
	at := r.off
	h, ok := r.integer(name)
	switch {
	case !ok:
	case h.kind == kindNegative:
		r.refuse(at, ErrOverflow, "%d overflows %s", int64(h.num), name)
	case h.num > math.MaxUint64>>(64-bits):
		r.refuse(at, ErrOverflow, "%d overflows %s", h.num, name)
	default:
		return h.num
	}
	return 0
}

// Float32 reads a float.
func (r *Reader) Float32() float32 {
	n, _ := r.expect(kindFloat32)
	return math.Float32frombits(uint32(n))
}

// Float64 reads a float of either width.
func (r *Reader) Float64() float64 {
	if r.off < len(r.src) && r.src[r.off] == 0xca {
		return float64(r.Float32())
	}
	n, _ := r.expect(kindFloat64)
	return math.Float64frombits(n)
}

// String reads a string of at most highest bytes; 0 is no limit.
func (r *Reader) String(highest int) string {
	from := r.off + 1
	if from > len(r.src) || highest > 0 {
		return r.anyString(highest)
	}
	n := int(r.src[r.off]) - 0xa0
	if n < 0 || n > 31 {
		return r.longString()
	}
	to := from + n
	if to > len(r.src) || r.budget < int64(n) {
		return r.anyString(highest)
	}
	b := r.src[from:to]
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
	r.off = to
	r.budget -= int64(n)
	return string(b)
}

// longString is String for strings of 32 to 255 bytes.
func (r *Reader) longString() string {
	from := r.off + 2
	if r.src[r.off] != 0xd9 || from > len(r.src) {
		return r.anyString(0)
	}
	n := int(r.src[r.off+1])
	to := from + n
	if to > len(r.src) || r.budget < int64(n) || !ascii(r.src[from:to]) {
		return r.anyString(0)
	}
	r.off = to
	r.budget -= int64(n)
	return string(r.src[from:to])
}

// anyString is String for whatever comes next.
func (r *Reader) anyString(highest int) string {
	at := r.off
	n, ok := r.expect(kindString)
	if !ok || !r.within(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return ""
	}
	b, err := r.text(at, n)
	if err != nil {
		r.stop(err)
	}
	return string(b)
}

// Bytes reads bytes, of which there may be highest at most; 0 is no limit. The
// result does not alias the command; it is nil for nil.
func (r *Reader) Bytes(highest int) []byte {
	if b := r.src[r.off:]; len(b) >= 2 && b[0] == 0xc4 {
		if n := int(b[1]); 2+n <= len(b) && highest == 0 && r.budget >= int64(n) {
			r.off += 2 + n
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
	at := r.off
	n, ok := r.expect(kindBytes)
	if !ok || !r.within(at, n, highest, "bytes") || !r.charge(at, int64(n)) {
		return nil
	}
	v := make([]byte, n)
	copy(v, r.take(n))
	return v
}

// Array reads exactly as many bytes as dst holds.
func (r *Reader) Array(dst []byte) {
	at := r.off
	n, ok := r.expect(kindBytes)
	if !ok {
		return
	}
	if n != uint64(len(dst)) {
		r.refuse(at, ErrType, "%d bytes, where %d are wanted", n, len(dst))
		return
	}
	copy(dst, r.take(n))
}

// within refuses an n above the highest allowed; 0 is no limit.
func (r *Reader) within(at int, n uint64, highest int, what string) bool {
	if highest > 0 && n > uint64(highest) {
		r.refuse(at, ErrTooLarge, "%d %s, at most %d are allowed", n, what, highest)
		return false
	}
	return true
}

// Time reads a timestamp, in UTC.
func (r *Reader) Time() time.Time {
	at := r.off
	h, err := r.header()
	switch {
	case r.err != nil:
	case err != nil:
		r.stop(err)
	case h.kind == kindNil:
		r.refuse(at, ErrNil, "nil, where time.Time is wanted")
	case h.kind != kindExtension || h.ext != -1:
		r.refuse(at, ErrType, "%s, where time.Time is wanted", h.kind)
	default:
		return r.timestamp(at, h.num)
	}
	return time.Time{}
}

func (r *Reader) timestamp(at int, size uint64) time.Time {
	var seconds, nanoseconds uint64
	switch body := (reader{src: r.take(size)}); size {
	case 4:
		seconds, _ = body.bigEndian(0, 4)
	case 8:
		v, _ := body.bigEndian(0, 8)
		seconds, nanoseconds = v&(1<<34-1), v>>34
	case 12:
		nanoseconds, _ = body.bigEndian(0, 4)
		seconds, _ = body.bigEndian(0, 8)
	default:
		r.refuse(at, ErrType, "a timestamp of %d bytes, where 4, 8 or 12 are wanted", size)
		return time.Time{}
	}
	if nanoseconds > maxNanoseconds {
		r.refuse(at, ErrOverflow, "%d nanoseconds overflow a second", nanoseconds)
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(nanoseconds)).UTC()
}

// Tag reads the start of a command, whose types are n, 128 at most, if it is as
// encoders write it, and returns the type's tag. It returns -1 for whatever else
// comes first: that is for [Reader.Variant].
func (r *Reader) Tag(n int) int {
	if r.off == 0 && len(r.src) >= 2 && r.src[0] == 0x92 && int(r.src[1]) < n {
		r.off, r.depth = 2, 1
		return int(r.src[1])
	}
	return -1
}

// Variant reads the start of a sum's value and returns the variant's tag, which
// is below n, or -1 when something is wrong. The variant's value follows.
func (r *Reader) Variant(n int) int {
	if at := r.off; at+2 <= len(r.src) && r.src[at] == 0x92 && r.depth < MaxDepth {
		if tag := int(r.src[at+1]); tag < n && tag < 0x80 {
			r.off += 2
			r.depth++
			return tag
		}
	}
	return r.anyVariant(n)
}

// anyVariant is Variant for whatever comes next.
func (r *Reader) anyVariant(n int) int {
	at := r.off
	if length, ok := r.expectArray(); !ok || !r.enter(at) {
		return -1
	} else if length != 2 {
		r.refuse(at, ErrType, "%d elements, where a variant has a tag and a value", length)
		return -1
	}
	at = r.off
	h, ok := r.integer("a variant's tag")
	if !ok {
		return -1
	}
	if h.kind == kindNegative || h.num >= uint64(n) {
		r.refuse(at, ErrVariant, "the tag %d is none of the %d variants", int64(h.num), n)
		return -1
	}
	return int(h.num)
}

// EndVariant ends what [Reader.Variant] began.
func (r *Reader) EndVariant(name string) {
	r.depth--
	if r.err != nil {
		r.inVariant(name)
	}
}

//go:noinline
func (r *Reader) inVariant(name string) { r.in(fmt.Sprintf(".(%s)", name)) }

// Charge counts size bytes of memory that the command is about to take. It
// returns false when it takes too much.
func (r *Reader) Charge(size int64) bool {
	r.budget -= size
	return r.budget >= 0 && r.err == nil || r.overcharged()
}

// overcharged is apart so that Charge is inlined.
//
//go:noinline
func (r *Reader) overcharged() bool { return r.err == nil && r.charge(r.off, 0) }
