package gen

import (
	"fmt"
	"strings"
)

// freeze writes the machine's method Freeze, and the functions for the fields that it
// encodes.
func (e *emitter) freeze(m *machineNames, c *coded) {
	c.kept = make(map[string]string)
	var copied, kept string
	for i := range m.state.Fields {
		f := &m.state.Fields[i]
		if f.copied() {
			copied += fmt.Sprintf("v%s = m%[1]s\n", f.selector)
			continue
		}
		name := "append" + e.uniqueSuffix(c.name+exported(f.goName))
		c.kept[f.selector] = name
		kept += fmt.Sprintf(",\n%s.Keep(%q, %s)", e.impl(), "."+f.goName, name)
	}
	encodes := ""
	if kept != "" {
		encodes = " It encodes\n// the fields that hold plain maps, slices or pointers, which takes time in proportion to\n// their size."
		kept += ",\n"
	}
	e.p("// Freeze implements [%s.Freezer]. It copies containers in constant time.%s", e.sm(), encodes)
	e.p("func (m *%s) Freeze() (%s.View, error) {\nv := new(%[1]s)\n%[3]s", m.GoName, e.sm(), strings.TrimSuffix(copied, "\n"))
	e.p("return %s.Freeze(%q, m, v, append%s%s)\n}\n", e.impl(), m.GoName, c.name, kept)
}

// appendKept writes the functions that append the fields that Freeze encodes.
func (e *emitter) appendKept(c *coded) {
	for i := range c.typ.Fields {
		f := &c.typ.Fields[i]
		name := c.kept[f.selector]
		if name == "" {
			continue
		}
		e.p("func %s(b []byte, v *%s, e *%s.Encoder) []byte {", name, e.text(c.typ.typ), e.impl())
		e.appendValue(f, f.reachable("v"))
		e.then("return b\n}\n")
	}
}

// appendContainer writes code that appends a container of package sm.
func (e *emitter) appendContainer(t *Type, value string, depth int) {
	k, x := variable("k", depth), variable("x", depth)
	switch t.container {
	case "Bytes":
		e.then("b = e.Text(b, string(%s))", value)
		return
	case "List":
		e.then("b = e.Items(b, %s.Len())\nfor %s := range %[1]s.Values() {", operand(value), x)
		e.flushChunk(t)
	case "Map":
		e.then("b = e.Entries(b, %s.Len())\nfor %s, %s := range %[1]s.All() {", operand(value), k, x)
		e.flushChunk(t)
		e.append(t.Key, k, depth+1)
	case "Set":
		e.then("b = e.Entries(b, %s.Len())\nfor %s := range %[1]s.All() {", operand(value), k)
		e.flushChunk(t)
		e.append(t.Key, k, depth+1)
		e.then("var %s struct{}", x)
	}
	e.append(t.Elem, x, depth+1)
	e.then("}")
}

// decodeContainer writes code that decodes a container of package sm that holds others.
func (e *emitter) decodeContainer(t *Type, into string, depth int) {
	x := variable("x", depth)
	elem := e.text(t.Elem.typ)
	if t.container == "List" {
		e.p("%s = %s.CollectList(%s.ReadItems(r, %d, func(%s *%s) {", into, e.sm(), e.impl(), t.Elem.size(), x, elem)
	} else {
		read := "Entries"
		if t.container == "Set" {
			read = "Keys"
		}
		e.p("%s = %s.Collect%s(%s.Read%s(r, %d, func() %s {\nreturn %s\n}, func(%s *%s) {", into, e.sm(), t.container,
			e.impl(), read, t.Key.size()+t.Elem.size(), e.text(t.Key.typ), e.decoded(t.Key, 0), x, elem)
	}
	e.decode(t.Elem, "*"+x, 0, depth+1)
	e.p("}))")
}
