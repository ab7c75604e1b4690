package codec

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// IsAtLeastVersion1 makes generated code fail to compile beside a version of
// this package that is too old for it.
const IsAtLeastVersion1 = true

// Encoder is what the append functions of a generated codec share. The zero
// Encoder is ready for one command. Its methods append to b and return it, as
// github.com/vmihailenco/msgpack writes the same values.
//
// They go on whatever the value is and only note a doubt; [Check]
// clears it up by decoding what was written, so that no error handling stands
// in the way of encoding, and whatever is accepted can be decoded.
type Encoder struct {
	doubt   bool
	depth   int32
	out     *chunkWriter // where a machine's state goes
	refused *error       // by a registered codec; a pointer, since this is cleared for each command
	at      *position    // in the levels of the schema, nil for the newest
}

// Doubt demands that the command be decoded before it is accepted.
func (e *Encoder) Doubt() { e.doubt = true }

// Sure reports whether a command that was encoded in n bytes can be decoded for
// certain. Otherwise [CheckCommand] tells.
func (e *Encoder) Sure(n int) bool { return !e.doubt && n <= MaxSize }

// CheckCommand reports whether a command of any of a machine's types that was
// encoded as b can be decoded. It returns nil or an [*Error] whose path starts
// where decode says.
func CheckCommand[C any](e *Encoder, b []byte, decode func(*Reader) (C, string)) error {
	return e.check(b, func(r *Reader) string { _, root := decode(r); return root })
}

// Check is [CheckCommand] for a value of type T, with a path that starts with
// root. It need not be asked before whether it is sure.
func Check[T any](e *Encoder, b []byte, root string, decode func(*Reader, *T)) error {
	if e.Sure(len(b)) {
		return nil
	}
	return e.check(b, func(r *Reader) string { decode(r, new(T)); return root })
}

func (e *Encoder) check(encoded []byte, decode func(*Reader) string) error {
	r := NewReader(encoded)
	if e.at != nil {
		r.setLevel(e.at.level, e.at.newest)
	}
	root := decode(r)
	e.explain(r.err)
	err := r.finish(opEncode, root)
	if at, ok := err.(*Error); ok {
		e.blame(at, encoded)
	}
	return err
}

// Enter counts one more level of a recursive type. Between two of them, and
// before the first, there are at most so many levels of containers. It returns false when the recursion has to stop
// here; the caller then writes an empty container in place of the value.
func (e *Encoder) Enter(b []byte, containers int) bool {
	if e.out != nil {
		return e.enter()
	}
	e.depth++
	if (int(e.depth)+1)*containers > MaxDepth || len(b) > MaxSize {
		e.doubt = true
	}
	// One MaxSize for what is encoded, one for what stood before it in b.
	if e.depth > MaxDepth || len(b) > 2*MaxSize {
		e.depth--
		return false
	}
	return true
}

// Leave ends what [Encoder.Enter] began.
func (e *Encoder) Leave() { e.depth-- }

// Limit notes a doubt when n is above the highest allowed.
func (e *Encoder) Limit(n, highest int) {
	if n > highest {
		e.doubt = true
	}
}

// String appends a string.
func (e *Encoder) String(b []byte, s string) []byte {
	n := len(s)
	if n > 31 || n >= cap(b)-len(b) {
		return e.anyString(b, s)
	}
	at := len(b) + 1
	b = b[:at+n]
	b[at-1] = 0xa0 | byte(n)
	dst := b[at:]
	var all uint64 // the bytes of s, which is copied in words that overlap
	switch {
	case n >= 16:
		first, second, third, last := textWord(s), textWord(s[8:]), textWord(s[n-16:]), textWord(s[n-8:])
		binary.LittleEndian.PutUint64(dst, first)
		binary.LittleEndian.PutUint64(dst[8:], second)
		binary.LittleEndian.PutUint64(dst[n-16:], third)
		binary.LittleEndian.PutUint64(dst[n-8:], last)
		all = first | second | third | last
	case n >= 8:
		first, last := textWord(s), textWord(s[n-8:])
		binary.LittleEndian.PutUint64(dst, first)
		binary.LittleEndian.PutUint64(dst[n-8:], last)
		all = first | last
	case n >= 4:
		first, last := textHalf(s), textHalf(s[n-4:])
		binary.LittleEndian.PutUint32(dst, first)
		binary.LittleEndian.PutUint32(dst[n-4:], last)
		all = uint64(first | last)
	case n > 0:
		first, middle, last := s[0], s[n/2], s[n-1]
		dst[0], dst[n/2], dst[n-1] = first, middle, last
		all = uint64(first | middle | last)
	}
	if all&highBits != 0 && !utf8.ValidString(s) {
		e.doubt = true
	}
	return b
}

// anyString is String for strings that are not short or need more room.
func (e *Encoder) anyString(b []byte, s string) []byte {
	switch n := len(s); {
	case n <= 31:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		b = append(b, 0xda, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
	b = append(b, s...)
	if !ascii(b[len(b)-len(s):]) && !utf8.ValidString(s) {
		e.doubt = true
	}
	return b
}

// Bytes appends bytes, nil as nil.
func (e *Encoder) Bytes(b, p []byte) []byte {
	if p == nil {
		return append(b, 0xc0)
	}
	return e.Array(b, p)
}

// Array appends the bytes of an array.
func (e *Encoder) Array(b, p []byte) []byte { return append(e.bytesHeader(b, len(p)), p...) }

// bytesHeader appends the start of n bytes.
func (e *Encoder) bytesHeader(b []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xc5, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
}

// Bool appends a bool.
func (e *Encoder) Bool(b []byte, v bool) []byte {
	if v {
		return append(b, 0xc3)
	}
	return append(b, 0xc2)
}

// Fixed16 appends the 2 bytes of a number; its type stands before it in b.
func (e *Encoder) Fixed16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }

// Fixed32 appends the 4 bytes of a number; its type stands before it in b.
func (e *Encoder) Fixed32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// Fixed64 appends the 8 bytes of a number; its type stands before it in b.
func (e *Encoder) Fixed64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// Float32 appends the 4 bytes of a float; its type stands before it in b.
func (e *Encoder) Float32(b []byte, v float32) []byte { return e.Fixed32(b, math.Float32bits(v)) }

// Float64 appends the 8 bytes of a float; its type stands before it in b.
func (e *Encoder) Float64(b []byte, v float64) []byte { return e.Fixed64(b, math.Float64bits(v)) }

// Time appends a time as a timestamp. Its zone and its monotonic reading are lost.
func (e *Encoder) Time(b []byte, t time.Time) []byte {
	seconds, nanoseconds := uint64(t.Unix()), uint64(t.Nanosecond())
	if seconds>>34 != 0 {
		b = e.Fixed32(append(b, 0xc7, 12, 0xff), uint32(nanoseconds))
		return e.Fixed64(b, seconds)
	}
	v := nanoseconds<<34 | seconds
	if v>>32 == 0 {
		return e.Fixed32(append(b, 0xd6, 0xff), uint32(v))
	}
	return e.Fixed64(append(b, 0xd7, 0xff), v)
}

// SliceHeader appends the start of a slice or array of n elements.
func (e *Encoder) SliceHeader(b []byte, n int) []byte {
	switch {
	case n <= 15:
		return append(b, 0x90|byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xdc, byte(n>>8), byte(n))
	}
	return e.Fixed32(append(b, 0xdd), uint32(n))
}

// MapHeader appends the start of a map or struct of n entries.
func (e *Encoder) MapHeader(b []byte, n int) []byte {
	switch {
	case n <= 15:
		return append(b, 0x80|byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xde, byte(n>>8), byte(n))
	}
	return e.Fixed32(append(b, 0xdf), uint32(n))
}

// Variant appends the start of a sum's value: an array of the variant's tag and
// its value.
func (e *Encoder) Variant(b []byte, tag int) []byte {
	switch {
	case tag <= 0x7f:
		return append(b, 0x92, byte(tag))
	case tag <= math.MaxUint8:
		return append(b, 0x92, 0xcc, byte(tag))
	}
	return append(b, 0x92, 0xcd, byte(tag>>8), byte(tag))
}

// NoVariant appends in place of a value that is none of a sum's n variants what
// [Check] refuses.
func (e *Encoder) NoVariant(b []byte, n int) []byte {
	e.doubt = true
	if e.out != nil {
		e.out.stop(ErrVariant, "an interface holds what is none of its %d variants, or a nil pointer", n)
	}
	return append(e.Variant(b, n), 0xc0)
}

// SortedKeys appends the keys of m to room, in ascending order.
func SortedKeys[M ~map[K]V, K cmp.Ordered, V any](room []K, m M) []K {
	if n := len(room) + len(m); n > cap(room) {
		room = append(make([]K, 0, n), room...)
	}
	for k := range m {
		room = append(room, k)
	}
	if len(room) > sortedByInsertion {
		slices.Sort(room)
		return room
	}
	for i := 1; i < len(room); i++ {
		for j := i; j > 0 && room[j] < room[j-1]; j-- {
			room[j], room[j-1] = room[j-1], room[j]
		}
	}
	return room
}

// sortedByInsertion is up to how many keys slices.Sort would do the same, more
// slowly.
const sortedByInsertion = 12
