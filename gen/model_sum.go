package gen

import (
	"cmp"
	"fmt"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
)

// sum completes a sealed interface. Only types of its package can have its unexported
// method and be its variants.
func (b *builder) sum(out *Type, t *types.Interface, s spot) bool {
	out.Kind = Sum
	if m := b.sealedOf(out.typ); m != nil {
		return b.commands(out, m)
	}
	var sealed *types.Func
	for m := range t.Methods() {
		if !m.Exported() {
			sealed = m
		}
	}
	switch {
	case t.NumMethods() == 0 && t.IsMethodSet():
		b.refuse(s, "the encoding would not say which type %s holds; use a concrete type, or an interface with an unexported method", b.text(out.typ))
		return false
	case isUniverseError(out.typ):
		b.refuse(s, "an error is not the same value in another process; use a string or a number")
		return false
	case sealed == nil || !t.IsMethodSet():
		b.refuse(s, "the interface %s is not sealed, so any package can implement it; give it an unexported method", b.text(out.typ))
		return false
	}
	if _, named := out.typ.(*types.Named); !named {
		b.refuse(s, "the interface has no name; declare it as a type")
		return false
	}
	if !b.fromSource(sealed.Pkg()) {
		return true // the model is built again from source
	}
	return b.variants(out, t, sealed.Pkg(), s)
}

// variants completes a sum with the types of pkg that implement it.
func (b *builder) variants(out *Type, t *types.Interface, pkg *types.Package, s spot) bool {
	named := b.variantNames(pkg)
	ok := true
	for _, object := range implementations(pkg, t) {
		v := Variant{Name: named[object], goName: object.Name(), pointer: !types.Implements(object.Type(), t)}
		if v.Name == "" {
			v.Name = v.goName
		}
		at := spot{pos: object.Pos(), what: "variant " + v.goName + " of " + b.text(out.typ), hint: v.goName}
		if i := slices.IndexFunc(out.Variants, func(o Variant) bool { return o.Name == v.Name }); i >= 0 {
			b.refuse(at, "variant %s is also named %q; give one another name with %svariant name=…", out.Variants[i].goName, v.Name, directivePrefix)
			return false
		}
		v.Type = b.build(object.Type(), at)
		ok = ok && v.Type != nil
		out.Variants = append(out.Variants, v)
	}
	slices.SortFunc(out.Variants, func(a, b Variant) int { return cmp.Compare(a.Name, b.Name) })
	if ok && len(out.Variants) == 0 {
		b.refuse(s, "no type implements %s; add one, or remove the field", b.text(out.typ))
		return false
	}
	return ok
}

// implementations returns the types of pkg that implement t by value or by pointer.
func implementations(pkg *types.Package, t *types.Interface) []*types.TypeName {
	var out []*types.TypeName
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		object, isType := scope.Lookup(name).(*types.TypeName)
		if !isType || object.IsAlias() || types.IsInterface(object.Type()) {
			continue
		}
		named, isNamed := object.Type().(*types.Named)
		if isNamed && named.TypeParams().Len() == 0 && (types.Implements(named, t) || types.Implements(types.NewPointer(named), t)) {
			out = append(out, object)
		}
	}
	return out
}

// variantNames returns the names of variants from the directives in pkg.
func (m *modeler) variantNames(pkg *types.Package) map[*types.TypeName]string {
	names := make(map[*types.TypeName]string)
	for _, p := range m.loaded {
		if p.Types != pkg {
			continue
		}
		for _, file := range p.Syntax {
			for _, d := range directives(m.fset, file, &m.problems) {
				if d.verb != "variant" {
					continue
				}
				if object, ok := pkg.Scope().Lookup(d.spec.Name.Name).(*types.TypeName); ok {
					names[object] = d.args["name"]
				}
			}
		}
	}
	return names
}

// variant checks the directive of a variant.
func (m *modeler) variant(pkg *Package, d directive) {
	object := m.declared(pkg, d)
	if object == nil {
		return
	}
	if d.args["name"] == "" && !d.failed {
		m.problems.add(d.pos, "variant %s has no name; add name=…, or remove the directive", object.Name())
	}
	scope := pkg.types.Scope()
	for _, name := range scope.Names() {
		o, isType := scope.Lookup(name).(*types.TypeName)
		if !isType || !types.IsInterface(o.Type()) {
			continue
		}
		t := o.Type().Underlying().(*types.Interface)
		sealed := slices.ContainsFunc(slices.Collect(t.Methods()), func(f *types.Func) bool { return !f.Exported() })
		if sealed && slices.Contains(implementations(pkg.types, t), object) {
			return
		}
	}
	m.problems.add(d.pos, "%s implements no sealed interface of its package; remove the directive, or add the methods of the interface", object.Name())
}

// commands completes the generated interface of a machine's commands, within a command
// that holds others.
func (b *builder) commands(out *Type, m *Machine) bool {
	ok := true
	for _, c := range m.Commands {
		v := Variant{Name: c.Name, goName: c.GoName, pointer: c.pointer}
		v.Type = b.build(c.object.Type(), spot{pos: c.object.Pos(), what: "command " + c.GoName, hint: c.GoName})
		ok = ok && v.Type != nil
		out.Variants = append(out.Variants, v)
	}
	return ok
}

// sealedOf returns the machine whose commands t is the generated interface of, or nil.
func (b *builder) sealedOf(t types.Type) *Machine {
	named, ok := t.(*types.Named)
	if !ok || named.Obj().Pkg() != b.pkg.types || !b.isSealed(b.pkg, named.Obj()) {
		return nil
	}
	for _, m := range b.pkg.Machines {
		if named.Obj().Name() == m.sealed(b.pkg) {
			return m
		}
	}
	return nil
}

// sealedFile returns the path of an overlay file. It declares the interfaces of all
// commands, which may not be generated yet, if a command holds one.
func sealedFile(pkg *Package) string { return filepath.Join(pkg.Dir, "sealed"+codeSuffix) }

// isSealed reports whether object is declared in that file.
func (m *modeler) isSealed(pkg *Package, object types.Object) bool {
	return m.fset.Position(object.Pos()).Filename == sealedFile(pkg)
}

// needSealed reports whether a type may be invalid because the interface of all
// commands is not declared, and adds the overlay that declares it.
func (b *builder) needSealed() bool {
	var source strings.Builder
	fmt.Fprintf(&source, "package %s\n", b.pkg.Name)
	missing := false
	for _, m := range b.pkg.Machines {
		name := m.sealed(b.pkg)
		fmt.Fprintf(&source, "type %s interface{ %s() }\n", name, m.seal())
		for _, p := range b.loaded {
			for _, e := range p.TypeErrors {
				missing = missing || p.Types == b.pkg.types && e.Msg == "undefined: "+name
			}
		}
	}
	if missing {
		b.failed = true
		b.sealed[sealedFile(b.pkg)] = []byte(source.String())
	}
	return missing
}
