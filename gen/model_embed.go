package gen

import (
	"fmt"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// The fields of an embedded struct are encoded in its place, whether it is embedded by
// value or by pointer. Of fields with the same name on the wire, the least deep one
// counts, as with Go's selectors and encoding/json.

// embeddedPointer is an embedded pointer that leads to a field.
type embeddedPointer struct {
	selector string     // from a value of the outermost struct
	typ      types.Type // of the struct that it points to
}

// candidate becomes a field unless a less deep one has the same name.
type candidate struct {
	Field
	f     *types.Var
	tag   fieldTag
	at    spot
	depth int
}

// maxInlined is the highest number of embedded structs that are inlined into one.
const maxInlined = 10000

// embed adds the fields of inner, which f embeds by value or by pointer.
func (l *layout) embed(f *types.Var, inner *types.Struct, out Field, at spot) bool {
	typ := types.Unalias(f.Type())
	pointers := l.pointers
	if p, ok := typ.(*types.Pointer); ok {
		typ = types.Unalias(p.Elem())
		l.pointers = append(slices.Clone(pointers), embeddedPointer{out.selector, typ})
	}
	if slices.ContainsFunc(l.embeds, func(t types.Type) bool { return types.Identical(t, typ) }) {
		l.refuse(at, "%s embeds itself, so its fields would contain themselves; give the embedded field a name", l.text(typ))
		return false
	}
	if l.inlining++; l.inlining > maxInlined {
		l.refuse(at, "more than %d structs are embedded in one struct; give some of the embedded fields a name", maxInlined)
		return false
	}
	l.embeds = append(l.embeds, typ)
	ok := l.structure(inner, out.selector, l.text(typ), at)
	l.embeds, l.pointers = l.embeds[:len(l.embeds)-1], pointers
	if l.inlined == nil {
		l.inlined = make(map[string]spot)
	}
	l.inlined[out.Name] = at
	return ok
}

// resolve turns the candidates that no other one hides into fields.
func (l *layout) resolve() bool {
	least := make(map[string]candidate)
	for _, c := range l.found {
		if o, ok := least[c.Name]; !ok || c.depth < o.depth {
			least[c.Name] = c
		}
	}
	ok := true
	for _, c := range l.found {
		o := least[c.Name]
		at, inlined := l.inlined[c.Name]
		switch {
		case c.depth > o.depth && l.state:
			l.refuse(c.at, "it has the same name %q as %s, which hides it, so its value would be lost; rename one with a msgpack tag", c.Name, o.at.what)
			ok = false
		case c.depth > o.depth: // hidden
		case c.selector != o.selector:
			l.refuse(c.at, "two fields are encoded as %q; rename one with a msgpack tag", c.Name)
			ok = false
		case inlined:
			// Decoders of vmihailenco/msgpack take the embedded struct's own name for a field too.
			l.refuse(at, "the embedded struct and the field %s are both named %q; rename one with a msgpack tag", c.selector[1:], c.Name)
			ok = false
		default:
			ok = l.complete(c) && ok
		}
	}
	return ok && l.distinguishesNil()
}

// distinguishesNil refuses embedded pointers in a state for which nil and a struct may
// have the same encoding, because all fields that they lead to can be nil.
func (l *layout) distinguishesNil() bool {
	if !l.state {
		return true
	}
	distinct := make(map[string]bool)
	for _, f := range l.fields {
		if n := len(f.pointers); n > 0 {
			selector := f.pointers[n-1].selector
			distinct[selector] = distinct[selector] || !f.Type.nilable()
		}
	}
	ok := true
	for _, c := range l.found {
		if n := len(c.pointers); n > 0 && !distinct[c.pointers[n-1].selector] {
			distinct[c.pointers[n-1].selector] = true
			l.refuse(c.at, "a snapshot could not record whether the embedded pointer %s is nil, because all fields that it leads to can be nil; embed the struct, give the field a name, or use the tag option noinline", c.pointers[n-1].selector[1:])
			ok = false
		}
	}
	return ok
}

// nilable reports whether some value of t is encoded as nil.
func (t *Type) nilable() bool {
	switch t.Kind {
	case Bytes, Slice, Map, Pointer, Sum:
		return true
	}
	return false
}

// numberPointers numbers the embedded pointers of a struct in the order of the
// canonical text. The schema must say which fields share a pointer, because they are
// all missing if it is nil.
func (t *Type) numberPointers() {
	numbers := make(map[string]int)
	for _, f := range t.canonicalFields() {
		var chain []string
		for _, p := range f.pointers {
			if numbers[p.selector] == 0 {
				numbers[p.selector] = len(numbers) + 1
			}
			chain = append(chain, strconv.Itoa(numbers[p.selector]))
		}
		if chain != nil {
			t.field(f.Name).Pointers = strings.Join(chain, ".")
		}
	}
}

// leavesOut reports whether fields behind a nil embedded pointer are left out, and not
// encoded as nil. As with vmihailenco/msgpack, that is so if any field has omitempty.
// Fields that a later level added do not count.
func (t *Type) leavesOut() bool {
	return slices.ContainsFunc(t.Fields, func(f Field) bool { return f.omittable && f.since == 0 })
}

// reachable returns the conditions that the embedded pointers that lead to f are not
// nil, one for each.
func (f *Field) reachable(value string) (out []condition) {
	for _, p := range f.pointers {
		out = append(out, when(value+p.selector+" != nil", value+p.selector+" == nil"))
	}
	return out
}

// behind returns the memory of the fields that an embedded pointer of t leads to, as
// [Type.memory].
func (t *Type) behind(p embeddedPointer) string {
	inner := Type{Kind: Struct}
	for _, f := range t.Fields {
		if slices.ContainsFunc(f.pointers, func(o embeddedPointer) bool { return o.selector == p.selector }) {
			inner.Fields = append(inner.Fields, f)
		}
	}
	return inner.memory()
}

// decodeField writes code that decodes a field of t. Behind embedded pointers nil
// changes nothing, and any other value allocates the structs that they point to.
func (e *emitter) decodeField(t *Type, f *Field) {
	if len(f.pointers) == 0 {
		e.decode(f.Type, "v"+f.selector, f.Max, 0)
		return
	}
	e.p("if !r.Nil() {")
	outer := ""
	for _, p := range f.pointers {
		e.p("if %sv%s == nil && r.Charge(%s) {\nv%[2]s = new(%[4]s)\n}", outer, p.selector, t.behind(p), e.text(p.typ))
		outer += fmt.Sprintf("v%s != nil && ", p.selector)
	}
	e.p("if %s {", all(f.reachable("v")).is)
	e.decode(f.Type, "v"+f.selector, f.Max, 0)
	e.p("}\n}")
}

// hasPointers reports whether embedded pointers lead to some field.
func (t *Type) hasPointers() bool {
	return slices.ContainsFunc(t.Fields, func(f Field) bool { return len(f.pointers) > 0 })
}
