package gen

import (
	"fmt"
	"strings"
)

// room returns the expression for about how many bytes the encoding of a value
// takes, so that they are mostly allocated at once.
func (e *emitter) room(t *Type, value string) string {
	fixed, terms := t.room(value)
	return strings.Join(append([]string{fmt.Sprint(fixed)}, terms...), "+")
}

// roomEach is taken for each of what is not looked at.
const roomEach = 16

// room returns how many bytes the encoding of a value takes, about, and the
// terms to add for what it holds. It does not look into containers in containers,
// which may lead back to t.
func (t *Type) room(value string) (fixed int, terms []string) {
	switch t.Kind {
	case Slice:
		if t.Elem.size() == 0 {
			return 5, nil // there may be any number of them
		}
		return 5, []string{fmt.Sprintf("%d*len(%s)", t.Elem.roomInside(), value)}
	case Map:
		return 5, []string{fmt.Sprintf("%d*len(%s)", t.Key.roomInside()+t.Elem.roomInside(), value)}
	case String, Bytes:
		return 5, []string{fmt.Sprintf("len(%s)", value)}
	case Struct:
		fixed = 3
		for i := range t.Fields {
			f := &t.Fields[i]
			if f.OmitEmpty || len(f.pointers) > 0 {
				continue
			}
			more, inside := f.Type.room(value + f.selector)
			fixed += 3 + len(f.Name) + more
			terms = append(terms, inside...)
		}
		return fixed, terms
	}
	return t.roomInside(), nil
}

// roomInside is room for an element of a container.
func (t *Type) roomInside() int {
	switch t.Kind {
	case Bool:
		return 1
	case Int, Uint, Duration:
		_, width := integerForm(t)
		return 1 + width
	case Float:
		return 1 + t.Bits/8
	case ByteArray:
		return 5 + t.Len
	case Array:
		return 5 + t.Len*t.Elem.roomInside()
	case Struct:
		sum := 3
		for i := range t.Fields {
			if f := &t.Fields[i]; !f.OmitEmpty {
				sum += 3 + len(f.Name) + f.Type.roomInside()
			}
		}
		return sum
	}
	return roomEach
}
