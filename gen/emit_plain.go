package gen

import (
	"fmt"
	"strings"
)

// plain reports whether t is a struct that always has the same few fields, none of
// which is a container. Such a struct is decoded without a cursor as long as its
// fields come in their order, and successive integers are decoded at once.
func (t *Type) plain() bool {
	const most = 15 // fields, so that the header is one byte
	if t.Tuple || t.state || len(t.Fields) == 0 || len(t.Fields) > most {
		return false
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.OmitEmpty || f.since > 0 || len(f.pointers) > 0 || !f.Type.scalarLike() && f.Type.Kind != ByteArray {
			return false
		}
	}
	return true
}

// decodePlain writes the body of the function that decodes a plain struct.
func (e *emitter) decodePlain(c *coded) {
	fields := c.typ.Fields
	for from, to := 0, 0; from < len(fields); from = to {
		if to = endOfRun(fields, from); to == from {
			to++
			e.decodeNext(fields, from)
		} else {
			e.decodeRun(fields, from, to)
		}
	}
	start := fmt.Sprintf("r.Rest(%s, n)", c.fields)
	if endOfRun(fields, 0) == len(fields) {
		start = fmt.Sprintf("r.Struct(%s)", c.fields)
	}
	e.p("f := %s\nfor r.Field(&f) {\nswitch f.Index {", start)
	for i := range fields {
		e.p("case %d:", i)
		e.decode(fields[i].Type, "v"+fields[i].selector, fields[i].Max, 0)
	}
	e.p("}\n}")
}

// endOfRun returns the index after the successive integers that start at index from.
func endOfRun(fields []Field, from int) int {
	for from < len(fields) {
		// An int may overflow on this platform, so Reader.Int must decode it.
		if _, width := integerForm(fields[from].Type); width == 0 || fields[from].Type.word {
			break
		}
		from++
	}
	return from
}

// decodeNext writes code that decodes the field at index i, if it comes next.
func (e *emitter) decodeNext(fields []Field, i int) {
	f := &fields[i]
	if i == 0 {
		start := append(containerHeader(0x80, 0xde, len(fields)), encodedName(f)...)
		e.p("n := 0 // fields that came in their order\nif r.Begins(%s) {", literal(start))
	} else {
		e.p("if n == %d && r.Follows(%s) {", i, literal(encodedName(f)))
	}
	e.decode(f.Type, "v"+f.selector, f.Max, 0)
	if i+1 < len(fields) {
		e.p("n = %d\n}", i+1)
	} else {
		e.p("if r.OK() {\nreturn\n}\nn = %d\n}", i+1)
	}
}

// decodeRun writes code that decodes the integers at indices [from, to), if they come
// next. Their encoding has a fixed length.
func (e *emitter) decodeRun(fields []Field, from, to int) {
	at, need := 0, 0
	var between []byte
	var same, values []string
	if from == 0 {
		between = containerHeader(0x80, 0xde, len(fields))
		need = 1 + 2*len(fields) // the least that a map of so many fields takes
	} else {
		same = []string{fmt.Sprintf("n == %d", from)}
	}
	same = append(same, "b != nil")
	for i := range fields[from:to] {
		f := &fields[from+i]
		first, width := integerForm(f.Type)
		between = append(append(between, encodedName(f)...), first)
		same = append(same, fmt.Sprintf("string(b[%d:%d]) == %s", at, at+len(between), literal(between)))
		at += len(between)
		between = nil
		value := fmt.Sprintf("b[%d]", at)
		if width > 1 {
			value = fmt.Sprintf("%s.BigEndian.Uint%d(b[%d:])", e.importAs("encoding/binary", "binary"), 8*width, at)
		}
		if to := e.text(f.Type.typ); to != fmt.Sprintf("uint%d", 8*width) {
			value = to + "(" + value + ")"
		}
		values = append(values, fmt.Sprintf("v%s = %s", f.selector, value))
		at += width
	}
	if from == 0 && to < len(fields) {
		e.p("n := 0 // fields that came in their order")
	}
	e.p("if b := r.Peek(%d); %s {", max(at, need), strings.Join(same, " && "))
	e.p("%s\nr.Skip(%d)", strings.Join(values, "\n"), at)
	if to == len(fields) {
		e.p("return\n}")
	} else {
		e.p("n = %d\n}", to)
	}
}

// encodedName returns the encoded name of f.
func encodedName(f *Field) []byte { return append(textHeader(len(f.Name)), f.Name...) }
