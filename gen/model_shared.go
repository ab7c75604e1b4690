package gen

import (
	"bytes"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// A codec that a package declares for its module counts in all packages of it,
// for types that have no form of their own. Whether there are some is only asked
// for such types: all source of the module has to be looked at, since no package
// needs to import the one that declares a codec.

// codecDirective is what files with codecs contain.
const codecDirective = directivePrefix + "codec"

// scan has the packages of a module loaded that declare codecs.
func (l *loader) scan(module *packages.Module) {
	l.scanned[module.Dir] = true
	for _, dir := range codecFolders(module.Dir) {
		rel, err := filepath.Rel(module.Dir, dir)
		if err != nil {
			continue
		}
		if pattern := path.Join(module.Path, filepath.ToSlash(rel)); !slices.Contains(l.config.Patterns, pattern) {
			l.config.Patterns = append(l.config.Patterns, pattern)
		}
	}
}

// codecFolders returns the folders below root, of a module, that have a file with
// the directive of a codec. What cannot be read has none; the go command says
// more about it.
func codecFolders(root string) (out []string) {
	filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			if name != root && isApart(name, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || slices.Contains(out, filepath.Dir(name)):
			return nil
		}
		if src, err := os.ReadFile(name); err == nil && bytes.Contains(src, []byte(codecDirective)) {
			out = append(out, filepath.Dir(name))
		}
		return nil
	})
	return out
}

// isApart reports whether the folder does not belong to the module around it, as
// with the go command's pattern "./...".
func isApart(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// share collects the codecs of the scanned modules: those of the packages that
// were asked for, and of those that were loaded for their codecs.
func (m *modeler) share(asked map[string]bool, pkgs []*Package) {
	for _, p := range m.loaded {
		if p.Module == nil || !m.scanned[p.Module.Dir] || p.Types == nil || asked[p.PkgPath] {
			continue
		}
		pkg := newPackage(p, m.fset)
		var elsewhere Problems // reported when that package is asked for
		for _, file := range p.Syntax {
			for _, d := range directives(m.fset, file, &elsewhere) {
				if d.verb == "codec" {
					m.codec(pkg, d)
				}
			}
		}
		pkgs = append(pkgs, pkg)
	}
	for _, pkg := range pkgs {
		if pkg.module == nil {
			continue
		}
		for _, of := range pkg.codecs.Keys() {
			if r := pkg.codecs.At(of).(*registration); r.module {
				m.shared[pkg.module.Dir] = append(m.shared[pkg.module.Dir], r)
			}
		}
	}
	for _, all := range m.shared {
		slices.SortFunc(all, func(a, b *registration) int { return strings.Compare(a.path(), b.path()) })
	}
}

// path returns where r is declared, for sorting and for problems.
func (r *registration) path() string { return r.object.Pkg().Path() + "." + r.object.Name() }

// moduleCodec returns the codec that another package of the module declares for
// a type, nil if none does. It returns false when the type was refused.
func (b *builder) moduleCodec(t *types.Named, s spot) (own *registration, ok bool) {
	module := b.pkg.module
	if module == nil || module.Dir == "" {
		return nil, true
	}
	if !b.scanned[module.Dir] {
		b.unscanned = append(b.unscanned, module)
		return nil, true // built again with its codecs
	}
	for _, r := range b.shared[module.Dir] {
		switch {
		case r.object.Pkg() == b.pkg.types || !types.Identical(r.of, t):
		case own != nil:
			b.refuse(s, "%s and %s are both codecs of %s for the whole module; remove one, or declare one for this package", own.path(), r.path(), b.text(t))
			return nil, false
		default:
			own = r
		}
	}
	if own == nil || own.isOurs() {
		return own, true
	}
	switch pkg := own.object.Pkg(); {
	case !own.object.Exported():
		b.refuse(s, "the codec %s of %s is not exported by its package; export it, or declare it as an alias of codec.Text[…] or codec.Binary[…]", own.path(), b.text(t))
	case !importable(pkg, b.pkg.types):
		b.refuse(s, "the codec %s of %s is of a package that cannot be imported here; move it to another", own.path(), b.text(t))
	case imports(pkg, b.pkg.types, make(map[*types.Package]bool)):
		b.refuse(s, "the codec %s of %s is of a package that imports this one; move it to another", own.path(), b.text(t))
	default:
		return own, true
	}
	return nil, false
}

// isOurs reports whether r is an instance of a codec of package codec, which
// needs no import of the package that declares it.
func (r *registration) isOurs() bool {
	named, ok := types.Unalias(r.object.Type()).(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == codecPath
}

// imports reports whether a package imports another, through others too.
func imports(pkg, other *types.Package, seen map[*types.Package]bool) bool {
	if seen[pkg] {
		return false
	}
	seen[pkg] = true
	return pkg.Path() == other.Path() || slices.ContainsFunc(pkg.Imports(), func(p *types.Package) bool { return imports(p, other, seen) })
}

// lacks returns the method that r, an instance of codec.Text or codec.Binary,
// needs its type to have and that the type does not have, "" for none.
func (r *registration) lacks() string {
	named, ok := types.Unalias(r.object.Type()).(*types.Named)
	if !ok || !r.isOurs() || named.TypeArgs().Len() != 2 {
		return ""
	}
	methods := types.NewMethodSet(named.TypeArgs().At(1))
	has := func(name string) bool { return methods.Lookup(nil, name) != nil }
	form := named.Obj().Name()
	switch {
	case !has("Unmarshal" + form):
		return "Unmarshal" + form
	case !has("Append"+form) && !has("Marshal"+form):
		return "Append" + form + " and none Marshal" + form
	}
	return ""
}

// codecType returns the type of the codec of t as it is written in the file.
func (e *emitter) codecType(t *Type) string {
	r := t.codec
	switch {
	case r.ready != nil:
		return e.codec() + "." + r.ready.codec
	case r.object.Pkg() == e.pkg.types:
		return r.object.Name()
	}
	return e.text(types.Unalias(r.object.Type()))
}
