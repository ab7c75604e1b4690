package gen

import (
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// modeler builds the model of the machines in loaded packages.
type modeler struct {
	fset     *token.FileSet
	loaded   []*packages.Package
	problems Problems
	unseen   []string // the paths of packages that must be loaded from source

	sealed map[string][]byte // overlay for interfaces not generated yet, see needSealed

	scanned   map[string]bool            // that of the loader
	unscanned []*packages.Module         // modules whose codecs are needed
	shared    map[string][]*registration // by the directory of a scanned module
}

func newModeler(l *loader, loaded []*packages.Package) *modeler {
	return &modeler{
		fset: l.fset, loaded: loaded, sealed: make(map[string][]byte),
		scanned: l.scanned, shared: make(map[string][]*registration),
	}
}

// packages returns the models of the packages whose paths are in asked.
func (m *modeler) packages(asked map[string]bool) []*Package {
	var out []*Package
	for _, p := range m.loaded {
		if !asked[p.PkgPath] {
			continue
		}
		m.testDirectives(p)
		if m.blocked(p) || p.Types == nil {
			continue
		}
		pkg := newPackage(p, m.fset)
		m.machines(pkg, p)
		out = append(out, pkg)
	}
	m.share(asked, out)
	for _, pkg := range out {
		for _, machine := range pkg.Machines {
			m.model(pkg, machine)
		}
	}
	slices.Sort(m.unseen)
	m.unseen = slices.Compact(m.unseen)
	return out
}

// machines finds the machines, commands, queries, variants and codecs of a package.
func (m *modeler) machines(pkg *Package, p *packages.Package) {
	before := len(m.problems)
	var found []directive
	for _, file := range p.Syntax {
		found = append(found, directives(m.fset, file, &m.problems)...)
	}
	if len(found) > 0 && m.unimported(p) {
		pkg.failed = true
		return
	}
	if len(found) > 0 {
		m.misnamed(p)
	}
	for _, d := range found {
		switch d.verb {
		case "machine":
			m.machine(pkg, d)
		case "package":
			m.words(pkg, d)
		}
	}
	for _, d := range found {
		switch d.verb {
		case "command":
			m.command(pkg, d)
		case "query":
			m.query(pkg, d)
		case "variant":
			m.variant(pkg, d)
		}
	}
	for _, d := range found {
		if d.verb == "codec" {
			m.codec(pkg, d)
		}
	}
	if len(pkg.Machines) > 0 {
		m.predeclared(pkg)
	} else if i := slices.IndexFunc(found, func(d directive) bool { return d.verb == "package" }); i >= 0 {
		m.problems.add(found[i].pos, "%spackage applies to the machines of its package, which has none; move it to the package of a machine", directivePrefix)
	}
	pkg.failed = len(m.problems) > before
	slices.SortFunc(pkg.Machines, func(a, b *Machine) int { return strings.Compare(a.GoName, b.GoName) })
}

func newPackage(p *packages.Package, fset *token.FileSet) *Package {
	return &Package{
		Path: p.PkgPath, Name: p.Name, Dir: dirOf(p), types: p.Types, fset: fset,
		module: p.Module, used: make(map[string]*registration),
	}
}

// model builds the model of a machine, whose commands are known.
func (m *modeler) model(pkg *Package, machine *Machine) {
	before := len(m.problems)
	if len(machine.Commands) == 0 && !pkg.failed {
		m.problems.add(machine.pos, "machine %s has no commands; put %scommand above a struct with a method ApplyTo(*%s, sm.ApplyContext) (R, error)",
			machine.GoName, directivePrefix, machine.GoName)
	}
	slices.SortFunc(machine.Commands, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
	m.reserved(pkg, machine)
	m.types(pkg, machine)
	machine.failed = len(m.problems) > before
}

// sealed returns the name of the generated interface of all commands.
func (m *Machine) sealed(pkg *Package) string {
	if len(pkg.Machines) > 1 {
		return m.GoName + "Command"
	}
	return "Command"
}

// seal returns the name of that interface's method. If a command is used before its
// code is generated, the compiler reports that this method is missing, so the name
// says what to do.
func (m *Machine) seal() string { return lower(m.GoName) + "Command_run_go_generate" }

// reserved refuses hand-written declarations of what is generated.
func (m *modeler) reserved(pkg *Package, machine *Machine) {
	if old := pkg.declared(machine.sealed(pkg)); old != nil && !m.isSealed(pkg, old) {
		pos := machine.pos
		if old.Pkg() == pkg.types {
			pos = m.fset.Position(old.Pos())
		}
		m.problems.add(pos, "%s is the name of the generated interface for the commands of machine %s; rename or remove this declaration", old.Name(), machine.GoName)
	}
	m.reservedMethods(pkg, machine.object, "Spec", "Apply")
	for _, c := range machine.Commands {
		m.reservedMethods(pkg, c.object, "AsCommand", machine.seal(), "MarshalMsgpack", "UnmarshalMsgpack")
	}
}

// declared returns what a name denotes in the package or, by an import, in one of its
// files. It returns nil if it denotes nothing.
func (p *Package) declared(name string) types.Object {
	if found := p.types.Scope().Lookup(name); found != nil {
		return found
	}
	for file := range p.types.Scope().Children() {
		if found := file.Lookup(name); found != nil {
			return found
		}
	}
	return nil
}

// predeclared holds the predeclared identifiers that generated code uses.
var predeclared = []string{
	"any", "append", "bool", "byte", "error", "float32", "float64", "int", "int16", "int32", "int64", "int8",
	"len", "make", "new", "nil", "string", "true", "uint", "uint16", "uint32", "uint64", "uint8",
}

// predeclared refuses packages that redeclare these identifiers.
func (m *modeler) predeclared(pkg *Package) {
	for _, name := range predeclared {
		if found := pkg.types.Scope().Lookup(name); found != nil {
			m.problems.add(m.fset.Position(found.Pos()), "the package declares %s, and generated code uses the predeclared %[1]s; rename it", name)
		}
	}
}

// reservedMethods refuses methods and fields of a type with the names of generated
// methods.
func (m *modeler) reservedMethods(pkg *Package, object *types.TypeName, names ...string) {
	for _, name := range names {
		found, index, _ := types.LookupFieldOrMethod(types.NewPointer(object.Type()), true, pkg.types, name)
		if found != nil && len(index) == 1 {
			m.problems.add(m.fset.Position(found.Pos()), "%s already has %s, which mosaik-gen generates; remove or rename it", object.Name(), name)
		}
	}
}

// declared returns the type below a directive, or nil if it cannot have the directive.
func (m *modeler) declared(pkg *Package, d directive) *types.TypeName {
	object, ok := pkg.types.Scope().Lookup(d.spec.Name.Name).(*types.TypeName)
	if !ok {
		m.problems.add(d.pos, "%s%s is above a type that is declared within a function; move %s to package scope", directivePrefix, d.verb, d.spec.Name.Name)
		return nil
	}
	named, ok := object.Type().(*types.Named)
	if !ok {
		m.problems.add(d.pos, "%s is an alias; put %s%s above the type itself, or, if that is an instance of a generic type, declare type %[1]s struct{ … } around it", object.Name(), directivePrefix, d.verb)
		return nil
	}
	if named.TypeParams().Len() > 0 {
		m.problems.add(d.pos, "%s is generic, so its encoding would depend on its type arguments; declare a type for each instance, as in type %[1]sOf struct{ %[1]s[…] }", object.Name())
		return nil
	}
	return object
}

// machine adds the machine below a directive.
func (m *modeler) machine(pkg *Package, d directive) {
	object := m.declared(pkg, d)
	if object == nil {
		return
	}
	machine := &Machine{GoName: object.Name(), pos: d.pos, object: object}
	d.machine(machine, &m.problems)
	for _, o := range pkg.Machines {
		switch {
		case o.object == object:
			m.problems.add(d.pos, "%s has two directives %smachine; remove one", machine.GoName, directivePrefix)
			return
		case strings.EqualFold(o.GoName, machine.GoName):
			m.problems.add(d.pos, "the names of machines %s and %s differ only in case, so they would share a schema file; rename one", o.GoName, machine.GoName)
		case o.Name == machine.Name:
			m.problems.add(d.pos, "machines %s and %s are both named %q, so their groups could be mistaken for each other; rename one", o.GoName, machine.GoName, o.Name)
		}
	}
	pkg.Machines = append(pkg.Machines, machine)
}

// command adds the command below a directive to its machine.
func (m *modeler) command(pkg *Package, d directive) {
	object := m.declared(pkg, d)
	if object == nil {
		return
	}
	if _, ok := object.Type().Underlying().(*types.Struct); !ok {
		m.problems.add(d.pos, "command %s is not a struct; declare it as one, so fields can be added later", object.Name())
		return
	}
	machine, pointer, ok := m.receiver(pkg, d, object, "ApplyTo")
	if !ok {
		return
	}
	c := &Command{Name: d.args["name"], GoName: object.Name(), pos: d.pos, object: object, pointer: pointer}
	if c.Name == "" {
		c.Name = c.GoName
	}
	for _, o := range machine.Commands {
		switch {
		case o.object == object:
			m.problems.add(d.pos, "%s has two directives %scommand; remove one", c.GoName, directivePrefix)
			return
		case o.Name == c.Name:
			m.problems.add(d.pos, "commands %s and %s are both named %q; give one another name=…", o.GoName, c.GoName, c.Name)
		}
	}
	machine.Commands = append(machine.Commands, c)
}

// query adds the query below a directive to its machine.
func (m *modeler) query(pkg *Package, d directive) {
	object := m.declared(pkg, d)
	if object == nil {
		return
	}
	if machine, _, ok := m.receiver(pkg, d, object, "Query"); ok {
		machine.Queries = append(machine.Queries, object.Name())
	}
}

// receiver returns the machine that the method of a command or query takes, and whether
// the method has a pointer receiver.
func (m *modeler) receiver(pkg *Package, d directive, object *types.TypeName, method string) (machine *Machine, pointer, ok bool) {
	want := "ApplyTo(*M, sm.ApplyContext) (R, error)"
	if method == "Query" {
		want = "Query(*M) (R, error)"
	}
	found, _, _ := types.LookupFieldOrMethod(types.NewPointer(object.Type()), true, pkg.types, method)
	f, isFunc := found.(*types.Func)
	if !isFunc {
		m.problems.add(d.pos, "%s %s has no method %s; add %s", d.verb, object.Name(), method, want)
		return nil, false, false
	}
	at := m.fset.Position(f.Pos())
	sig := f.Signature()
	if _, ptr := types.Unalias(sig.Recv().Type()).(*types.Pointer); ptr {
		pointer = true
	}
	params, results := sig.Params(), sig.Results()
	fits := results.Len() == 2 && types.Identical(results.At(1).Type(), types.Universe.Lookup("error").Type()) && !sig.Variadic()
	if method == "Query" {
		fits = fits && params.Len() == 1
	} else {
		fits = fits && params.Len() == 2 && isNamed(params.At(1).Type(), smPath, "ApplyContext")
	}
	if !fits {
		m.problems.add(at, "%s of %s %s does not have the form %s%s; change its signature", method, d.verb, object.Name(), want, m.complaint(f.Pos()))
		return nil, false, false
	}
	param := types.Unalias(params.At(0).Type())
	byPointer := false
	if p, isPointer := param.(*types.Pointer); isPointer {
		param, byPointer = types.Unalias(p.Elem()), true
	}
	for _, machine := range pkg.Machines {
		if !types.Identical(param, machine.object.Type()) {
			continue
		}
		if len(machine.Commands) == 0 && method == "ApplyTo" {
			machine.pointer = byPointer
		}
		if machine.pointer != byPointer && len(machine.Commands) > 0 {
			m.problems.add(at, "%s of %s %s does not take the machine as %s does; take %s in all commands and queries",
				method, d.verb, object.Name(), machine.Commands[0].GoName, "*"+machine.GoName)
			return nil, false, false
		}
		return machine, pointer, true
	}
	m.problems.add(at, "%s of %s %s takes %s, which is not a machine of this package; take a type with the directive %smachine",
		method, d.verb, object.Name(), types.TypeString(params.At(0).Type(), types.RelativeTo(pkg.types)), directivePrefix)
	return nil, false, false
}

// types builds the types of the machine's identity, commands and state.
func (m *modeler) types(pkg *Package, machine *Machine) {
	b := newBuilder(m, pkg, machine)
	b.identity()
	machine.command = &Type{Kind: Sum, root: true}
	for _, c := range machine.Commands {
		c.typ = b.build(c.object.Type(), spot{pos: c.object.Pos(), what: "command " + c.GoName, hint: c.GoName})
		if c.typ == nil {
			continue
		}
		machine.command.Variants = append(machine.command.Variants, Variant{
			Name: c.Name, Type: c.typ, goName: c.GoName, pointer: c.pointer,
		})
	}
	b.finish(machine.command)
	m.state(pkg, machine)
}

// schemaFile returns the path of the machine's schema file.
func (m *Machine) schemaFile(pkg *Package) string {
	return filepath.Join(pkg.Dir, strings.ToLower(m.GoName)+schemaSuffix)
}

// isNamed reports whether t is the type with that package path and name.
func isNamed(t types.Type, path, name string) bool {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return false
	}
	return named.Obj().Pkg().Path() == path && named.Obj().Name() == name
}
