package gen

import (
	"fmt"
	"go/types"
	"strings"
)

// condition is a Go expression of type bool. Its opposite is kept beside it: it
// is never made of the text.
type condition struct {
	is, not string
	calls   bool // it calls a function
	or      bool // is is a disjunction, so that not is a conjunction
	and     bool // is is a conjunction, so that not is a disjunction
}

// when returns the condition of two comparisons that are opposites.
func when(is, not string) condition { return condition{is: is, not: not} }

// calling returns the condition of a call.
func calling(call string) condition { return condition{is: call, not: "!" + call, calls: true} }

// all returns the condition that each of several holds. There is at least one.
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

// negated returns the opposite of c as a whole.
func (c condition) negated() condition {
	return condition{is: c.not, not: c.is, calls: c.calls, or: c.and, and: c.or}
}

// emptiness says which values of a type vmihailenco/msgpack takes for empty.
type emptiness uint8

const (
	neverEmpty emptiness = iota + 1
	sometimesEmpty
	alwaysEmpty
)

// emptiness returns which values of t are empty.
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

// decidesEmpty reports whether a method IsZero of t says what is empty. What an
// interface holds is not asked: only nil is empty.
func (t *Type) decidesEmpty() bool { return t.Kind != Sum && zeroMethod(t.typ) != nil }

// alwaysDecides reports whether t always has a method IsZero, which therefore
// needs no mention: times have.
func (t *Type) alwaysDecides() bool {
	return t.Kind == Time || t.Kind == Pointer && t.Elem.Kind == Time
}

// leftOut notes that some field leaves out values of t.
func (t *Type) leftOut() {
	if t.Kind != Struct || !t.Tuple || t.Omitted || t.decidesEmpty() || t.emptiness() != sometimesEmpty {
		return
	}
	t.Omitted = true
	for i := range t.Fields {
		t.Fields[i].Type.leftOut()
	}
}

// zeroMethod returns the method IsZero of t, nil when it has none.
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

// promoter returns the embedded field that may be nil and of which t has its
// method IsZero, nil when there is none.
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

// empty returns the condition under which a value of t is empty, which may be
// so or not.
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
		return calling(e.codec() + ".IsZero(" + value + ")")
	}
	return when(value+" == 0", value+" != 0")
}

// emptyFunction returns the name of the function that reports whether all fields
// of a struct are empty.
func (e *emitter) emptyFunction(t *Type) string {
	if known, ok := e.empties.At(t.typ).(string); ok {
		return known
	}
	name := e.unique("empty" + e.coder(t).name)
	e.empties.Set(t.typ, name)
	e.emptied = append(e.emptied, t)
	return name
}

// emptyStruct writes the function of t that emptyFunction names.
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
		default: // it is empty when its embedded pointer is nil
			c = all(reach).negated()
		}
		fields = append(fields, c)
	}
	e.p("// %s reports whether all fields of v are empty.", e.emptyFunction(t))
	e.p("func %s(v *%s) bool {\nreturn %s\n}\n", e.emptyFunction(t), e.text(t.typ), all(fields).is)
}

// presence says when a field is on the wire.
type presence struct {
	never bool   // it is always left out
	ask   string // the condition under which it is there, "" when it always is
}

// fieldVariable returns the name of the variable that tells whether the field at
// index i of a struct is there.
func fieldVariable(i int) string { return fmt.Sprintf("f%d", i) }

// presences returns when each field of a struct that is a map is there, and
// writes its header. Both the header and the fields go by the same condition of
// each field, so that they cannot disagree.
func (e *emitter) presences(t *Type) []presence {
	out := make([]presence, len(t.Fields))
	always, asked := 0, 0
	for i := range t.Fields {
		f := &t.Fields[i]
		reach := f.reachable("v")
		if !t.leavesOut() {
			reach = nil // nil is written in place of what is behind a nil pointer
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
			if there.calls { // once is enough, and what a method says may change
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
