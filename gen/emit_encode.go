package gen

import (
	"encoding/binary"
	"fmt"
	"go/types"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// functions writes the append and decode functions of c.
func (e *emitter) functions(c *coded) {
	if c.typ.Kind == Struct {
		e.appendStruct(c)
		e.appendKept(c)
		e.decodeStruct(c)
		return
	}
	if !c.typ.root {
		e.appendSum(c)
	}
	e.decodeSum(c)
}

// enter writes the start of the append function of a recursive type; empty is the
// header of its empty encoding.
func (e *emitter) enter(c *coded, empty byte) {
	if !c.recursive {
		return
	}
	e.p("if !e.Enter(b, %d) {\nreturn append(b, 0x%02x) // too deep\n}\ndefer e.Leave()", e.nesting, empty)
}

// add appends fixed bytes. Successive calls are written as one append.
func (e *emitter) add(b ...byte) { e.lit = append(e.lit, b...) }

// flush writes the append of the fixed bytes that were added.
func (e *emitter) flush() {
	switch len(e.lit) {
	case 0:
	case 1:
		e.p("b = append(b, 0x%02x)", e.lit[0])
	default:
		e.p("b = append(b, %s...)", literal(e.lit))
	}
	e.lit = e.lit[:0]
}

// then flushes, and writes a formatted line.
func (e *emitter) then(format string, args ...any) {
	e.flush()
	e.p(format, args...)
}

// appendStruct writes the append function of a struct.
func (e *emitter) appendStruct(c *coded) {
	t := c.typ
	goType := e.text(t.typ)
	e.p("func append%s(b []byte, v *%s, e *%s.Encoder) []byte {", c.name, goType, e.impl())
	there := make([]presence, len(t.Fields))
	if t.Tuple {
		e.enter(c, 0x90)
		e.add(containerHeader(0x90, 0xdc, len(t.Fields))...)
	} else {
		e.enter(c, 0x80)
		there = e.presences(t)
	}
	for i := range t.Fields {
		if t.state {
			e.section(&t.Fields[i])
		}
		e.appendField(c, &t.Fields[i], there[i])
	}
	e.then("return b\n}\n")
}

// containerHeader returns the header of a container with n elements. fix and wide are
// the first bytes of its shortest forms.
func containerHeader(fix, wide byte, n int) []byte {
	switch {
	case n <= 15:
		return []byte{fix | byte(n)}
	case n <= math.MaxUint16:
		return []byte{wide, byte(n >> 8), byte(n)}
	}
	return binary.BigEndian.AppendUint32([]byte{wide + 1}, uint32(n))
}

// appendField writes code that appends a field of c.
func (e *emitter) appendField(c *coded, f *Field, there presence) {
	t := c.typ
	if there.never {
		return
	}
	if there.ask != "" {
		e.then("if %s {", there.ask)
	}
	if f.since > 0 {
		e.then("e.NeedsLevel(len(b), %d, %q)", f.since, "."+f.goName)
	}
	if !t.Tuple {
		e.add(textHeader(len(f.Name))...)
		e.add([]byte(f.Name)...)
	}
	reach := f.reachable("v")
	if there.ask != "" {
		reach = nil // part of the condition
	}
	if kept := c.kept[f.selector]; kept != "" {
		e.then("if b = %s.Kept(b, v, e, %s); b == nil {\nreturn nil\n}", e.impl(), kept)
	} else {
		e.appendValue(f, reach)
	}
	if there.ask != "" {
		e.then("}")
	}
}

// appendValue writes code that appends the value of a field, or nil unless the
// conditions of reach hold.
func (e *emitter) appendValue(f *Field, reach []condition) {
	value := "v" + f.selector
	if reach != nil {
		e.then("if %s {\nb = append(b, 0xc0)\n} else {", all(reach).not)
		defer e.then("}")
	}
	switch {
	case f.Type.Kind == Own:
		e.appendOwn(f.Type, value, f.Max)
	case f.Max > 0:
		e.then("e.Limit(len(%s), %d)", value, f.Max)
		fallthrough
	default:
		e.append(f.Type, value, 0)
	}
}

// textHeader returns the header of a string of n bytes.
func textHeader(n int) []byte {
	switch {
	case n <= 31:
		return []byte{0xa0 | byte(n)}
	case n <= math.MaxUint8:
		return []byte{0xd9, byte(n)}
	}
	return []byte{0xda, byte(n >> 8), byte(n)}
}

// address returns the expression for the address of a value.
func address(value string) string {
	if rest, ok := strings.CutPrefix(value, "*"); ok {
		return rest
	}
	return "&" + value
}

// operand returns value in a form that a selector, an index or a call can follow.
func operand(value string) string {
	if strings.HasPrefix(value, "*") {
		return "(" + value + ")"
	}
	return value
}

// convert returns value converted to a predeclared type.
func convert(t *Type, to, value string) string {
	if basic, ok := t.typ.(*types.Basic); ok && basic.Name() == to {
		return value
	}
	return to + "(" + value + ")"
}

// append writes code that appends a value, an addressable expression; depth makes the
// names of variables distinct.
func (e *emitter) append(t *Type, value string, depth int) {
	if t.container != "" {
		e.appendContainer(t, value, depth)
		return
	}
	switch t.Kind {
	case Bool:
		e.then("b = e.Bool(b, %s)", convert(t, "bool", value))
	case Int, Uint, Duration:
		e.appendInteger(t, value)
	case Float:
		e.add(map[int]byte{32: 0xca, 64: 0xcb}[t.Bits])
		e.then("b = e.Float%d(b, %s)", t.Bits, convert(t, fmt.Sprintf("float%d", t.Bits), value))
	case String:
		e.then("b = e.String(b, %s)", convert(t, "string", value))
	case Own:
		e.appendOwn(t, value, 0)
	case Bytes:
		if t.namedBytes() {
			e.then("b = %s.EncodeBytes(e, b, %s)", e.impl(), value)
			return
		}
		e.then("b = e.Bytes(b, %s)", value)
	case ByteArray:
		if t.namedBytes() {
			e.then("b = %s.EncodeBytes(e, b, %s[:])", e.impl(), operand(value))
			return
		}
		e.then("b = e.Array(b, %s[:])", operand(value))
	case Time:
		e.then("b = e.Time(b, %s)", value)
	case Slice, Array:
		e.appendElements(t, value, depth)
	case Map:
		e.appendMap(t, value, depth)
	case Pointer:
		e.then("if %s == nil {\nb = append(b, 0xc0)\n} else {", value)
		e.append(t.Elem, "*"+value, depth)
		e.then("}")
	case Struct:
		e.then("b = append%s(b, %s, e)", e.coder(t).name, address(value))
	case Sum:
		e.then("b = append%s(b, %s, e)", e.coder(t).name, value)
	}
}

// appendOwn writes code that appends a value with a registered codec. A highest of 0
// is no limit.
func (e *emitter) appendOwn(t *Type, value string, highest int) {
	e.then("b = %s.EncodeWith(e, b, %s{}, %s, %d)", e.impl(), e.codecType(t), value, highest)
}

// appendInteger writes code that appends an integer.
func (e *emitter) appendInteger(t *Type, value string) {
	first, width := integerForm(t)
	e.add(first)
	value = convert(t, fmt.Sprintf("uint%d", 8*width), value)
	if width == 1 {
		e.then("b = append(b, %s)", value)
	} else {
		e.then("b = e.Fixed%d(b, %s)", 8*width, value)
	}
}

// integerForm returns the first byte of an encoded integer and the number of bytes
// that follow, or a width of 0 if t is not an integer.
func integerForm(t *Type) (first byte, width int) {
	switch t.Kind {
	case Int:
		first = 0xd0
	case Uint:
		first = 0xcc
	case Duration:
		return 0xd3, 8
	default:
		return 0, 0
	}
	width = t.Bits / 8
	return first + byte(bits.TrailingZeros(uint(width))), width
}

// variable returns the name of a variable at a nesting depth.
func variable(name string, depth int) string {
	if depth == 0 {
		return name
	}
	return fmt.Sprintf("%s%d", name, depth)
}

// appendElements writes code that appends a slice or array.
func (e *emitter) appendElements(t *Type, value string, depth int) {
	i := variable("i", depth)
	if t.Kind == Array {
		e.add(containerHeader(0x90, 0xdc, t.Len)...)
	} else {
		e.then("if %s == nil {\nb = append(b, 0xc0)\n} else {\nb = e.%s(b, len(%[1]s))", value, t.header("SliceHeader", "Items"))
	}
	e.then("for %s := range %s {", i, value)
	e.flushChunk(t)
	e.append(t.Elem, operand(value)+"["+i+"]", depth+1)
	e.then("}")
	if t.Kind == Slice {
		e.p("}")
	}
}

// sortRoom is the number of keys of a map that are sorted without an allocation.
const sortRoom = 16

// appendMap writes code that appends a map.
func (e *emitter) appendMap(t *Type, value string, depth int) {
	k, x, room := variable("k", depth), variable("x", depth), variable("room", depth)
	e.then("if %s == nil {\nb = append(b, 0xc0)\n} else {\nb = e.%s(b, len(%[1]s))", value, t.header("MapHeader", "Entries"))
	if t.Key.Kind == Own {
		e.p("for _, %s := range %s.SortedEntries(e, %s{}, %s) {", x, e.impl(), e.codecType(t.Key), value)
		e.flushChunk(t)
		e.p("b = e.Key(b, %s.Key)", x)
		e.append(t.Elem, x+".Value", depth+1)
		e.then("}\n}")
		return
	}
	e.p("var %s [%d]%s", room, sortRoom, e.text(t.Key.typ))
	e.p("for _, %s := range %s.SortedKeys(%s[:0], %s) {", k, e.impl(), room, value)
	e.flushChunk(t)
	e.append(t.Key, k, depth+1)
	entry := operand(value) + "[" + k + "]"
	if !t.Elem.scalarLike() {
		e.then("%s := %s", x, entry) // append functions take an address
		entry = x
	}
	e.append(t.Elem, entry, depth+1)
	e.then("}\n}")
}

// appendSum writes the append function of a sum.
func (e *emitter) appendSum(c *coded) {
	e.p("func append%s(b []byte, v %s, e *%s.Encoder) []byte {", c.name, e.sumType(c), e.impl())
	e.enter(c, 0x90)
	e.variants(c, "v")
	e.p("return b\n}\n")
}

// variants writes code that appends a value of the sum c.
func (e *emitter) variants(c *coded, value string) {
	e.p("switch v := %s.(type) {\ncase nil:", value)
	if c.typ.root {
		e.p("e.MustCheck()")
	}
	e.p("b = append(b, 0xc0)")
	for tag, v := range c.typ.Variants {
		e.p("case %s:", e.variantType(v))
		value := "v"
		if v.pointer {
			e.p("if v == nil {\nb = e.NoVariant(b, %d)\nbreak\n}", len(c.typ.Variants))
			value = "*v"
		}
		if v.since > 0 {
			e.p("e.NeedsLevel(len(b)+1, %d, %q)", v.since, ".("+v.goName+")")
		}
		if tag <= 0x7f {
			e.add(0x92, byte(tag))
		} else {
			e.p("b = e.Variant(b, %d)", tag)
		}
		e.append(v.Type, value, 0)
		e.flush()
		if c.typ.root && v.Type.certain() {
			e.p("return b, nil")
		}
	}
	e.p("default:\nb = e.NoVariant(b, %d)\n}", len(c.typ.Variants))
}

// certain reports whether all values of t can be decoded, so that none need a check.
func (t *Type) certain() bool {
	if t.measured.sure == 0 {
		t.measured.sure = no
		if t.findCertain() {
			t.measured.sure = yes
		}
	}
	return t.measured.sure == yes
}

func (t *Type) findCertain() bool {
	switch t.Kind {
	case Bool, Int, Uint, Float, Duration, Time, ByteArray:
		return true
	case Struct:
		return !slices.ContainsFunc(t.Fields, func(f Field) bool {
			return f.OmitEmpty || len(f.pointers) > 0 || !f.Type.certain()
		})
	}
	return false
}

// sumType returns the interface type of a sum.
func (e *emitter) sumType(c *coded) string {
	if !c.typ.root {
		return e.text(c.typ.typ)
	}
	for _, m := range e.pkg.Machines {
		if m.command == c.typ {
			return m.sealed(e.pkg)
		}
	}
	return ""
}

// variantType returns the type that the interface holds for v.
func (e *emitter) variantType(v Variant) string {
	if v.pointer {
		return "*" + e.text(v.Type.typ)
	}
	return e.text(v.Type.typ)
}
