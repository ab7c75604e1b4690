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

// A package can declare a codec for all packages of its module. The search for such
// codecs reads all source of the module, because no package needs to import the one
// that declares a codec. So it happens only for types that cannot be encoded
// otherwise.

// codecDirective is a text that all files with codecs contain.
const codecDirective = directivePrefix + "codec"

// scan adds the packages of a module that declare codecs to the patterns.
func (l *loader) scan(module *packages.Module) {
	l.scanned[module.Dir] = true
	for _, dir := range codecDirectories(module.Dir) {
		rel, err := filepath.Rel(module.Dir, dir)
		if err != nil {
			continue
		}
		if pattern := path.Join(module.Path, filepath.ToSlash(rel)); !slices.Contains(l.config.Patterns, pattern) {
			l.config.Patterns = append(l.config.Patterns, pattern)
		}
	}
}

// codecDirectories returns the directories below root, the one of a module, in which a
// file has the directive of a codec. It skips what it cannot read; the go command
// reports that.
func codecDirectories(root string) (out []string) {
	filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			if name != root && outsideModule(name, entry.Name()) {
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

// outsideModule reports whether a directory does not belong to the module around it, as
// in the pattern "./..." of the go command.
func outsideModule(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// share collects the codecs of the scanned modules, from the packages that were asked
// for and from those that were loaded for their codecs.
func (m *modeler) share(asked map[string]bool, pkgs []*Package) {
	for _, p := range m.loaded {
		if p.Module == nil || !m.scanned[p.Module.Dir] || p.Types == nil || asked[p.PkgPath] {
			continue
		}
		pkg := newPackage(p, m.fset)
		var elsewhere Problems // reported by a run for that package
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

// path returns the qualified name of the codec's type.
func (r *registration) path() string { return r.object.Pkg().Path() + "." + r.object.Name() }

// moduleCodec returns the codec that another package of the module declares for t, or
// nil. It returns false if it refused t.
func (b *builder) moduleCodec(t *types.Named, s spot) (own *registration, ok bool) {
	module := b.pkg.module
	if module == nil || module.Dir == "" {
		return nil, true
	}
	if !b.scanned[module.Dir] {
		b.unscanned = append(b.unscanned, module)
		return nil, true // the model is built again with the module's codecs
	}
	for _, r := range b.shared[module.Dir] {
		switch {
		case r.object.Pkg() == b.pkg.types || !types.Identical(r.of, t):
		case own != nil:
			b.refuse(s, "%s and %s are both codecs for %s in the whole module; remove one, or declare a codec in this package", own.path(), r.path(), b.text(t))
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
		b.refuse(s, "the codec %s for %s is not exported by its package; export it, or declare it as an alias of codec.Text[…] or codec.Binary[…]", own.path(), b.text(t))
	case !importable(pkg, b.pkg.types):
		b.refuse(s, "the codec %s for %s is in a package that this package cannot import; move it to another package", own.path(), b.text(t))
	case imports(pkg, b.pkg.types, make(map[*types.Package]bool)):
		b.refuse(s, "the codec %s for %s is in a package that imports this one; move it to another package", own.path(), b.text(t))
	default:
		return own, true
	}
	return nil, false
}

// isOurs reports whether the codec is an instance of one in package codec. The package
// that declares it need not be imported.
func (r *registration) isOurs() bool {
	named, ok := types.Unalias(r.object.Type()).(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == codecPath
}

// imports reports whether a package imports another, directly or indirectly.
func imports(pkg, other *types.Package, seen map[*types.Package]bool) bool {
	if seen[pkg] {
		return false
	}
	seen[pkg] = true
	return pkg.Path() == other.Path() || slices.ContainsFunc(pkg.Imports(), func(p *types.Package) bool { return imports(p, other, seen) })
}

// lacks returns the method that an instance of codec.Text or codec.Binary requires and
// its type lacks, or "".
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
		return "Append" + form + " or Marshal" + form
	}
	return ""
}

// codecType returns the type of the codec of t as source of the file.
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
