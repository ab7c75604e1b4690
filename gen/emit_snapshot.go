package gen

import "slices"

// snapshot writes the machine's methods Snapshot and Restore.
func (e *emitter) snapshot(m *machineNames) {
	io := e.importAs("io", "io")
	c := &coded{typ: m.state, name: e.uniqueSuffix(m.state.name)}
	c.fields = e.unique(lower(c.name) + "Fields")
	e.coded = append(e.coded, c)
	e.p("// Snapshot implements [%s.Snapshotter]. It writes the machine's fields.", e.sm())
	e.p("func (m *%s) Snapshot(dst %s.Writer) error {", m.GoName, io)
	e.p("return %s.WriteState(dst, %q, m, append%s)\n}\n", e.impl(), m.GoName, c.name)
	e.p("// Restore implements [%s.Snapshotter]. After an error the machine is as it was.", e.sm())
	e.p("func (m *%s) Restore(src %s.Reader) error {\nvar v %[1]s", m.GoName, io)
	e.p("if err := %s.ReadState(src, %q, %d, &v, decode%s); err != nil {\nreturn err\n}", e.impl(), m.GoName, e.nesting, c.name)
	e.replace(m)
	e.p("}\n")
	if m.freezes() {
		e.freeze(m, c)
	}
}

// replace writes the end of the method Restore, which has read the state v.
func (e *emitter) replace(m *machineNames) {
	if !m.rebuild {
		for _, selector := range m.state.assigned() {
			e.p("m%s = v%[1]s", selector)
		}
		e.p("return nil")
		return
	}
	e.p("x := func() {")
	for _, selector := range m.state.assigned() {
		e.p("m%s, v%[1]s = v%[1]s, m%[1]s", selector)
	}
	e.p("}\nreturn %s.Rebuild(%q, x, m.%s)", e.impl(), m.GoName, rebuildMethod)
}

// assigned returns the selectors that Restore assigns to: those of fields, and those
// of embedded pointers in place of the fields that they lead to.
func (t *Type) assigned() (out []string) {
	for _, f := range t.Fields {
		selector := f.selector
		if len(f.pointers) > 0 {
			selector = f.pointers[0].selector
		}
		if !slices.Contains(out, selector) {
			out = append(out, selector)
		}
	}
	return out
}

// section writes the start of a field of a machine's state.
func (e *emitter) section(f *Field) {
	e.then("if b = e.Section(b, %q); b == nil {\nreturn nil\n}", "."+f.goName)
}

// header returns the encoder's method for the header of a slice or map: whole in a
// command, streamed in a state.
func (t *Type) header(whole, streamed string) string {
	if t.stream {
		return streamed
	}
	return whole
}

// flushChunk writes the start of an element of t, where a chunk may end.
func (e *emitter) flushChunk(t *Type) {
	if t.stream {
		e.p("if b = e.Flush(b); b == nil {\nreturn nil\n}")
	}
}

// decodeItems writes code that decodes a slice of a state.
func (e *emitter) decodeItems(t *Type, into string, depth int) {
	s := variable("s", depth)
	e.p("%s := r.Items(%d)\nif !%[1]s.Nil {\n%[3]s = make(%[4]s, 0, %[1]s.Cap)\n}", s, t.Elem.size(), into, e.text(t.typ))
	e.p("for r.Item(&%s) {", s)
	if t.Elem.scalarLike() {
		e.p("%s = append(%[1]s, %s)\n}", into, e.decoded(t.Elem, 0))
		return
	}
	x := variable("x", depth)
	e.p("var %s %s\n%s = append(%[3]s, %[1]s)", x, e.text(t.Elem.typ), into)
	e.decode(t.Elem, operand(into)+"["+s+".Index]", 0, depth+1)
	e.p("}")
}

// decodeEntries writes code that decodes a map of a state.
func (e *emitter) decodeEntries(t *Type, into string, depth int) {
	m, k, x := variable("m", depth), variable("k", depth), variable("x", depth)
	e.p("%s := r.Entries(%d)\nif !%[1]s.Nil {\n%[3]s = make(%[4]s, %[1]s.Cap)\n}", m, t.Key.size()+t.Elem.size(), into, e.text(t.typ))
	e.p("for r.Entry(&%s, len(%s)) {", m, into)
	e.p("%s := %s\nr.EntryValue(&%s)", k, e.decoded(t.Key, 0), m)
	value := x
	if t.Elem.scalarLike() {
		value = e.decoded(t.Elem, 0)
	} else {
		e.p("var %s %s", x, e.text(t.Elem.typ))
		e.decode(t.Elem, x, 0, depth+1)
	}
	e.p("%s[%s] = %s\n%s.EndEntry(r, &%s, %[2]s)\n}", operand(into), k, value, e.impl(), m)
}
