package codec

import (
	"fmt"
	"math"
	"reflect"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// scanner walks over an encoded command and the nodes of its type in parallel. It
// allocates nothing for the value. A command that it accepts is safe to decode.
type scanner struct {
	wire.Reader
	depth  int   // how many containers are open
	memory int64 // that the value takes so far, without its strings and bytes
	limit  int64 // of memory
}

// scan returns the first fault in src, the encoding of a value of root, or nil.
func scan(root *node, src []byte) *wire.Fault {
	s := scanner{Reader: wire.Reader{Src: src}, limit: wire.MemoryBase + wire.MemoryPerByte*int64(len(src))}
	if len(src) > MaxSize {
		return s.Fail(MaxSize, ErrTooLarge, "%d bytes, at most %d are allowed", len(src), MaxSize)
	}
	if root.form == formPointer && len(src) > 0 && src[0] == 0xc0 {
		return s.Fail(0, ErrNil, "nil is no command")
	}
	if fault := s.value(root); fault != nil {
		return fault
	}
	if n := s.Remaining(); n > 0 {
		return s.Fail(s.Off, ErrTrailing, "%d bytes follow the command", n)
	}
	return nil
}

// value scans one value of n.
func (s *scanner) value(n *node) *wire.Fault {
	at := s.Off
	h, fault := s.Header()
	if fault != nil {
		return fault
	}
	if h.Kind == wire.KindNil {
		if n.nilable() {
			return nil
		}
		return s.Fail(at, ErrNil, "nil, where %s is wanted", n.wants())
	}
	switch n.form {
	case formValue:
		s.Off = at
		return s.any()
	case formPointer:
		s.Off = at
		if fault := s.charge(at, n.elem.size); fault != nil {
			return fault
		}
		return s.value(n.elem)
	case formInt, formUint:
		return s.integer(at, n, h)
	case formFloat64:
		if h.Kind == wire.KindFloat32 {
			return nil // exact
		}
	case formTime:
		return s.time(at, n, h)
	}
	if h.Kind != n.kind() {
		return s.Fail(at, ErrType, "%s, where %s is wanted", h.Kind, n.wants())
	}
	switch n.form {
	case formString:
		_, fault := s.Text(at, h.Num)
		return fault
	case formBytes, formBinary:
		s.Take(h.Num)
	case formByteArray:
		s.Take(h.Num)
		return s.length(at, n, h.Num, n.typ.Len())
	case formSlice:
		if fault := s.charge(at, int64(h.Num)*n.elem.size); fault != nil {
			return fault
		}
		return s.elements(at, n, h.Num)
	case formArray:
		if fault := s.length(at, n, h.Num, n.typ.Len()); fault != nil {
			return fault
		}
		return s.elements(at, n, h.Num)
	case formMap:
		return s.entries(at, n, h.Num)
	case formStruct:
		if n.asArray {
			return s.tuple(at, n, h.Num)
		}
		return s.fields(at, n, h.Num)
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

// kind returns the kind of the values of n, where there is only one.
func (n *node) kind() wire.Kind {
	switch n.form {
	case formBool:
		return wire.KindBool
	case formFloat32:
		return wire.KindFloat32
	case formFloat64:
		return wire.KindFloat64
	case formString:
		return wire.KindString
	case formBytes, formByteArray, formBinary:
		return wire.KindBytes
	case formMap:
		return wire.KindMap
	case formStruct:
		if !n.asArray {
			return wire.KindMap
		}
	}
	return wire.KindArray
}

// wants describes the values of n for an error message.
func (n *node) wants() string {
	switch n.form {
	case formInt, formUint, formTime, formValue:
		return n.typ.String()
	}
	return fmt.Sprintf("%s (%s)", n.kind(), n.typ)
}

// charge counts size bytes of memory for the value that starts at byte at.
func (s *scanner) charge(at int, size int64) *wire.Fault {
	s.memory += size
	if s.memory > s.limit {
		return s.Fail(at, ErrTooLarge, "%d bytes would take more than %d bytes of memory", len(s.Src), s.limit)
	}
	return nil
}

// enter opens the container at byte at. The caller closes it by s.depth--.
func (s *scanner) enter(at int) *wire.Fault {
	s.depth++
	if s.depth > MaxDepth {
		return s.Fail(at, ErrDepth, "nested deeper than %d", MaxDepth)
	}
	return nil
}

// length refuses a number of elements other than want.
func (s *scanner) length(at int, n *node, got uint64, want int) *wire.Fault {
	if got != uint64(want) {
		return s.Fail(at, ErrType, "%d elements, where %s has %d", got, n.typ, want)
	}
	return nil
}

// integer checks an integer, whose header is h.
func (s *scanner) integer(at int, n *node, h wire.Header) *wire.Fault {
	switch h.Kind {
	case wire.KindUint:
		highest := uint64(math.MaxUint64) >> (64 - n.bits)
		if n.form == formInt {
			highest >>= 1
		}
		if h.Num > highest {
			return s.Fail(at, ErrOverflow, "%d overflows %s", h.Num, n.typ)
		}
	case wire.KindNegative:
		if v := int64(h.Num); n.form == formUint || v < math.MinInt64>>(64-n.bits) {
			return s.Fail(at, ErrOverflow, "%d overflows %s", v, n.typ)
		}
	default:
		return s.Fail(at, ErrType, "%s, where %s is wanted", h.Kind, n.wants())
	}
	return nil
}

// time scans the rest of a time, which is MessagePack's timestamp extension, type -1.
func (s *scanner) time(at int, n *node, h wire.Header) *wire.Fault {
	if h.Kind != wire.KindExtension || h.Ext != -1 {
		return s.Fail(at, ErrType, "%s, where %s is wanted", h.Kind, n.wants())
	}
	var nanoseconds uint64
	body := wire.Reader{Src: s.Take(h.Num)}
	switch h.Num {
	case 4: // seconds alone
	case 8:
		v, _ := body.BigEndian(0, 8)
		nanoseconds = v >> 34
	case 12:
		nanoseconds, _ = body.BigEndian(0, 4)
	default:
		return s.Fail(at, ErrType, "a timestamp of %d bytes, where 4, 8 or 12 are wanted", h.Num)
	}
	if nanoseconds > wire.MaxNanoseconds {
		return s.Fail(at, ErrOverflow, "%d nanoseconds overflow a second", nanoseconds)
	}
	return nil
}

// elements scans the elements of a slice or array.
func (s *scanner) elements(at int, n *node, count uint64) *wire.Fault {
	if fault := s.enter(at); fault != nil {
		return fault
	}
	for i := range count {
		if fault := s.value(n.elem); fault != nil {
			return fault.In(fmt.Sprintf("[%d]", i))
		}
	}
	s.depth--
	return nil
}

// tuple scans the fields of a struct that is encoded as an array.
func (s *scanner) tuple(at int, n *node, count uint64) *wire.Fault {
	if fault := s.enter(at); fault != nil {
		return fault
	}
	if fault := s.length(at, n, count, len(n.fields)); fault != nil {
		return fault
	}
	for i := range n.fields {
		if fault := s.value(n.fields[i].node); fault != nil {
			return fault.In("." + n.fields[i].goName)
		}
	}
	s.depth--
	return nil
}

// fields scans the fields of a struct. They may come in any order, and mostly come
// in that of their declaration.
func (s *scanner) fields(at int, n *node, count uint64) *wire.Fault {
	if fault := s.enter(at); fault != nil {
		return fault
	}
	var few [2]uint64
	seen := few[:]
	if len(n.fields) > 64*len(few) {
		seen = make([]uint64, len(n.fields)/64+1)
	}
	next := 0
	for range count {
		at := s.Off
		name, fault := s.fieldName()
		if fault != nil {
			return fault
		}
		i := next
		if i >= len(n.fields) || n.fields[i].name != string(name) {
			var ok bool
			if i, ok = n.byName[string(name)]; !ok {
				return s.Fail(at, ErrUnknownField, "unknown field %s", wire.Quote(name))
			}
		}
		f := &n.fields[i]
		if seen[i/64]&(1<<(i%64)) != 0 {
			return s.Fail(at, ErrDuplicate, "the field comes twice").In("." + f.goName)
		}
		seen[i/64] |= 1 << (i % 64)
		next = i + 1
		if fault := s.value(f.node); fault != nil {
			return fault.In("." + f.goName)
		}
	}
	s.depth--
	return nil
}

// fieldName reads the name of a field.
func (s *scanner) fieldName() ([]byte, *wire.Fault) {
	at := s.Off
	h, fault := s.Header()
	if fault != nil {
		return nil, fault
	}
	if h.Kind != wire.KindString {
		return nil, s.Fail(at, ErrType, "%s, where a field's name is wanted", h.Kind)
	}
	return s.Text(at, h.Num)
}

// any scans one value of any type, for types that decode themselves.
func (s *scanner) any() *wire.Fault {
	at := s.Off
	h, fault := s.Header()
	if fault != nil {
		return fault
	}
	var inside uint64
	switch h.Kind {
	case wire.KindString:
		if _, fault := s.Text(at, h.Num); fault != nil {
			return fault
		}
	case wire.KindBytes, wire.KindExtension:
		s.Take(h.Num)
	case wire.KindArray:
		inside = h.Num
	case wire.KindMap:
		inside = 2 * h.Num
	default:
		return nil
	}
	if fault := s.enter(at); fault != nil {
		return fault
	}
	for range inside {
		if fault := s.any(); fault != nil {
			return fault
		}
	}
	s.depth--
	return nil
}
