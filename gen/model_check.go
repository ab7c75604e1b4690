package gen

import (
	"go/types"
	"slices"
)

const (
	maxDepth     = 64      // as codec.MaxDepth
	maxValueSize = 1 << 20 // as the reflection codec's, in bytes
	hugeSize     = 1 << 30 // what sizes are cut off at, so that no sum or product of them overflows
	// memoryPerByte is how much memory a decoder grants for each byte.
	memoryPerByte = 128
)

// finish checks what can only be seen of the whole.
func (b *builder) finish(root *Type) {
	if b.failed {
		return
	}
	root.walk(func(t *Type) {
		at := spot{pos: b.machine.object.Pos(), what: "machine " + b.machine.GoName}
		if named, ok := t.typ.(*types.Named); ok {
			at.pos, at.what = named.Obj().Pos(), "type "+b.text(named)
		}
		switch {
		case t.cyclic():
			b.refuse(at, "%s is made of itself without a struct between, which has no canonical form; put a struct between", b.text(t.typ))
		case t.Kind == Array && t.special() && t.size() > maxValueSize:
			b.refuse(at, "%s takes %d bytes of memory, at most %d are allowed; use a slice", b.text(t.typ), t.size(), maxValueSize)
		case t.Kind == Struct && !t.state && t.size() > maxValueSize && !t.holdsHuge():
			b.refuse(at, "%s takes %d bytes of memory, at most %d are allowed; use a slice", b.text(t.typ), t.size(), maxValueSize)
		}
	})
	if b.failed {
		return
	}
	root.walk(func(t *Type) {
		for i := range t.Fields {
			if t.Fields[i].OmitEmpty {
				t.Fields[i].Type.leftOut()
			}
		}
	})
	if depth := root.depth(make(map[*Type]bool)); depth > maxDepth {
		what := "commands nest"
		if b.state {
			what = "fields nest"
		}
		b.refuse(spot{pos: b.machine.object.Pos(), what: "machine " + b.machine.GoName}, "its %s %d deep, at most %d levels are allowed; make them flatter", what, depth, maxDepth)
	}
}

// holdsHuge reports whether a field of t is a struct that is too large alone.
func (t *Type) holdsHuge() bool {
	return slices.ContainsFunc(t.Fields, func(f Field) bool {
		return f.Type.Kind == Struct && f.Type.size() > maxValueSize
	})
}

// cyclic reports whether t reaches itself through inline types alone.
func (t *Type) cyclic() bool {
	if !t.inline() {
		return false
	}
	found := false
	seen := make(map[*Type]bool)
	var visit func(*Type)
	visit = func(o *Type) {
		found = found || o == t
		if seen[o] || !o.inline() {
			return
		}
		seen[o] = true
		o.children(visit)
	}
	t.children(visit)
	return found
}

// depth returns how deep t nests, where a type within itself counts once.
func (t *Type) depth(above map[*Type]bool) int {
	if above[t] {
		return 0
	}
	above[t] = true
	defer delete(above, t)
	deepest := 0
	t.children(func(c *Type) { deepest = max(deepest, c.depth(above)) })
	switch t.Kind {
	case Slice, Array, Map, Struct, Sum:
		deepest++
	}
	return deepest
}

// size returns the memory that a value of t takes, in bytes, without padding and
// as if every word had 64 bits: all members must draw the same line.
func (t *Type) size() int64 {
	switch t.Kind {
	case Bool:
		return 1
	case Int, Uint, Float:
		return int64(t.Bits / 8)
	case String, Sum:
		return 16
	case Bytes, Slice, Time:
		return 24
	case ByteArray:
		return int64(t.Len)
	case Array:
		return min(int64(t.Len)*t.Elem.size(), hugeSize)
	case Struct:
		var sum int64
		for i := range t.Fields {
			sum += t.Fields[i].Type.size()
		}
		return min(sum, hugeSize)
	case Own:
		return ownSize
	}
	return 8
}

// least returns how many bytes the encoding of any value of t takes at least.
func (t *Type) least() int64 {
	switch t.Kind {
	case Int, Uint, Float:
		return 1 + int64(t.Bits/8)
	case Duration:
		return 9
	case Time:
		return 6
	case Own:
		return 2
	case ByteArray:
		return 2 + int64(t.Len)
	case Array:
		return min(1+int64(t.Len)*t.Elem.least(), hugeSize)
	case Struct:
		sum := int64(1)
		for i := range t.Fields {
			f := &t.Fields[i]
			if f.OmitEmpty || len(f.pointers) > 0 && !t.Tuple {
				continue
			}
			if len(f.pointers) > 0 {
				sum++ // nil
				continue
			}
			if !t.Tuple {
				sum += 1 + int64(len(f.Name))
			}
			sum += f.Type.least()
		}
		return min(sum, hugeSize)
	}
	return 1
}

// sparse reports whether encodings of t may be so much smaller than the values
// that a decoder refuses them.
func (t *Type) sparse() bool {
	found := false
	t.walk(func(o *Type) {
		var memory, encoded int64 = 0, 1
		switch o.Kind {
		case Slice:
			memory, encoded = o.Elem.size(), o.Elem.least()
		case Map:
			memory, encoded = 2*(o.Key.size()+o.Elem.size()), o.Key.least()+o.Elem.least()
		case Pointer:
			memory, encoded = 8+o.Elem.size(), o.Elem.least()
		case Sum:
			for _, v := range o.Variants {
				if m, e := 16+v.Type.size(), 2+v.Type.least(); m*encoded > memory*e {
					memory, encoded = m, e
				}
			}
		}
		found = found || memory > memoryPerByte*encoded || o.hasPointers()
	})
	return found
}
