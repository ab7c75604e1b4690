package gen

import (
	"fmt"
	"strings"
)

// room returns the expression for about how many bytes the encoding of a value
// takes, so that they are mostly allocated at once.
func (e *emitter) room(t *Type, value string) string {
	budget := roomStructs
	fixed, terms := t.room(value, &budget)
	return strings.Join(append([]string{fmt.Sprint(fixed)}, terms...), "+")
}

const (
	roomEach    = 16      // taken for each of what is not looked at
	roomStructs = 64      // how many structs are looked into
	roomMost    = 1 << 16 // what fixed parts are cut off at: they are room, not a promise
)

// room returns how many bytes the encoding of a value takes, about, and the
// terms to add for what it holds. It does not look into containers in containers,
// which may lead back to t, nor into more structs than the budget allows.
func (t *Type) room(value string, budget *int) (fixed int64, terms []string) {
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
		if *budget == 0 {
			return t.roomInside(), nil
		}
		*budget--
		fixed = 3
		for i := range t.Fields {
			f := &t.Fields[i]
			if f.OmitEmpty || len(f.pointers) > 0 {
				continue
			}
			more, inside := f.Type.room(value+f.selector, budget)
			fixed = min(fixed+3+int64(len(f.Name))+more, roomMost)
			terms = append(terms, inside...)
		}
		return fixed, terms
	}
	return t.roomInside(), nil
}

// roomInside is room for an element of a container.
func (t *Type) roomInside() int64 { return once(&t.measured.room, t.findRoom) }

func (t *Type) findRoom() int64 {
	switch t.Kind {
	case Bool:
		return 1
	case Int, Uint, Duration:
		_, width := integerForm(t)
		return 1 + int64(width)
	case Float:
		return 1 + int64(t.Bits/8)
	case ByteArray:
		return min(5+int64(t.Len), roomMost)
	case Array:
		return min(5+int64(t.Len)*t.Elem.roomInside(), roomMost)
	case Struct:
		sum := int64(3)
		for i := range t.Fields {
			if f := &t.Fields[i]; !f.OmitEmpty {
				sum += 3 + int64(len(f.Name)) + f.Type.roomInside()
			}
		}
		return min(sum, roomMost)
	}
	return roomEach
}
