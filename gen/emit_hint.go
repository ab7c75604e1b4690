package gen

import (
	"fmt"
	"strings"
)

// sizeHint returns the expression for roughly the number of bytes that the encoding
// of a value takes, so that one allocation mostly suffices.
func (e *emitter) sizeHint(t *Type, value string) string {
	budget := hintStructs
	fixed, terms := t.sizeHint(value, &budget)
	return strings.Join(append([]string{fmt.Sprint(fixed)}, terms...), "+")
}

const (
	hintEach    = 16      // bytes for a value of which nothing is known
	hintStructs = 64      // how many structs are visited
	hintMost    = 1 << 16 // the highest hint for parts of a fixed size, in bytes
)

// sizeHint returns roughly the number of bytes in the fixed part of an encoded value,
// and the terms to add for strings, slices and maps. It does not visit containers in
// containers, which may lead back to t, nor more structs than the budget allows.
func (t *Type) sizeHint(value string, budget *int) (fixed int64, terms []string) {
	switch t.Kind {
	case Slice:
		if t.Elem.size() == 0 {
			return 5, nil // their number says nothing about the size
		}
		return 5, []string{fmt.Sprintf("%d*len(%s)", t.Elem.hintInside(), value)}
	case Map:
		return 5, []string{fmt.Sprintf("%d*len(%s)", t.Key.hintInside()+t.Elem.hintInside(), value)}
	case String, Bytes:
		return 5, []string{fmt.Sprintf("len(%s)", value)}
	case Struct:
		if *budget == 0 {
			return t.hintInside(), nil
		}
		*budget--
		fixed = 3
		for i := range t.Fields {
			f := &t.Fields[i]
			if f.OmitEmpty || len(f.pointers) > 0 {
				continue
			}
			more, inside := f.Type.sizeHint(value+f.selector, budget)
			fixed = min(fixed+3+int64(len(f.Name))+more, hintMost)
			terms = append(terms, inside...)
		}
		return fixed, terms
	}
	return t.hintInside(), nil
}

// hintInside is the hint for an element of a container.
func (t *Type) hintInside() int64 { return once(&t.measured.hint, t.findHint) }

func (t *Type) findHint() int64 {
	switch t.Kind {
	case Bool:
		return 1
	case Int, Uint, Duration:
		_, width := integerForm(t)
		return 1 + int64(width)
	case Float:
		return 1 + int64(t.Bits/8)
	case ByteArray:
		return min(5+int64(t.Len), hintMost)
	case Array:
		return min(5+int64(t.Len)*t.Elem.hintInside(), hintMost)
	case Struct:
		sum := int64(3)
		for i := range t.Fields {
			if f := &t.Fields[i]; !f.OmitEmpty {
				sum += 3 + int64(len(f.Name)) + f.Type.hintInside()
			}
		}
		return min(sum, hintMost)
	}
	return hintEach
}
