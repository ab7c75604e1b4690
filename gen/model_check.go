package gen

import (
	"go/types"
	"slices"
)

const (
	maxDepth     = 64      // as codec.MaxDepth
	maxValueSize = 1 << 20 // as the reflection codec's, in bytes
)

// finish checks root for what depends on whole types, once its model is complete.
func (b *builder) finish(root *Type) {
	if b.failed {
		return
	}
	connect(root)
	root.walk(func(t *Type) {
		at := spot{pos: b.machine.object.Pos(), what: "machine " + b.machine.GoName}
		if named, ok := t.typ.(*types.Named); ok {
			at.pos, at.what = named.Obj().Pos(), "type "+b.text(named)
		}
		switch {
		case t.recursive && t.cyclic():
			b.refuse(at, "%s contains itself without a struct in between, and has no canonical form; put a struct in between", b.text(t.typ))
		case t.Kind == Array && t.special && t.size() > maxValueSize:
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
	if root.depth > maxDepth {
		what := "commands nest"
		if b.state {
			what = "fields nest"
		}
		b.refuse(spot{pos: b.machine.object.Pos(), what: "machine " + b.machine.GoName}, "its %s %d deep, at most %d is allowed; make them flatter", what, root.depth, maxDepth)
	}
}

// holdsHuge reports whether a field of t is a struct that is itself too large.
func (t *Type) holdsHuge() bool {
	return slices.ContainsFunc(t.Fields, func(f Field) bool {
		return f.Type.Kind == Struct && f.Type.size() > maxValueSize
	})
}

// cyclic reports whether t reaches itself through inline types only.
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
