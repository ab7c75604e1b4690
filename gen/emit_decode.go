package gen

import (
	"fmt"
	"go/types"
	"strconv"
	"strings"
)

// decodeStruct writes the fields and the decode function of a struct.
func (e *emitter) decodeStruct(c *coded) {
	t := c.typ
	names := make([]string, len(t.Fields))
	fields := t.byLevel()
	for i, f := range fields {
		names[i] = f.Name
		if f.goName != f.Name {
			names[i] += ":" + f.goName
		}
		names[i] = strconv.Quote(names[i])
	}
	e.p("var %s = %s.NewFields(%s)%s\n", c.fields, e.impl(), strings.Join(names, ", "), t.before())
	e.p("func decode%s(r *%s.Reader, v *%s) {", c.name, e.impl(), e.text(t.typ))
	if t.plain() {
		e.decodePlain(c)
		e.p("}\n")
		return
	}
	// Fields mostly come in the order in which they are encoded. The fields of a
	// state may be in different chunks.
	inRow := !t.Tuple && !t.state && len(t.Fields) > 0
	start, next := "Struct", "Field"
	switch {
	case t.Tuple:
		start = "Tuple"
	case t.state:
		next = "Section"
	}
	known := c.fields
	if t.before() != "" {
		known += ".At(r)"
	}
	e.p("f := r.%s(%s)", start, known)
	if inRow && fields[0].since == 0 {
		e.p("for r.First(&f, %s) || r.Field(&f) {", literal(encodedName(&fields[0])))
	} else {
		e.p("for r.%s(&f) {", next)
	}
	if len(t.Fields) > 0 {
		e.p("switch f.Index {")
		for i := range t.Fields {
			e.p("case %d:", i)
			e.decodeField(t, &fields[i])
			// Only Field knows which fields a level has.
			if inRow && i+1 < len(fields) && fields[i+1].since == 0 {
				e.p("if !r.Next(&f, %s) {\nbreak\n}\nfallthrough", literal(encodedName(&fields[i+1])))
			}
		}
		e.p("}")
	}
	e.p("}\n}\n")
}

// decodeSum writes the decode function of a sum.
func (e *emitter) decodeSum(c *coded) {
	t := c.typ
	if t.root {
		e.p("// decode%s returns the command and the name of its type.", c.name)
		e.p("func decode%s(r *%s.Reader) (%s, string) {", c.name, e.impl(), e.sumType(c))
	} else {
		e.p("func decode%s(r *%s.Reader, v *%s) {", c.name, e.impl(), e.sumType(c))
		e.p("if r.Nil() {\nreturn\n}")
	}
	if n := t.count(); t.root && len(t.Variants) <= 128 && n == fmt.Sprint(len(t.Variants)) {
		e.p("tag := r.Tag(%s)\nif tag < 0 {\ntag = r.Variant(%[1]s)\n}\nswitch tag {", n)
	} else {
		e.p("switch r.Variant(%s) {", n)
	}
	for tag, v := range t.Variants {
		e.p("case %d:", tag)
		goType := e.text(v.Type.typ)
		into := "x"
		if v.pointer {
			into = "*x"
			e.p("x := new(%s)", goType)
		} else {
			e.p("var x %s", goType)
		}
		e.p("if r.Charge(%s) {", v.Type.memory())
		e.decode(v.Type, into, 0, 1) // x is a variable of depth 0
		e.p("}")
		if t.root {
			e.p("return x, %q", v.goName)
		} else {
			e.p("*v = x\nr.EndVariant(%q)", v.goName)
		}
	}
	e.p("}")
	if t.root {
		e.p("return nil, %q", e.sumType(c))
	}
	e.p("}\n")
}

// decode writes code that decodes a value into an addressable expression, whose value
// is zero. A highest of 0 is no limit; depth makes the names of variables distinct.
func (e *emitter) decode(t *Type, into string, highest, depth int) {
	if t.container != "" && t.Kind != Bytes {
		e.decodeContainer(t, into, depth)
		return
	}
	switch t.Kind {
	case ByteArray:
		if t.namedBytes() {
			e.p("%s.DecodeArray(r, %s[:])", e.impl(), operand(into))
			return
		}
		e.p("r.Array(%s[:])", operand(into))
	case Slice, Array:
		e.decodeElements(t, into, highest, depth)
	case Map:
		e.decodeMap(t, into, highest, depth)
	case Pointer:
		e.p("if r.Pointer(%s) {\n%s = new(%s)", t.Elem.memory(), into, e.text(t.Elem.typ))
		e.decode(t.Elem, "*"+into, 0, depth)
		e.p("}")
	case Struct, Sum:
		e.p("decode%s(r, %s)", e.coder(t).name, address(into))
	default:
		e.p("%s = %s", into, e.decoded(t, highest))
	}
}

// scalarLike reports whether one expression decodes a value of t.
func (t *Type) scalarLike() bool {
	switch t.Kind {
	case ByteArray, Slice, Array, Map, Pointer, Struct, Sum:
		return false
	}
	return true
}

// namedBytes reports whether the elements of t are bytes of a named type.
func (t *Type) namedBytes() bool {
	var elem types.Type
	switch u := t.typ.Underlying().(type) {
	case *types.Slice:
		elem = u.Elem()
	case *types.Array:
		elem = u.Elem()
	}
	_, basic := types.Unalias(elem).(*types.Basic)
	return !basic
}

// decoded returns the expression that decodes a scalar.
func (e *emitter) decoded(t *Type, highest int) string {
	call, predeclared := "", ""
	switch t.Kind {
	case Int, Uint:
		bits := fmt.Sprint(t.Bits)
		if t.word {
			bits = ""
		}
		call, predeclared = "r.Int"+bits+"()", "int"+bits
		if t.Kind == Uint {
			call, predeclared = "r.Uint"+bits+"()", "uint"+bits
		}
	case Bool:
		call, predeclared = "r.Bool()", "bool"
	case Float:
		call, predeclared = fmt.Sprintf("r.Float%d()", t.Bits), fmt.Sprintf("float%d", t.Bits)
	case String:
		call, predeclared = fmt.Sprintf("r.String(%d)", highest), "string"
	case Duration:
		return e.text(t.typ) + "(r.Int64())"
	case Time:
		return "r.Time()"
	case Own:
		return fmt.Sprintf("%s.DecodeWith(r, %s{}, %d)", e.impl(), e.codecType(t), highest)
	case Bytes:
		if t.container != "" {
			return fmt.Sprintf("%s(r.Bytes(%d))", e.text(t.typ), highest)
		}
		if t.namedBytes() {
			elem := t.typ.Underlying().(*types.Slice).Elem()
			return fmt.Sprintf("%s.DecodeBytes[%s](r, %d)", e.impl(), e.text(elem), highest)
		}
		return fmt.Sprintf("r.Bytes(%d)", highest) // assignable to a named type
	}
	if basic, ok := t.typ.(*types.Basic); ok && types.Identical(basic, types.Universe.Lookup(predeclared).Type()) {
		return call
	}
	return e.text(t.typ) + "(" + call + ")"
}

func (e *emitter) decodeElements(t *Type, into string, highest, depth int) {
	if t.stream {
		e.decodeItems(t, into, depth)
		return
	}
	s := variable("s", depth)
	if t.Kind == Array {
		e.p("%s := r.Elements(%d)", s, t.Len)
	} else {
		e.p("%s := r.Slice(%s, %d)\nif !%[1]s.Nil {\n%[4]s = make(%[5]s, %[1]s.Len)\n}", s, t.Elem.memory(), highest, into, e.text(t.typ))
	}
	e.p("for r.Element(&%s) {", s)
	e.decode(t.Elem, operand(into)+"["+s+".Index]", 0, depth+1)
	e.p("}")
}

func (e *emitter) decodeMap(t *Type, into string, highest, depth int) {
	if t.stream {
		e.decodeEntries(t, into, depth)
		return
	}
	m, k, x := variable("m", depth), variable("k", depth), variable("x", depth)
	e.p("%s := r.Map(%s, %d)\nif !%[1]s.Nil {\n%[4]s = make(%[5]s, %[1]s.Len)\n}", m, memory(t.Key, t.Elem), highest, into, e.text(t.typ))
	e.p("for r.Key(&%s, len(%s)) {", m, into)
	e.p("%s := %s\nr.Value(&%s)", k, e.decoded(t.Key, 0), m)
	if t.Elem.scalarLike() {
		e.p("%s[%s] = %s\n}", operand(into), k, e.decoded(t.Elem, 0))
		return
	}
	e.p("var %s %s", x, e.text(t.Elem.typ))
	e.decode(t.Elem, x, 0, depth+1)
	e.p("%s[%s] = %s\n}", operand(into), k, x)
}
