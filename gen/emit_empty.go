package gen

import (
	"fmt"
	"go/types"
	"strings"
)

// condition is a Go expression of type bool and its negation. The negation is built
// with it, never derived from its text.
type condition struct {
	is, not string
	calls   bool // it calls a function
	or      bool // is is a disjunction, so that not is a conjunction
	and     bool // is is a conjunction, so that not is a disjunction
}

// when returns a condition, given as a comparison and its negation.
func when(is, not string) condition { return condition{is: is, not: not} }

// calling returns the condition that a call returns true.
func calling(call string) condition { return condition{is: call, not: "!" + call, calls: true} }

// all returns the conjunction of one or more conditions.
func all(of []condition) condition {
	if len(of) == 1 {
		return of[0]
	}
	is, not, calls := make([]string, len(of)), make([]string, len(of)), false
	for i, c := range of {
		is[i], not[i], calls = c.is, c.not, calls || c.calls
		if c.or {
			is[i] = "(" + c.is + ")"
		}
		if c.and {
			not[i] = "(" + c.not + ")"
		}
	}
	return condition{is: strings.Join(is, " && "), not: strings.Join(not, " || "), calls: calls, and: true}
}

// negated returns the negation of c.
func (c condition) negated() condition {
	return condition{is: c.not, not: c.is, calls: c.calls, or: c.and, and: c.or}
}

// emptiness says which values of a type are empty to vmihailenco/msgpack.
type emptiness uint8

const (
	neverEmpty emptiness = iota + 1
	sometimesEmpty
	alwaysEmpty
)

// emptiness returns which values of t are empty. It finds out once.
func (t *Type) emptiness() emptiness {
	if t.measured.empty == 0 {
		t.measured.empty = t.findEmptiness()
	}
	return t.measured.empty
}

func (t *Type) findEmptiness() emptiness {
	if t.decidesEmpty() {
		return sometimesEmpty
	}
	switch t.Kind {
	case Array, ByteArray:
		if t.Len == 0 {
			return alwaysEmpty
		}
		return neverEmpty
	case Struct:
		found := alwaysEmpty
		for i := range t.Fields {
			f := &t.Fields[i]
			switch {
			case len(f.pointers) > 0 && (f.omittable || t.leavesOut()):
				found = min(found, sometimesEmpty)
				if f.omittable && f.Type.emptiness() == alwaysEmpty {
					found = alwaysEmpty
				}
			case !f.omittable:
				return neverEmpty
			default:
				found = min(found, f.Type.emptiness())
			}
		}
		return found
	}
	return sometimesEmpty
}

// decidesEmpty reports whether a method IsZero of t decides which values are empty.
// The method of a value in an interface does not count: only nil is empty there.
func (t *Type) decidesEmpty() bool { return t.Kind != Sum && zeroMethod(t.typ) != nil }

// alwaysDecides reports whether t always has a method IsZero, as times do. The schema
// does not mention such a method.
func (t *Type) alwaysDecides() bool {
	return t.Kind == Time || t.Kind == Pointer && t.Elem.Kind == Time
}

// leftOut records that a field leaves out empty values of t.
func (t *Type) leftOut() {
	if t.Kind != Struct || !t.Tuple || t.Omitted || t.decidesEmpty() || t.emptiness() != sometimesEmpty {
		return
	}
	t.Omitted = true
	for i := range t.Fields {
		t.Fields[i].Type.leftOut()
	}
}

// zeroMethod returns the method IsZero of t, or nil.
func zeroMethod(t types.Type) *types.Selection {
	m := types.NewMethodSet(t).Lookup(nil, "IsZero")
	if m == nil {
		return nil
	}
	sig, ok := m.Type().(*types.Signature)
	if !ok || sig.Params().Len() != 0 || sig.Results().Len() != 1 || !types.Identical(sig.Results().At(0).Type(), types.Typ[types.Bool]) {
		return nil
	}
	return m
}

// promoter returns the embedded field that t has its method IsZero from, if that
// field may be nil, and otherwise nil.
func promoter(t types.Type) *types.Var {
	m := zeroMethod(t)
	if m == nil {
		return nil
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	for _, i := range m.Index()[:len(m.Index())-1] {
		field := t.Underlying().(*types.Struct).Field(i)
		switch field.Type().Underlying().(type) {
		case *types.Pointer, *types.Interface:
			return field
		}
		t = field.Type()
	}
	return nil
}

// empty returns the condition that a value of t is empty. t must be a type that has
// empty values and others.
func (e *emitter) empty(t *Type, value string) condition {
	if t.decidesEmpty() {
		method := calling(value + ".IsZero()")
		switch t.typ.Underlying().(type) {
		case *types.Pointer, *types.Slice, *types.Map:
			return all([]condition{when(value+" != nil", value+" == nil"), method.negated()}).negated()
		}
		return method
	}
	switch t.Kind {
	case Bool:
		return when("!"+value, value)
	case String, Bytes, Slice, Map:
		return when("len("+value+") == 0", "len("+value+") != 0")
	case Pointer, Sum:
		return when(value+" == nil", value+" != nil")
	case Struct:
		return calling(e.emptyFunction(t) + "(&" + value + ")")
	case Own:
		if t.codec.ready != nil && t.codec.ready.zero != "" {
			return when(value+t.codec.ready.zero+" == 0", value+t.codec.ready.zero+" != 0")
		}
		return calling(e.impl() + ".IsZero(" + value + ")")
	}
	return when(value+" == 0", value+" != 0")
}

// emptyFunction returns the name of the generated function that reports whether all
// fields of a struct are empty.
func (e *emitter) emptyFunction(t *Type) string {
	if known, ok := e.empties.At(t.typ).(string); ok {
		return known
	}
	name := e.unique("empty" + e.coder(t).name)
	e.empties.Set(t.typ, name)
	e.emptied = append(e.emptied, t)
	return name
}

// emptyStruct writes the function that emptyFunction names.
func (e *emitter) emptyStruct(t *Type) {
	var fields []condition
	for i := range t.Fields {
		f := &t.Fields[i]
		var c condition
		switch reach := f.reachable("v"); {
		case f.omittable && f.Type.emptiness() == alwaysEmpty:
			continue
		case f.omittable && f.Type.emptiness() == sometimesEmpty:
			c = e.empty(f.Type, "v"+f.selector)
			if reach != nil {
				c = all(append(reach, c.negated())).negated()
			}
		default: // it is empty if its embedded pointer is nil
			c = all(reach).negated()
		}
		fields = append(fields, c)
	}
	e.p("// %s reports whether all fields of v are empty.", e.emptyFunction(t))
	e.p("func %s(v *%s) bool {\nreturn %s\n}\n", e.emptyFunction(t), e.text(t.typ), all(fields).is)
}

// presence says when a field is encoded.
type presence struct {
	never bool   // it is always left out
	ask   string // the condition under which it is encoded, "" if it always is
}

// fieldVariable returns the name of the variable that holds whether the field at
// index i of a struct is encoded.
func fieldVariable(i int) string { return fmt.Sprintf("f%d", i) }

// presences returns when each field of a struct is encoded, and writes the header of
// the struct, which is a map. The header counts the same conditions by which the
// fields are encoded, so the two cannot disagree.
func (e *emitter) presences(t *Type) []presence {
	out := make([]presence, len(t.Fields))
	always, asked := 0, 0
	for i := range t.Fields {
		f := &t.Fields[i]
		reach := f.reachable("v")
		if !t.leavesOut() {
			reach = nil // fields behind a nil pointer are encoded as nil
		}
		switch {
		case f.OmitEmpty && f.Type.emptiness() == alwaysEmpty:
			out[i].never = true
		case reach != nil:
			if f.OmitEmpty && f.Type.emptiness() == sometimesEmpty {
				reach = append(reach, e.empty(f.Type, "v"+f.selector).negated())
			}
			asked++
			out[i].ask = fieldVariable(i)
			e.p("%s := %s", out[i].ask, all(reach).is)
		case !f.OmitEmpty || f.Type.emptiness() == neverEmpty:
			always++
		default:
			asked++
			there := e.empty(f.Type, "v"+f.selector).negated()
			out[i].ask = there.is
			if there.calls { // a method may return something else the second time
				out[i].ask = fieldVariable(i)
				e.p("%s := %s", out[i].ask, there.is)
			}
		}
	}
	if asked == 0 {
		e.add(containerHeader(0x80, 0xde, always)...)
		return out
	}
	e.p("n := %d", always)
	for _, p := range out {
		if p.ask != "" {
			e.p("if %s {\nn++\n}", p.ask)
		}
	}
	if always+asked <= 15 {
		e.p("b = append(b, 0x80|byte(n))")
	} else {
		e.p("b = e.MapHeader(b, n)")
	}
	return out
}
