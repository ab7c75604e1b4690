package gen

import (
	"fmt"
	"go/build"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/go/types/typeutil"
)

// builder builds the types of one machine.
type builder struct {
	*modeler
	pkg     *Package
	machine *Machine
	types   [allWords]typeutil.Map // by wide: types.Type → *Type
	refused [allWords]typeutil.Map // by wide: types.Type → reason, "" if its declaration has the problem
	wide    words                  // the words that the types may hold
	last    refusal                // the last one
	failed  bool                   // a type was refused
	state   bool                   // the types are those of a state, see model_state.go
	endless bool                   // there are too many types; no more are built
}

// refusal records where a type was refused, and why.
type refusal struct {
	at  spot
	why string
}

// spot is a place in which a type is used.
type spot struct {
	pos  token.Pos
	what string // its name in problems, as "field Leg.Amount"
	hint string // the name for functions of an unnamed type
}

func newBuilder(m *modeler, pkg *Package, machine *Machine) *builder {
	return &builder{modeler: m, pkg: pkg, machine: machine, wide: pkg.words}
}

// refuse adds the problem that the type at s cannot be encoded. It returns nil.
func (b *builder) refuse(s spot, format string, args ...any) *Type {
	b.failed = true
	text := fmt.Sprintf(format, args...)
	b.last = refusal{s, text}
	if b.state {
		text = inState(text)
	}
	b.problems.add(b.fset.Position(s.pos), "%s: %s", s.what, text)
	return nil
}

// text returns t as source of the machine's package.
func (b *builder) text(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == b.pkg.types {
			return ""
		}
		return p.Name()
	})
}

// build returns the model of t, or nil if it refused t.
func (b *builder) build(t types.Type, s spot) *Type {
	t = types.Unalias(t)
	if b.endless {
		return nil
	}
	if hasFields(t) {
		defer b.widths(b.pkg.words)()
	}
	if known, ok := b.types[b.wide].At(t).(*Type); ok {
		return known
	}
	if why, ok := b.refused[b.wide].At(t).(string); ok {
		if b.last = (refusal{}); why != "" {
			b.refuse(s, "%s", why)
		}
		return nil
	}
	switch {
	case isNamed(t, "time", "Time"):
		return &Type{Kind: Time, typ: t}
	case isNamed(t, "time", "Duration"):
		return &Type{Kind: Duration, Bits: 64, typ: t}
	}
	var own *registration
	ok := true
	if containerOf(t) == "" {
		own, ok = b.registration(t, s)
	}
	if named, isNamed := t.(*types.Named); !ok || isNamed && !b.nameable(named, own, s) {
		return b.remember(t, s)
	}
	if b.tooMany(t, s) {
		return nil
	}
	out := &Type{typ: t, name: typeName(t, s.hint, b.pkg.types), array: b.machine.Array}
	b.types[b.wide].Set(t, out)
	if own != nil {
		out.Kind, out.Own, out.codec = Own, own.name, own
		return out
	}
	if !b.fill(out, s) {
		b.types[b.wide].Delete(t)
		return b.remember(t, s)
	}
	return out
}

// remember records that t, used at s, was refused. If the reason is not in its
// declaration, the problem is reported for each use.
func (b *builder) remember(t types.Type, s spot) *Type {
	why := ""
	if b.last.at.pos == s.pos && b.last.at.what == s.what {
		why = b.last.why
	}
	b.refused[b.wide].Set(t, why)
	return nil
}

const (
	maxTypes     = 5000 // of a machine's commands, and of its state
	maxArguments = 250  // how many types may occur in the type arguments of an instance
)

// tooMany refuses an endless number of types: a generic type may hold ever larger
// instances of itself.
func (b *builder) tooMany(t types.Type, s spot) bool {
	named, _ := t.(*types.Named)
	switch {
	case named != nil && parts(named, maxArguments) > maxArguments:
		b.refuse(s, "the generic type %s holds instances of itself with ever larger type arguments; let it hold only the instance that it is, as *%[1]s[T] in %[1]s[T]", named.Obj().Name())
	case b.built() >= maxTypes:
		b.refuse(s, "%.100s exceeds the %d types that a machine may have; split the machine, or remove generic types that hold other instances of themselves", b.text(t), maxTypes)
	default:
		return false
	}
	b.endless = true
	return true
}

// built returns how many types were built.
func (b *builder) built() (n int) {
	for i := range b.types {
		n += b.types[i].Len()
	}
	return n
}

// parts returns how many types occur in the type arguments of an instance. It stops
// counting above the limit.
func parts(named *types.Named, limit int) int {
	n := 0
	var count func(t types.Type)
	count = func(t types.Type) {
		if n++; n > limit {
			return
		}
		switch t := types.Unalias(t).(type) {
		case *types.Named:
			for arg := range t.TypeArgs().Types() {
				count(arg)
			}
		case *types.Map:
			count(t.Key())
			count(t.Elem())
		case interface{ Elem() types.Type }: // a pointer, a slice, an array or a channel
			count(t.Elem())
		case *types.Struct:
			for f := range t.Fields() {
				count(f.Type())
			}
		}
	}
	for arg := range named.TypeArgs().Types() {
		count(arg)
	}
	return n
}

// nameable refuses named types that generated code cannot name, or must not encode by
// their structure.
func (b *builder) nameable(named *types.Named, own *registration, s spot) bool {
	object := named.Obj()
	if object.Pkg() == nil { // error and comparable
		return true
	}
	if object.Pkg() != b.pkg.types && !object.Exported() {
		b.refuse(s, "%s is not exported by its package; export it, or use an exported type", b.text(named))
		return false
	}
	if !importable(object.Pkg(), b.pkg.types) {
		b.refuse(s, "%s is in package %s, which this package cannot import; use a type of another package", b.text(named), object.Pkg().Path())
		return false
	}
	if object.Parent() != nil && object.Parent() != object.Pkg().Scope() {
		b.refuse(s, "%s is declared within a function; move it to package scope", b.text(named))
		return false
	}
	if object.Pkg() == b.pkg.types && isLocal(object.Name()) {
		b.refuse(s, "%s has the name of a variable in generated code; give it a longer name", object.Name())
		return false
	}
	if method := b.ownCodec(named); method != "" && own == nil && b.pkg.commandOf(named) == nil {
		b.refuse(s, "%s encodes itself with %s, and mosaik-gen does not know what that writes; register a codec for it with %scodec name=… (with module, one serves all packages), or use a plain type such as string or [16]byte and convert it in ApplyTo", b.text(named), method, directivePrefix)
		return false
	}
	if own == nil && isNamed(named, "time", "Location") {
		b.refuse(s, "a time.Location depends on the time zone database of the process; use a string with its name, and call time.LoadLocation outside of the machine")
		return false
	}
	return true
}

// importable reports whether package by may import pkg, which must not be a program, nor
// internal to a tree that by is not in.
func importable(pkg, by *types.Package) bool {
	if pkg == by {
		return true
	}
	i := strings.LastIndex("/"+pkg.Path()+"/", "/internal/")
	return pkg.Name() != "main" && (i < 0 || strings.HasPrefix("/"+by.Path()+"/", ("/" + pkg.Path())[:i]+"/"))
}

// commandOf returns the command whose type is named, of any machine of the package, or
// nil.
func (p *Package) commandOf(named *types.Named) *Command {
	for _, m := range p.Machines {
		for _, c := range m.Commands {
			if c.object == named.Obj() {
				return c
			}
		}
	}
	return nil
}

// ownCodec returns a method with which a type encodes or decodes itself, or "". Methods
// in generated files do not count: they may be missing in the next run.
func (m *modeler) ownCodec(t *types.Named) string {
	if types.IsInterface(t) {
		return ""
	}
	methods := types.NewMethodSet(types.NewPointer(t))
	for _, name := range []string{"EncodeMsgpack", "MarshalMsgpack", "MarshalBinary", "MarshalText", "DecodeMsgpack", "UnmarshalMsgpack", "UnmarshalBinary", "UnmarshalText"} {
		found := methods.Lookup(nil, name)
		if found != nil && !strings.HasSuffix(m.fset.Position(found.Obj().Pos()).Filename, codeSuffix) {
			return name
		}
	}
	return ""
}

// fill completes out from the structure of its type.
func (b *builder) fill(out *Type, s spot) bool {
	if name := containerOf(out.typ); name != "" {
		return b.container(out, name, s)
	}
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
		b.refuse(s, "a chan has no meaning in another process; remove it, or exclude the field with the tag `msgpack:\"-\"`")
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

// basic completes a type whose underlying type is basic.
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
		return b.word(out, t, s)
	case types.Uintptr, types.UnsafePointer:
		b.refuse(s, "%s has no meaning in another process; use uint64", b.text(out.typ))
	case types.Complex64, types.Complex128:
		b.refuse(s, "MessagePack has no complex numbers; use two floats")
	case types.Invalid:
		if !b.needSealed() {
			b.refuse(s, "the type is invalid%s; correct it first", b.complaint(s.pos))
		}
	default:
		b.refuse(s, "%s cannot be encoded; use another type", b.text(out.typ))
	}
	return false
}

// complaint returns the type checker's error in the line of pos, behind a colon, ""
// if there is none.
func (m *modeler) complaint(pos token.Pos) string {
	at := m.fset.Position(pos)
	for _, p := range m.loaded {
		for _, e := range p.TypeErrors {
			if o := m.fset.Position(e.Pos); o.Filename == at.Filename && o.Line == at.Line {
				if strings.HasPrefix(e.Msg, "undefined: ") && strings.Contains(e.Msg, ".") && strings.HasSuffix(e.Msg, "Command") {
					return ": " + e.Msg + ", which a command cannot hold if it is the generated interface of another package; use its structs"
				}
				return ": " + e.Msg
			}
		}
	}
	return ""
}

// constants returns the constants of a type in the package that declares it.
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

// standard reports whether a package is in the standard library, whose constants differ
// between releases.
func (b *builder) standard(pkg *types.Package) bool {
	if first, _, _ := strings.Cut(pkg.Path(), "/"); strings.Contains(first, ".") {
		return false
	}
	p, err := build.Default.Import(pkg.Path(), "", build.FindOnly)
	return err == nil && p.Goroot
}

// fromSource reports whether a package was loaded from source. If it was not, it will
// be in the next run.
func (b *builder) fromSource(pkg *types.Package) bool {
	for _, p := range b.loaded {
		if p.Types == pkg {
			return true
		}
	}
	b.unseen = append(b.unseen, pkg.Path())
	return false
}

// sequence completes a slice or array.
func (b *builder) sequence(out *Type, kind Kind, elem types.Type, s spot) bool {
	out.Kind = kind
	if out.Len > maxValueSize {
		b.refuse(s, "%s has %d elements, at most %d are allowed; use a slice", b.text(out.typ), out.Len, maxValueSize)
		return false
	}
	out.Elem = b.build(elem, s.in("elem"))
	if out.Elem != nil && out.Elem.Kind == Uint && out.Elem.Bits == 8 {
		out.Kind = Bytes
		if kind == Array {
			out.Kind = ByteArray
		}
		if len(out.Elem.Enum) == 0 {
			out.Elem = nil
		}
		return true
	}
	out.stream = b.state && kind == Slice
	return out.Elem != nil
}

// mapping completes a map.
func (b *builder) mapping(out *Type, t *types.Map, s spot) bool {
	out.Kind, out.stream = Map, b.state
	own, ok := b.registration(types.Unalias(t.Key()), s)
	if !ok {
		return false
	}
	if basic, ok := t.Key().Underlying().(*types.Basic); own == nil && (!ok || basic.Info()&(types.IsString|types.IsInteger) == 0) {
		if basic != nil && basic.Kind() == types.Invalid {
			b.refuse(s, "the type of the map's keys is invalid%s; correct it first", b.complaint(s.pos))
			return false
		}
		b.refuse(s, "%s cannot be a map key, because members could differ about the order or equality of keys; use a string or an integer", b.text(t.Key()))
		why := b.last
		b.build(t.Elem(), s.in("elem"))
		b.last = why
		return false
	}
	out.Key = b.build(t.Key(), s.in("key"))
	if out.Key != nil && out.Key.Kind == Bytes {
		b.refuse(s, "%s cannot be a map key; use a string", b.text(t.Key()))
		return false
	}
	if out.Key != nil && out.Key.Kind == Own {
		if part := identityOf(t.Key()); part != "" {
			b.refuse(s, "%s cannot be a map key: it holds %s, so equal keys could be encoded differently; use another type", b.text(t.Key()), part)
			return false
		}
	}
	out.Elem = b.build(t.Elem(), s.in("elem"))
	return out.Key != nil && out.Elem != nil
}

// pointer completes a pointer.
func (b *builder) pointer(out *Type, t *types.Pointer, s spot) bool {
	switch t.Elem().Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Interface:
		b.refuse(s, "a nil %s and a pointer to nil have the same encoding; use %s", b.text(out.typ), b.text(t.Elem()))
		return false
	}
	if _, named := out.typ.(*types.Named); named {
		b.refuse(s, "%s is a named pointer type; use %s", b.text(out.typ), b.text(t))
		return false
	}
	out.Kind = Pointer
	out.Elem = b.build(t.Elem(), s)
	return out.Elem != nil
}

func isUniverseError(t types.Type) bool {
	return types.Identical(t, types.Universe.Lookup("error").Type())
}

// in returns the spot of a part of the type at s.
func (s spot) in(part string) spot {
	s.hint += strings.ToUpper(part[:1]) + part[1:]
	return s
}

// typeName returns the name for functions of t.
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
