package codec

import (
	"fmt"
	"math"
	"reflect"
)

// A command may take this much memory, and so much more for each of its bytes.
// Only values that are mostly omitted (omitempty) come near it.
const (
	memoryBase    = 64 << 10
	memoryPerByte = 128
)

// maxNanoseconds is the highest fraction that a time can have.
const maxNanoseconds = 999_999_999

// scanner walks over an encoded command and the nodes of its type side by side.
// It touches nothing but the bytes: what it lets pass is safe to decode.
type scanner struct {
	reader
	depth  int
	memory int64 // what the value takes beside its strings and bytes
	limit  int64 // of memory
}

// scan reports what is wrong with src as the encoding of a value of root.
func scan(root *node, src []byte) *Error {
	s := scanner{reader: reader{src: src}, limit: memoryBase + memoryPerByte*int64(len(src))}
	if len(src) > MaxSize {
		return s.fail(MaxSize, ErrTooLarge, "%d bytes, at most %d are allowed", len(src), MaxSize)
	}
	if root.form == formPointer && len(src) > 0 && src[0] == 0xc0 {
		return s.fail(0, ErrNil, "nil is no command")
	}
	if err := s.value(root); err != nil {
		return err
	}
	if n := s.remaining(); n > 0 {
		return s.fail(s.off, ErrTrailing, "%d bytes follow the command", n)
	}
	return nil
}

// value scans one value of n.
func (s *scanner) value(n *node) *Error {
	at := s.off
	h, err := s.header()
	if err != nil {
		return err
	}
	if h.kind == kindNil {
		if n.nilable() {
			return nil
		}
		return s.fail(at, ErrNil, "nil, where %s is wanted", n.wants())
	}
	switch n.form {
	case formValue:
		s.off = at
		return s.any()
	case formPointer:
		s.off = at
		if err := s.charge(at, n.elem.size); err != nil {
			return err
		}
		return s.value(n.elem)
	case formInt, formUint:
		return s.integer(at, n, h)
	case formFloat64:
		if h.kind == kindFloat32 {
			return nil // exact
		}
	case formTime:
		return s.time(at, n, h)
	}
	if h.kind != n.kind() {
		return s.fail(at, ErrType, "%s, where %s is wanted", h.kind, n.wants())
	}
	switch n.form {
	case formString:
		_, err := s.text(at, h.num)
		return err
	case formBytes, formBinary:
		s.take(h.num)
	case formByteArray:
		s.take(h.num)
		return s.length(at, n, h.num, n.typ.Len())
	case formSlice:
		if err := s.charge(at, int64(h.num)*n.elem.size); err != nil {
			return err
		}
		return s.elements(at, n, h.num)
	case formArray:
		if err := s.length(at, n, h.num, n.typ.Len()); err != nil {
			return err
		}
		return s.elements(at, n, h.num)
	case formMap:
		return s.entries(at, n, h.num)
	case formStruct:
		if n.asArray {
			return s.tuple(at, n, h.num)
		}
		return s.fields(at, n, h.num)
	}
	return nil
}

// nilable reports whether nil is a value of n's type.
func (n *node) nilable() bool {
	switch n.form {
	case formBytes, formSlice, formMap, formPointer:
		return true
	case formBinary, formValue:
		return n.typ.Kind() == reflect.Slice || n.typ.Kind() == reflect.Map
	}
	return false
}

// kind returns how the values of n start, where there is but one way.
func (n *node) kind() kind {
	switch n.form {
	case formBool:
		return kindBool
	case formFloat32:
		return kindFloat32
	case formFloat64:
		return kindFloat64
	case formString:
		return kindString
	case formBytes, formByteArray, formBinary:
		return kindBytes
	case formMap:
		return kindMap
	case formStruct:
		if !n.asArray {
			return kindMap
		}
	}
	return kindArray
}

// wants describes the values of n for an error message.
func (n *node) wants() string {
	switch n.form {
	case formInt, formUint, formTime, formValue:
		return n.typ.String()
	}
	return fmt.Sprintf("%s (%s)", n.kind(), n.typ)
}

// charge counts memory that the value takes, which starts at byte at.
func (s *scanner) charge(at int, size int64) *Error {
	s.memory += size
	if s.memory > s.limit {
		return s.fail(at, ErrTooLarge, "%d bytes would take more than %d bytes of memory", len(s.src), s.limit)
	}
	return nil
}

// enter counts the container at byte at; the caller leaves it by s.depth--.
func (s *scanner) enter(at int) *Error {
	s.depth++
	if s.depth > MaxDepth {
		return s.fail(at, ErrDepth, "nested deeper than %d", MaxDepth)
	}
	return nil
}

func (s *scanner) length(at int, n *node, got uint64, want int) *Error {
	if got != uint64(want) {
		return s.fail(at, ErrType, "%d elements, where %s has %d", got, n.typ, want)
	}
	return nil
}

func (s *scanner) integer(at int, n *node, h header) *Error {
	switch h.kind {
	case kindUint:
		highest := uint64(math.MaxUint64) >> (64 - n.bits)
		if n.form == formInt {
			highest >>= 1
		}
		if h.num > highest {
			return s.fail(at, ErrOverflow, "%d overflows %s", h.num, n.typ)
		}
	case kindNegative:
		if v := int64(h.num); n.form == formUint || v < math.MinInt64>>(64-n.bits) {
			return s.fail(at, ErrOverflow, "%d overflows %s", v, n.typ)
		}
	default:
		return s.fail(at, ErrType, "%s, where %s is wanted", h.kind, n.wants())
	}
	return nil
}

// time scans the rest of a time: MessagePack's timestamp extension, type -1.
func (s *scanner) time(at int, n *node, h header) *Error {
	if h.kind != kindExtension || h.ext != -1 {
		return s.fail(at, ErrType, "%s, where %s is wanted", h.kind, n.wants())
	}
	var nanoseconds uint64
	body := reader{src: s.take(h.num)}
	switch h.num {
	case 4: // seconds alone
	case 8:
		v, _ := body.bigEndian(0, 8)
		nanoseconds = v >> 34
	case 12:
		nanoseconds, _ = body.bigEndian(0, 4)
	default:
		return s.fail(at, ErrType, "a timestamp of %d bytes, where 4, 8 or 12 are wanted", h.num)
	}
	if nanoseconds > maxNanoseconds {
		return s.fail(at, ErrOverflow, "%d nanoseconds overflow a second", nanoseconds)
	}
	return nil
}

// elements scans the elements of a slice or array.
func (s *scanner) elements(at int, n *node, count uint64) *Error {
	if err := s.enter(at); err != nil {
		return err
	}
	for i := range count {
		if err := s.value(n.elem); err != nil {
			return within(err, fmt.Sprintf("[%d]", i))
		}
	}
	s.depth--
	return nil
}

// tuple scans the fields of a struct that is encoded as an array.
func (s *scanner) tuple(at int, n *node, count uint64) *Error {
	if err := s.enter(at); err != nil {
		return err
	}
	if err := s.length(at, n, count, len(n.fields)); err != nil {
		return err
	}
	for i := range n.fields {
		if err := s.value(n.fields[i].node); err != nil {
			return within(err, "."+n.fields[i].goName)
		}
	}
	s.depth--
	return nil
}

// fields scans the fields of a struct, in any order; they mostly come in that
// of the declaration.
func (s *scanner) fields(at int, n *node, count uint64) *Error {
	if err := s.enter(at); err != nil {
		return err
	}
	var few [2]uint64
	seen := few[:]
	if len(n.fields) > 64*len(few) {
		seen = make([]uint64, len(n.fields)/64+1)
	}
	next := 0
	for range count {
		at := s.off
		name, err := s.fieldName()
		if err != nil {
			return err
		}
		i := next
		if i >= len(n.fields) || n.fields[i].name != string(name) {
			var ok bool
			if i, ok = n.byName[string(name)]; !ok {
				return s.fail(at, ErrUnknownField, "unknown field %s", quote(name))
			}
		}
		f := &n.fields[i]
		if seen[i/64]&(1<<(i%64)) != 0 {
			return within(s.fail(at, ErrDuplicate, "the field comes twice"), "."+f.goName)
		}
		seen[i/64] |= 1 << (i % 64)
		next = i + 1
		if err := s.value(f.node); err != nil {
			return within(err, "."+f.goName)
		}
	}
	s.depth--
	return nil
}

func (s *scanner) fieldName() ([]byte, *Error) {
	at := s.off
	h, err := s.header()
	if err != nil {
		return nil, err
	}
	if h.kind != kindString {
		return nil, s.fail(at, ErrType, "%s, where a field's name is wanted", h.kind)
	}
	return s.text(at, h.num)
}

// any scans one value of whatever type, for types that decode themselves.
func (s *scanner) any() *Error {
	at := s.off
	h, err := s.header()
	if err != nil {
		return err
	}
	var inside uint64
	switch h.kind {
	case kindString:
		if _, err := s.text(at, h.num); err != nil {
			return err
		}
	case kindBytes, kindExtension:
		s.take(h.num)
	case kindArray:
		inside = h.num
	case kindMap:
		inside = 2 * h.num
	default:
		return nil
	}
	if err := s.enter(at); err != nil {
		return err
	}
	for range inside {
		if err := s.any(); err != nil {
			return err
		}
	}
	s.depth--
	return nil
}
