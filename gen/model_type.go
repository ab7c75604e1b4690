package gen

import (
	"fmt"
	"go/build"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/go/types/typeutil"
)

// builder builds the types of one machine's commands.
type builder struct {
	*modeler
	pkg     *Package
	machine *Machine
	types   typeutil.Map // types.Type → *Type
	failed  bool
	state   bool // a part of the machine's state is built, see model_state.go
}

// spot is where a type is used.
type spot struct {
	pos  token.Pos
	what string // for problems, as "field Leg.Amount"
	hint string // what a type without a name is named after
}

func newBuilder(m *modeler, pkg *Package, machine *Machine) *builder {
	return &builder{modeler: m, pkg: pkg, machine: machine}
}

// refuse notes that the type at s cannot be encoded.
func (b *builder) refuse(s spot, format string, args ...any) *Type {
	b.failed = true
	text := fmt.Sprintf(format, args...)
	if b.state {
		text = inState(text)
	}
	b.problems.add(b.fset.Position(s.pos), "%s: %s", s.what, text)
	return nil
}

// text returns how t is written in the machine's package.
func (b *builder) text(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == b.pkg.types {
			return ""
		}
		return p.Name()
	})
}

// build returns the model of t, nil when t was refused.
func (b *builder) build(t types.Type, s spot) *Type {
	t = types.Unalias(t)
	if known, ok := b.types.At(t).(*Type); ok {
		return known
	}
	switch {
	case isNamed(t, "time", "Time"):
		return &Type{Kind: Time, typ: t}
	case isNamed(t, "time", "Duration"):
		return &Type{Kind: Duration, Bits: 64, typ: t}
	}
	if named, ok := t.(*types.Named); ok && !b.nameable(named, s) {
		return nil
	}
	out := &Type{typ: t, name: typeName(t, s.hint, b.pkg.types)}
	b.types.Set(t, out)
	if !b.fill(out, s) {
		return nil
	}
	return out
}

// nameable refuses named types that generated code cannot write or must not
// encode by their structure.
func (b *builder) nameable(named *types.Named, s spot) bool {
	object := named.Obj()
	if object.Pkg() == nil { // error and comparable
		return true
	}
	if object.Pkg() != b.pkg.types && !object.Exported() {
		b.refuse(s, "%s is not exported by its package; export it, or use a type that is", b.text(named))
		return false
	}
	if object.Parent() != nil && object.Parent() != object.Pkg().Scope() {
		b.refuse(s, "%s is declared within a function; move it to the package", b.text(named))
		return false
	}
	if object.Pkg() == b.pkg.types && isLocal(object.Name()) {
		b.refuse(s, "%s is named like a variable of the generated code; give it a longer name", object.Name())
		return false
	}
	if method := ownCodec(named); method != "" && !b.isCommand(named) {
		b.refuse(s, "%s encodes itself with %s, about whose bytes nothing is known; use a plain type in the command, such as string or [16]byte, and convert it in ApplyTo", b.text(named), method)
		return false
	}
	return true
}

func (b *builder) isCommand(named *types.Named) bool {
	return slices.ContainsFunc(b.machine.Commands, func(c *Command) bool { return c.object == named.Obj() })
}

// ownCodec returns the method by which a type encodes itself, "" for none.
func ownCodec(t *types.Named) string {
	if types.IsInterface(t) {
		return ""
	}
	methods := types.NewMethodSet(types.NewPointer(t))
	for _, name := range []string{"EncodeMsgpack", "MarshalMsgpack", "MarshalBinary", "MarshalText", "DecodeMsgpack", "UnmarshalMsgpack", "UnmarshalBinary", "UnmarshalText"} {
		if m := methods.Lookup(nil, name); m != nil {
			return name
		}
	}
	return ""
}

// fill completes out by the structure of its type.
func (b *builder) fill(out *Type, s spot) bool {
	switch t := out.typ.Underlying().(type) {
	case *types.Basic:
		return b.basic(out, t, s)
	case *types.Slice:
		return b.sequence(out, Slice, t.Elem(), s)
	case *types.Array:
		out.Len = int(t.Len())
		return b.sequence(out, Array, t.Elem(), s)
	case *types.Map:
		return b.mapping(out, t, s)
	case *types.Pointer:
		return b.pointer(out, t, s)
	case *types.Struct:
		out.Kind = Struct
		return b.structure(out, t, s)
	case *types.Interface:
		return b.sum(out, t, s)
	case *types.Chan:
		b.refuse(s, "a chan means nothing to another process; remove it, or exclude the field with the tag `msgpack:\"-\"`")
	case *types.Signature:
		b.refuse(s, "a func cannot be encoded; remove it, or exclude the field with the tag `msgpack:\"-\"`")
	default:
		b.refuse(s, "%s cannot be encoded; use another type", b.text(out.typ))
	}
	return false
}

var basicKinds = map[types.BasicKind]Type{
	types.Bool:    {Kind: Bool},
	types.Int8:    {Kind: Int, Bits: 8},
	types.Int16:   {Kind: Int, Bits: 16},
	types.Int32:   {Kind: Int, Bits: 32},
	types.Int64:   {Kind: Int, Bits: 64},
	types.Uint8:   {Kind: Uint, Bits: 8},
	types.Uint16:  {Kind: Uint, Bits: 16},
	types.Uint32:  {Kind: Uint, Bits: 32},
	types.Uint64:  {Kind: Uint, Bits: 64},
	types.Float32: {Kind: Float, Bits: 32},
	types.Float64: {Kind: Float, Bits: 64},
	types.String:  {Kind: String},
}

func (b *builder) basic(out *Type, t *types.Basic, s spot) bool {
	if known, ok := basicKinds[t.Kind()]; ok {
		out.Kind, out.Bits = known.Kind, known.Bits
		if named, ok := out.typ.(*types.Named); ok && (out.Kind == Int || out.Kind == Uint || out.Kind == String) {
			out.Enum = b.constants(named)
		}
		return true
	}
	switch t.Kind() {
	case types.Int, types.Uint:
		b.refuse(s, "%s has 32 or 64 bits, depending on the platform; use %s64 or %[2]s32", b.text(out.typ), t.Name())
	case types.Uintptr, types.UnsafePointer:
		b.refuse(s, "%s means nothing to another process; use uint64", b.text(out.typ))
	case types.Complex64, types.Complex128:
		b.refuse(s, "MessagePack has no complex numbers; use two floats")
	case types.Invalid:
		b.refuse(s, "the type is invalid%s", b.complaint(s.pos))
	default:
		b.refuse(s, "%s cannot be encoded; use another type", b.text(out.typ))
	}
	return false
}

// complaint returns what the type checker said about the line of pos.
func (b *builder) complaint(pos token.Pos) string {
	at := b.fset.Position(pos)
	for _, p := range b.loaded {
		for _, e := range p.TypeErrors {
			if o := b.fset.Position(e.Pos); o.Filename == at.Filename && o.Line == at.Line {
				return ", " + e.Msg
			}
		}
	}
	return "; correct it first"
}

// constants returns the constants that the declaring package has of a type.
func (b *builder) constants(named *types.Named) []Constant {
	pkg := named.Obj().Pkg()
	if pkg == nil || b.standard(pkg) || !b.fromSource(pkg) {
		return nil
	}
	var out []Constant
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		c, ok := scope.Lookup(name).(*types.Const)
		if !ok || name == "_" || !types.Identical(c.Type(), named) {
			continue
		}
		value := c.Val().ExactString()
		if c.Val().Kind() == constant.Unknown {
			continue
		}
		out = append(out, Constant{Name: name, Value: value})
	}
	return out
}

// standard reports whether a package belongs to Go itself, whose constants
// differ between releases.
func (b *builder) standard(pkg *types.Package) bool {
	if first, _, _ := strings.Cut(pkg.Path(), "/"); strings.Contains(first, ".") {
		return false
	}
	p, err := build.Default.Import(pkg.Path(), "", build.FindOnly)
	return err == nil && p.Goroot
}

// fromSource reports whether a package was loaded from source, and asks for it
// when it was not.
func (b *builder) fromSource(pkg *types.Package) bool {
	for _, p := range b.loaded {
		if p.Types == pkg {
			return true
		}
	}
	b.unseen = append(b.unseen, pkg.Path())
	return false
}

func (b *builder) sequence(out *Type, kind Kind, elem types.Type, s spot) bool {
	if basic, ok := elem.Underlying().(*types.Basic); ok && basic.Kind() == types.Uint8 {
		if _, named := types.Unalias(elem).(*types.Named); named {
			b.refuse(s, "%s would be encoded as bytes, not as numbers; use byte in place of %s, or a wider type", b.text(out.typ), b.text(elem))
			return false
		}
		out.Kind = Bytes
		if kind == Array {
			out.Kind = ByteArray
		}
		return true
	}
	out.Kind, out.stream = kind, b.state && kind == Slice
	out.Elem = b.build(elem, s.in("elem"))
	return out.Elem != nil
}

func (b *builder) mapping(out *Type, t *types.Map, s spot) bool {
	out.Kind, out.stream = Map, b.state
	if basic, ok := t.Key().Underlying().(*types.Basic); !ok || basic.Info()&(types.IsString|types.IsInteger) == 0 {
		if basic != nil && basic.Kind() == types.Invalid {
			b.refuse(s, "the type of the map's keys is invalid%s", b.complaint(s.pos))
			return false
		}
		b.refuse(s, "%s cannot be a map key, whose order and equality must be beyond doubt; use a string or an integer", b.text(t.Key()))
		return false
	}
	out.Key = b.build(t.Key(), s.in("key"))
	out.Elem = b.build(t.Elem(), s.in("elem"))
	return out.Key != nil && out.Elem != nil
}

func (b *builder) pointer(out *Type, t *types.Pointer, s spot) bool {
	switch t.Elem().Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Interface:
		b.refuse(s, "a nil %s and one that points to nil look alike when encoded; use %s", b.text(out.typ), b.text(t.Elem()))
		return false
	}
	if _, named := out.typ.(*types.Named); named {
		b.refuse(s, "%s is a named pointer; use %s", b.text(out.typ), b.text(t))
		return false
	}
	out.Kind = Pointer
	out.Elem = b.build(t.Elem(), s)
	return out.Elem != nil
}

// sum completes a sealed interface: its variants are the types of the package
// that can have its unexported method.
func (b *builder) sum(out *Type, t *types.Interface, s spot) bool {
	out.Kind = Sum
	var sealed *types.Func
	for m := range t.Methods() {
		if !m.Exported() {
			sealed = m
		}
	}
	switch {
	case t.NumMethods() == 0 && t.IsMethodSet():
		b.refuse(s, "nothing in the bytes says which type %s holds; use a concrete type, or an interface with an unexported method", b.text(out.typ))
		return false
	case isUniverseError(out.typ):
		b.refuse(s, "an error is not the same value in another process; use a string or a number")
		return false
	case sealed == nil || !t.IsMethodSet():
		b.refuse(s, "the interface %s is not sealed, any package can implement it; give it an unexported method", b.text(out.typ))
		return false
	}
	if _, named := out.typ.(*types.Named); !named {
		b.refuse(s, "the interface has no name; declare it as a type")
		return false
	}
	if !b.fromSource(sealed.Pkg()) {
		return true // built again from source
	}
	scope := sealed.Pkg().Scope()
	ok := true
	for _, name := range scope.Names() {
		object, isType := scope.Lookup(name).(*types.TypeName)
		if !isType || object.IsAlias() || types.IsInterface(object.Type()) {
			continue
		}
		named, isNamed := object.Type().(*types.Named)
		if !isNamed || named.TypeParams().Len() > 0 {
			continue
		}
		pointer := !types.Implements(named, t)
		if pointer && !types.Implements(types.NewPointer(named), t) {
			continue
		}
		v := Variant{Name: name, goName: name, pointer: pointer}
		v.Type = b.build(named, spot{pos: object.Pos(), what: "variant " + name + " of " + b.text(out.typ), hint: name})
		ok = ok && v.Type != nil
		out.Variants = append(out.Variants, v)
	}
	if ok && len(out.Variants) == 0 {
		b.refuse(s, "no type implements %s; add one, or remove the field", b.text(out.typ))
		return false
	}
	return ok
}

func isUniverseError(t types.Type) bool {
	return types.Identical(t, types.Universe.Lookup("error").Type())
}

// in returns the spot of a part of the type at s.
func (s spot) in(part string) spot {
	s.hint += strings.ToUpper(part[:1]) + part[1:]
	return s
}

// typeName returns what functions for t are named after.
func typeName(t types.Type, hint string, pkg *types.Package) string {
	named, ok := t.(*types.Named)
	if !ok {
		if basic, ok := t.(*types.Basic); ok {
			return exported(basic.Name())
		}
		return hint
	}
	name := exported(named.Obj().Name())
	if p := named.Obj().Pkg(); p != nil && p != pkg {
		name = exported(p.Name()) + name
	}
	for arg := range named.TypeArgs().Types() {
		name += typeName(types.Unalias(arg), "Of", pkg)
	}
	return name
}

// exported returns name with its first letter in upper case.
func exported(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}
