package gen

import (
	"fmt"
	"go/types"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// machineNames holds the names of a machine's generated declarations.
type machineNames struct {
	*Machine
	sealed    string // the sealed interface of the commands
	seal      string // its method
	codec     string // the codec's type
	signature string
	receiver  string // the type of the receiver of the machine's methods
	root      *coded
}

func (e *emitter) nameMachine(m *Machine) *machineNames {
	n := &machineNames{Machine: m, sealed: m.sealed(e.pkg), seal: m.seal(), receiver: m.GoName}
	if m.pointer {
		n.receiver = "*" + m.GoName
	}
	e.names[n.sealed] = true
	n.codec = e.unique(lower(m.GoName) + "Codec")
	n.signature = e.unique(lower(m.GoName) + "Signature")
	n.root = &coded{typ: m.command, name: e.uniqueSuffix(exported(n.sealed))}
	e.coded = append(e.coded, n.root)
	return n
}

func (e *emitter) machine(m *machineNames) {
	names := make([]string, len(m.Commands))
	for i, c := range m.Commands {
		names[i] = "[" + c.GoName + "]"
	}
	e.p("// %s is a command of [%s]: %s.", m.sealed, m.GoName, orList(names))
	e.p("// If the compiler reports that a command does not implement %s, it is newer than this", m.sealed)
	e.p("// file: run go generate.")
	e.p("type %s interface{ %s() }\n", m.sealed, m.seal)
	e.p("// Spec implements [%s.StateMachine].", e.sm())
	e.spec(m)
	e.p("// Apply implements [%s.StateMachine]. It calls the command's ApplyTo.", e.sm())
	e.p("func (m %s) Apply(at %s.ApplyContext, cmd %s) (any, error) {", m.receiver, e.sm(), m.sealed)
	e.p("switch cmd := cmd.(type) {")
	for _, c := range m.Commands {
		e.p("case %s:\nreturn cmd.ApplyTo(m, at)", c.goType())
	}
	e.p("}\nreturn nil, &%s.Error{Op: \"apply\", Path: %q, Err: %[1]s.ErrVariant}\n}\n", e.codec(), m.sealed)
	of := ""
	if len(m.levels) > 1 {
		of = "level 1 of "
	}
	e.p("// %s is the hash of %s%s.", m.signature, of, strings.ToLower(m.GoName)+schemaSuffix)
	e.digest(m.signature, m.levels[0].digest)
	e.machineCodec(m)
	if len(m.levels) > 1 {
		e.leveledCodec(m)
	}
	e.samples(m)
	for _, c := range m.Commands {
		e.command(m, c)
	}
	if m.state != nil {
		e.snapshot(m)
	}
}

// digest declares a variable that holds a digest.
func (e *emitter) digest(name string, digest [32]byte) {
	e.p("var %s = %s.Digest{", name, e.sm())
	for i := 0; i < len(digest); i += 8 {
		row := make([]string, 8)
		for j, b := range digest[i : i+8] {
			row[j] = fmt.Sprintf("0x%02x", b)
		}
		e.p("%s,", strings.Join(row, ", "))
	}
	e.p("}\n")
}

// spec writes the method Spec. The fields of the identity enter the signature as one
// encoded map. Its encoding is self-delimiting, so different values cannot collide.
func (e *emitter) spec(m *machineNames) {
	receiver, signature := m.receiver, m.signature
	if len(m.Identity) > 0 {
		receiver = "m " + m.receiver
	}
	e.p("func (%s) Spec() %s.Spec[%s] {", receiver, e.sm(), m.sealed)
	if m.command.holdsWords() {
		e.p("digest := %s\nif %s.IntSize < 64 {", signature, e.impl())
		e.p("digest = digest.Derive([]byte(\"int32\")) // where not every command of the other members can be decoded\n}")
		signature = "digest"
	}
	if len(m.Identity) > 0 {
		signature += ".Derive(b)"
	}
	if len(m.Identity) > 0 {
		e.p("// The values that all members must agree on.\nvar e %s.Encoder\nvar b []byte", e.impl())
		e.add(containerHeader(0x80, 0xde, len(m.Identity))...)
		for i := range m.Identity {
			f := &m.Identity[i]
			e.add(textHeader(len(f.Name))...)
			e.add([]byte(f.Name)...)
			e.append(f.Type, "m"+f.selector, 0)
		}
		e.flush()
	}
	levels := ""
	if len(m.levels) > 1 {
		levels = e.specLevels(m, &signature)
	}
	e.p("return %s.Spec[%s]{Name: %q, Version: %d, Signature: %s%s, Codec: %s{}}", e.sm(), m.sealed, m.Name, m.Version, signature, levels, m.codec)
	e.p("}\n")
}

// goType returns the type that the interface of commands holds for c.
func (c *Command) goType() string {
	if c.pointer {
		return "*" + c.GoName
	}
	return c.GoName
}

func (e *emitter) machineCodec(m *machineNames) {
	e.p("// %s encodes a command as an array of its tag and its value.", m.codec)
	e.p("type %s struct{}\n", m.codec)
	e.p("// Append implements [%s.Codec].", e.codec())
	e.p("func (%s) Append(dst []byte, cmd %s) ([]byte, error) {", m.codec, m.sealed)
	e.encoder(m.command)
	e.p("b := dst")
	e.variants(m.root, "cmd")
	e.p("if e.Valid(len(b) - len(dst)) {\nreturn b, nil\n}")
	e.p("if err := %s.CheckCommand(e, b[len(dst):], decode%s); err != nil {\nreturn dst, err\n}\nreturn b, nil\n}\n", e.impl(), m.root.name)
	e.p("// Decode implements [%s.Codec].", e.codec())
	e.p("func (%s) Decode(src []byte) (%s, error) {", m.codec, m.sealed)
	e.p("r := %s.NewReader(src)\ncmd, name := decode%s(r)", e.impl(), m.root.name)
	e.p("if err := r.Finish(name); err != nil {\nreturn nil, err\n}\nreturn cmd, nil\n}\n")
}

// encoder declares the encoder e of a value of t.
func (e *emitter) encoder(t *Type) {
	e.p("e := new(%s.Encoder)", e.impl())
	if t.sparse() {
		e.p("e.MustCheck() // a value may take much more memory than its bytes")
	}
}

func (e *emitter) command(m *machineNames, c *Command) {
	functions := e.coder(c.typ)
	address := "&c"
	if c.pointer {
		address = "c"
	}
	e.p("// AsCommand implements [%s.Command].", e.sm())
	e.p("func (c %s) AsCommand() %s { return c }\n", c.goType(), m.sealed)
	e.p("func (%s) %s() {}\n", c.goType(), m.seal)
	e.p("// MarshalMsgpack returns the encoding of the command's fields.")
	e.p("func (c %s) MarshalMsgpack() ([]byte, error) {", c.goType())
	e.encoder(c.typ)
	e.p("b := append%s(make([]byte, 0, %s), %s, e)", functions.name, e.sizeHint(c.typ, "c"), address)
	e.p("if err := %s.Check(e, b, %q, decode%s); err != nil {\nreturn nil, err\n}\nreturn b, nil\n}\n", e.impl(), c.GoName, functions.name)
	e.p("// UnmarshalMsgpack replaces the command with the one that MarshalMsgpack encoded.")
	e.p("func (c *%s) UnmarshalMsgpack(src []byte) error {", c.GoName)
	e.p("r := %s.NewReader(src)\nvar v %s\ndecode%s(r, &v)", e.impl(), c.GoName, functions.name)
	e.p("if err := r.Finish(%q); err != nil {\nreturn err\n}\n*c = v\nreturn nil\n}\n", c.GoName)
}

// guards writes code that does not compile once the types of m have changed.
func (e *emitter) guards(m *machineNames) {
	var structs, enums []*Type
	var guarded typeutil.Map
	first := func(t *Type) bool { return guarded.Set(t.typ, true) == nil }
	for _, root := range m.roots() {
		root.walk(func(t *Type) {
			switch {
			case t.Kind == Struct && e.guardable(t) && first(t):
				structs = append(structs, t)
			case len(t.Enum) > 0 && t.Kind != String && t.typ.(*types.Named).Obj().Pkg() == e.pkg.types && first(t):
				enums = append(enums, t)
			}
		})
	}
	if len(structs)+len(enums) == 0 {
		return
	}
	e.p("// If the next function does not compile, this file is stale: run go generate.")
	e.p("func _() {")
	for _, t := range structs {
		name := e.coder(t).name
		e.p("type stale_run_go_generate_%s %s", name, e.guard(t.typ.Underlying().(*types.Struct)))
		e.p("_ = stale_run_go_generate_%s(%s{})", name, e.text(t.typ))
	}
	if len(enums) > 0 {
		e.p("var stale_run_go_generate [1]struct{}")
	}
	for _, t := range enums {
		for _, c := range t.Enum {
			e.p("_ = stale_run_go_generate[%s-(%s)]", c.Name, c.Value)
		}
	}
	e.p("}\n")
}

// guardable reports whether the guard can spell out the fields of t. It must not name
// types of fields that are not encoded, unless t is part of a state.
func (e *emitter) guardable(t *Type) bool {
	if _, named := t.typ.(*types.Named); !named {
		return false
	}
	for f := range t.typ.Underlying().(*types.Struct).Fields() {
		if !f.Exported() && f.Pkg() != e.pkg.types {
			return false
		}
		encoded := f.Embedded()
		for i := range t.Fields {
			encoded = encoded || t.Fields[i].pos == f.Pos() && f.Exported()
		}
		_, basic := f.Type().(*types.Basic)
		if !encoded && !basic && !isEmptyStruct(f.Type()) && !t.differs {
			return false
		}
	}
	return !strings.Contains(t.typ.Underlying().String(), "invalid type")
}

func isEmptyStruct(t types.Type) bool {
	s, ok := t.(*types.Struct)
	return ok && s.NumFields() == 0
}

// guard returns the source of a struct type without its tags.
func (e *emitter) guard(t *types.Struct) string {
	fields := make([]*types.Var, t.NumFields())
	for i := range fields {
		fields[i] = t.Field(i)
	}
	return e.text(types.NewStruct(fields, nil))
}

// orList joins words with commas and "or".
func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
