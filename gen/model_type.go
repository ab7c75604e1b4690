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

// builder builds the types of one machine's commands.
type builder struct {
	*modeler
	pkg     *Package
	machine *Machine
	types   [allWords]typeutil.Map // by wide: types.Type → *Type
	refused [allWords]typeutil.Map // by wide: types.Type → why, "" if that is wrong within the type's declaration
	wide    words                  // what the types may be made of
	last    refusal
	failed  bool
	state   bool // a part of the machine's state is built, see model_state.go
	endless bool // there are too many types: no more are built
}

// refusal says where a type was refused, and why.
type refusal struct {
	at  spot
	why string
}

// spot is where a type is used.
type spot struct {
	pos  token.Pos
	what string // for problems, as "field Leg.Amount"
	hint string // what a type without a name is named after
}

func newBuilder(m *modeler, pkg *Package, machine *Machine) *builder {
	return &builder{modeler: m, pkg: pkg, machine: machine, wide: pkg.words}
}

// refuse notes that the type at s cannot be encoded.
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
	own, ok := b.registration(t, s)
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

// remember notes that t, used at s, was refused. A reason that is not within its
// declaration is reported again for each use.
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
	maxArguments = 250  // how many types the arguments of an instance are made of
)

// tooMany refuses what the types of a machine never end with: a generic type
// that holds ever other instances of itself.
func (b *builder) tooMany(t types.Type, s spot) bool {
	named, _ := t.(*types.Named)
	switch {
	case named != nil && parts(named, maxArguments) > maxArguments:
		b.refuse(s, "the generic type %s holds an instance of itself with larger type arguments, and so on without end; let it hold the instance that it is, as *%[1]s[T] within %[1]s[T]", named.Obj().Name())
	case b.built() >= maxTypes:
		b.refuse(s, "%.100s is one of more than %d types, at most so many are allowed; split the machine, or let generic types hold no other instances of themselves", b.text(t), maxTypes)
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

// parts returns how many types the type arguments of an instance are made of, at
// most one more than the limit.
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

// nameable refuses named types that generated code cannot write or must not
// encode by their structure.
func (b *builder) nameable(named *types.Named, own *registration, s spot) bool {
	object := named.Obj()
	if object.Pkg() == nil { // error and comparable
		return true
	}
	if object.Pkg() != b.pkg.types && !object.Exported() {
		b.refuse(s, "%s is not exported by its package; export it, or use a type that is", b.text(named))
		return false
	}
	if !importable(object.Pkg(), b.pkg.types) {
		b.refuse(s, "%s is of package %s, which cannot be imported here; use a type of another package", b.text(named), object.Pkg().Path())
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
	if method := b.ownCodec(named); method != "" && own == nil && b.pkg.commandOf(named) == nil {
		b.refuse(s, "%s encodes itself with %s, about whose bytes nothing is known; register a codec for it with %scodec name=… (and module, once for all packages), or use a plain type such as string or [16]byte and convert it in ApplyTo", b.text(named), method, directivePrefix)
		return false
	}
	if own == nil && isNamed(named, "time", "Location") {
		b.refuse(s, "a time.Location depends on the time zone database of the process; use a string with its name, and time.LoadLocation outside of the machine")
		return false
	}
	return true
}

// importable reports whether a package may be imported by another: not when it
// is internal to a tree that the other is not in, or a program.
func importable(pkg, by *types.Package) bool {
	if pkg == by {
		return true
	}
	i := strings.LastIndex("/"+pkg.Path()+"/", "/internal/")
	return pkg.Name() != "main" && (i < 0 || strings.HasPrefix("/"+by.Path()+"/", ("/" + pkg.Path())[:i]+"/"))
}

// commandOf returns the command that a type is, of whichever machine of the
// package, nil for none.
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

// ownCodec returns the method by which a type encodes itself, "" for none. What
// we generated for the commands of another package does not count: it may as
// well not be there yet.
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
		return b.word(out, t, s)
	case types.Uintptr, types.UnsafePointer:
		b.refuse(s, "%s means nothing to another process; use uint64", b.text(out.typ))
	case types.Complex64, types.Complex128:
		b.refuse(s, "MessagePack has no complex numbers; use two floats")
	case types.Invalid:
		if !b.needSealed() {
			b.refuse(s, "the type is invalid%s", b.complaint(s.pos, "; correct it first"))
		}
	default:
		b.refuse(s, "%s cannot be encoded; use another type", b.text(out.typ))
	}
	return false
}

// complaint returns what the type checker said about the line of pos, otherwise
// if it said nothing.
func (m *modeler) complaint(pos token.Pos, otherwise string) string {
	at := m.fset.Position(pos)
	for _, p := range m.loaded {
		for _, e := range p.TypeErrors {
			if o := m.fset.Position(e.Pos); o.Filename == at.Filename && o.Line == at.Line {
				if strings.HasPrefix(e.Msg, "undefined: ") && strings.Contains(e.Msg, ".") && strings.HasSuffix(e.Msg, "Command") {
					return ", " + e.Msg + "; if it is the interface of another package's commands, hold the structs that are meant"
				}
				return ", " + e.Msg
			}
		}
	}
	return otherwise
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

func (b *builder) mapping(out *Type, t *types.Map, s spot) bool {
	out.Kind, out.stream = Map, b.state
	own, ok := b.registration(types.Unalias(t.Key()), s)
	if !ok {
		return false
	}
	if basic, ok := t.Key().Underlying().(*types.Basic); own == nil && (!ok || basic.Info()&(types.IsString|types.IsInteger) == 0) {
		if basic != nil && basic.Kind() == types.Invalid {
			b.refuse(s, "the type of the map's keys is invalid%s", b.complaint(s.pos, "; correct it first"))
			return false
		}
		b.refuse(s, "%s cannot be a map key, whose order and equality must be beyond doubt; use a string or an integer", b.text(t.Key()))
		why := b.last
		b.build(t.Elem(), s.in("elem"))
		b.last = why
		return false
	}
	out.Key = b.build(t.Key(), s.in("key"))
	if out.Key != nil && out.Key.Kind == Own {
		if part := identityOf(t.Key()); part != "" {
			b.refuse(s, "%s cannot be a map key: it holds %s, whose equality is not that of what is encoded; use another key", b.text(t.Key()), part)
			return false
		}
	}
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
