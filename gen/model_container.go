package gen

import (
	"fmt"
	"go/token"
	"go/types"
)

// The state of a machine may hold the containers of package sm. In the schema and on the
// wire they are maps, slices and bytes. A state with containers is frozen by copying
// fields, so what a container holds must not change behind its back.

// containerOf returns the name of the container of package sm that t is, or "".
func containerOf(t types.Type) string {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != smPath {
		return ""
	}
	switch name := named.Obj().Name(); name {
	case "Map", "Set", "List":
		if named.TypeArgs().Len() == map[string]int{"Map": 2, "Set": 1, "List": 1}[name] {
			return name
		}
	case "Bytes":
		return name
	}
	return ""
}

// container completes a container.
func (b *builder) container(out *Type, name string, s spot) bool {
	args := out.typ.(*types.Named).TypeArgs()
	if !b.state {
		plain := "[]byte"
		switch name {
		case "Map":
			plain = fmt.Sprintf("map[%s]%s", b.text(args.At(0)), b.text(args.At(1)))
		case "Set":
			plain = fmt.Sprintf("map[%s]struct{}", b.text(args.At(0)))
		case "List":
			plain = "[]" + b.text(args.At(0))
		}
		b.refuse(s, "%s is for the state of a machine with snapshots; use %s, which has the same encoding", b.text(out.typ), plain)
		return false
	}
	out.container = name
	switch name {
	case "Bytes":
		out.Kind = Bytes
		return true
	case "List":
		if !b.sequence(out, Slice, args.At(0), s) {
			return false
		}
		if out.Kind == Bytes {
			b.refuse(s, "%s takes far more memory than its bytes; use sm.Bytes, which has the same encoding", b.text(out.typ))
			return false
		}
		return true
	}
	elem := types.Type(types.NewStruct(nil, nil))
	if name == "Map" {
		elem = args.At(1)
	}
	if !b.mapping(out, types.NewMap(args.At(0), elem), s) {
		return false
	}
	if out.Key.Kind == Own {
		b.refuse(s, "the keys of %s have a registered codec, whose bytes may have another order than the keys; use a plain map, or a type of key without a codec", b.text(out.typ))
		return false
	}
	return true
}

// freezes reports whether Freeze is generated: the state of the machine has a container.
func (m *Machine) freezes() bool { return m.state != nil && m.state.freezes() }

// freezes reports whether t is or holds a container that is frozen in constant time.
func (t *Type) freezes() bool {
	return t.reaches(func(o *Type) bool { return o.container != "" && o.container != "Bytes" })
}

// boxed reports whether the state of the machine holds a type of package sm.
func (m *Machine) boxed() bool {
	return m.state != nil && m.state.reaches(func(o *Type) bool { return o.container != "" })
}

func (t *Type) reaches(wanted func(*Type) bool) bool {
	found := false
	t.walk(func(o *Type) { found = found || wanted(o) })
	return found
}

// freezable refuses fields whose containers could not be frozen, because something beside
// or inside them is shared by copies.
func (b *builder) freezable(state *Type) {
	for i := range state.Fields {
		f := &state.Fields[i]
		if !f.Type.freezes() {
			continue
		}
		found := f.sharing(b.machine.GoName)
		if found == nil {
			continue
		}
		at := spot{pos: f.pos, what: "field " + b.machine.GoName + f.selector}
		if found.pos.IsValid() {
			at.pos = found.pos
		}
		b.refuse(at, "%s is %s, which a frozen state would share with later commands; %s", found.path, found.what, b.instead(found))
	}
}

// sharing is a part of a value that copies of the value share.
type sharing struct {
	path string    // in Go, from the machine
	pos  token.Pos // of the innermost field
	what string
	typ  *Type
}

// copied reports whether a copy of the field shares nothing that can change.
func (f *Field) copied() bool { return f.sharing("") == nil }

// sharing returns the first part that copies of the field share, or nil.
func (f *Field) sharing(owner string) *sharing {
	if len(f.pointers) > 0 {
		return &sharing{path: owner + f.selector, pos: f.pos, what: "in a struct that is embedded by pointer"}
	}
	return f.Type.sharing(owner+f.selector, f.pos, make(map[*Type]bool))
}

func (t *Type) sharing(path string, pos token.Pos, seen map[*Type]bool) *sharing {
	if seen[t] {
		return nil
	}
	seen[t] = true
	plain := t.container == ""
	switch {
	case t.Kind == Pointer, plain && (t.Kind == Slice || t.Kind == Map || t.Kind == Bytes), t.Kind == Own && !valueOnly(t.typ):
		return &sharing{path: path, pos: pos, typ: t}
	case t.Kind == Slice, t.Kind == Map, t.Kind == Array:
		return t.Elem.sharing(path+"[]", pos, seen)
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		if len(f.pointers) > 0 {
			return &sharing{path: path + f.selector, pos: f.pos, what: "in a struct that is embedded by pointer"}
		}
		if found := f.Type.sharing(path+f.selector, f.pos, seen); found != nil {
			return found
		}
	}
	for _, v := range t.Variants {
		if v.pointer {
			return &sharing{path: path, pos: pos, what: "an interface that holds a *" + v.goName, typ: t}
		}
		if found := v.Type.sharing(path+".("+v.goName+")", pos, seen); found != nil {
			return found
		}
	}
	return nil
}

// instead says what to use in place of a part that copies share, and completes what it is.
func (b *builder) instead(s *sharing) string {
	if s.what == "" {
		s.what = "a " + b.text(s.typ.typ)
	}
	switch {
	case s.typ == nil:
		return "embed the struct itself"
	case s.typ.Kind == Sum:
		return "let the variant implement the interface with value receivers"
	case s.typ.Kind == Pointer:
		return "use " + b.text(s.typ.Elem.typ) + " and change it with the method Update of its container"
	case s.typ.Kind == Slice:
		return "use sm.List[" + b.text(s.typ.Elem.typ) + "]"
	case s.typ.Kind == Bytes:
		return "use sm.Bytes"
	case s.typ.Kind == Own:
		return "use a type without pointers, slices and maps, such as a string"
	case s.typ.Elem.Kind == Struct && len(s.typ.Elem.Fields) == 0 && s.typ.Key.Kind != Own:
		return "use sm.Set[" + b.text(s.typ.Key.typ) + "]"
	case s.typ.Key.Kind == Own:
		return "use an sm.Map with keys that are strings or integers"
	}
	return "use sm.Map[" + b.text(s.typ.Key.typ) + ", " + b.text(s.typ.Elem.typ) + "]"
}

// valueOnly reports whether copies of a value of t, which has a codec, share nothing that
// can change.
func valueOnly(t types.Type) bool {
	if isNamed(t, "net/netip", "Addr") || isNamed(t, "net/netip", "Prefix") || isNamed(t, "time", "Time") {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() != types.UnsafePointer
	case *types.Array:
		return valueOnly(u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			if !valueOnly(f.Type()) {
				return false
			}
		}
		return true
	}
	return false
}
