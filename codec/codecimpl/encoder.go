package codecimpl

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Encoder holds what the append functions of a generated codec share. The zero
// Encoder is ready for one command. Its methods append to b and return it. Their
// output equals that of github.com/vmihailenco/msgpack for the same values.
//
// The methods return no errors. If a value might not be decodable, they record that
// the command must be checked, which [Check] does by decoding it. So encoding needs no
// error handling, and every accepted command can be decoded.
type Encoder struct {
	unchecked bool         // Check must decode what was written
	depth     int32        // how many recursive types are open
	out       *chunkWriter // the destination of a machine's state, nil for commands
	refused   *error       // of a registered codec; a pointer keeps the Encoder small
	levels    *levels      // of the schema, nil for the newest
}

// MustCheck makes [Check] decode the command.
func (e *Encoder) MustCheck() { e.unchecked = true }

// Valid reports whether a command that was encoded as n bytes can be decoded. If
// it returns false, [CheckCommand] finds out.
func (e *Encoder) Valid(n int) bool { return !e.unchecked && n <= codec.MaxSize }

// CheckCommand decodes b, the encoding of any of a machine's commands. It returns nil
// or a [*codec.Error] whose path starts with the name that decode returns.
func CheckCommand[C any](e *Encoder, b []byte, decode func(*Reader) (C, string)) error {
	return e.check(b, func(r *Reader) string { _, root := decode(r); return root })
}

// Check is [CheckCommand] for a value of type T, with a path that starts with root.
// It decodes nothing if b is Valid.
func Check[T any](e *Encoder, b []byte, root string, decode func(*Reader, *T)) error {
	if e.Valid(len(b)) {
		return nil
	}
	return e.check(b, func(r *Reader) string { decode(r, new(T)); return root })
}

func (e *Encoder) check(encoded []byte, decode func(*Reader) string) error {
	r := NewReader(encoded)
	if e.levels != nil {
		r.setLevel(e.levels.level, e.levels.newest)
	}
	root := decode(r)
	e.explain(r.fault)
	fault := r.end()
	if fault == nil {
		return nil
	}
	e.blame(fault, encoded)
	return failed(opEncode, root, fault)
}

// Enter begins a value of a recursive type. containers is the maximum nesting between
// two such values, and before the first. Enter returns false if the recursion must
// stop; the caller then writes an empty container in place of the value.
func (e *Encoder) Enter(b []byte, containers int) bool {
	if e.out != nil {
		return e.enter()
	}
	e.depth++
	if (int(e.depth)+1)*containers > codec.MaxDepth || len(b) > codec.MaxSize {
		e.unchecked = true
	}
	// b may hold up to MaxSize bytes before the command.
	if e.depth > codec.MaxDepth || len(b) > 2*codec.MaxSize {
		e.depth--
		return false
	}
	return true
}

// Leave ends what [Encoder.Enter] began.
func (e *Encoder) Leave() { e.depth-- }

// Limit makes [Check] decode the command if n is above the highest allowed.
func (e *Encoder) Limit(n, highest int) {
	if n > highest {
		e.unchecked = true
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
	var all uint64 // the bits that are set in any byte of s, copied in overlapping words
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
		e.unchecked = true
	}
	return b
}

// anyString is String for strings that are long, or for which b has no capacity.
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
		e.unchecked = true
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
func (e *Encoder) Array(b, p []byte) []byte { return append(wire.AppendBytesHeader(b, len(p)), p...) }

// Bool appends a bool.
func (e *Encoder) Bool(b []byte, v bool) []byte {
	if v {
		return append(b, 0xc3)
	}
	return append(b, 0xc2)
}

// Fixed16 appends the 2 bytes of a number, whose type is the last byte of b.
func (e *Encoder) Fixed16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }

// Fixed32 appends the 4 bytes of a number, whose type is the last byte of b.
func (e *Encoder) Fixed32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// Fixed64 appends the 8 bytes of a number, whose type is the last byte of b.
func (e *Encoder) Fixed64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// Float32 appends the 4 bytes of a float, whose type is the last byte of b.
func (e *Encoder) Float32(b []byte, v float32) []byte { return e.Fixed32(b, math.Float32bits(v)) }

// Float64 appends the 8 bytes of a float, whose type is the last byte of b.
func (e *Encoder) Float64(b []byte, v float64) []byte { return e.Fixed64(b, math.Float64bits(v)) }

// Time appends a time as a timestamp, without its zone and its monotonic reading.
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

// NoVariant handles a value that is none of a sum's n variants: it appends bytes that
// [Check] rejects.
func (e *Encoder) NoVariant(b []byte, n int) []byte {
	e.unchecked = true
	if e.out != nil {
		e.out.stop(codec.ErrVariant, "an interface holds what is none of its %d variants, or a nil pointer", n)
	}
	return append(e.Variant(b, n), 0xc0)
}

// SortedKeys appends the keys of m to keys, which is empty, in ascending order.
func SortedKeys[M ~map[K]V, K cmp.Ordered, V any](keys []K, m M) []K {
	if n := len(keys) + len(m); n > cap(keys) {
		keys = append(make([]K, 0, n), keys...)
	}
	for k := range m {
		keys = append(keys, k)
	}
	if len(keys) > sortedByInsertion {
		slices.Sort(keys)
		return keys
	}
	for i := 1; i < len(keys); i++ {
		for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

// sortedByInsertion is the highest number of keys that are sorted here. slices.Sort
// does the same up to this number, and is slower.
const sortedByInsertion = 12
