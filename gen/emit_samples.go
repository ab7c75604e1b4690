package gen

import (
	"go/types"

	"golang.org/x/tools/go/types/typeutil"
)

// samples writes the codec's method Samples. Reflection finds the types of all parts of a
// command but these two kinds: the variants of its interfaces, and the constants of its
// enumerations.
func (e *emitter) samples(m *machineNames) {
	e.p("// Samples returns a zero value of each command and of each other variant, and the")
	e.p("// constants of enumerations. Tests draw random commands from them.")
	e.p("func (%s) Samples() []any {\nreturn []any{", m.codec)
	var listed typeutil.Map
	m.command.walk(func(t *Type) {
		for _, v := range t.Variants {
			typ := v.Type.typ
			if v.pointer {
				typ = types.NewPointer(typ)
			}
			if listed.Set(typ, true) == nil {
				e.p("%s,", e.zero(v))
			}
		}
		if len(t.Enum) > 0 && listed.Set(t.typ, true) == nil {
			for _, c := range t.Enum {
				e.p("%s(%s),", e.text(t.typ), c.Value)
			}
		}
	})
	e.p("}\n}\n")
}

// zero returns an expression for the zero value of the type of a variant, or a pointer to it.
func (e *emitter) zero(v Variant) string {
	name := e.text(v.Type.typ)
	_, isStruct := v.Type.typ.Underlying().(*types.Struct)
	switch {
	case v.pointer:
		return "new(" + name + ")"
	case isStruct:
		return name + "{}"
	default:
		return "*new(" + name + ")"
	}
}
