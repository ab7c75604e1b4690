package gen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/tools/go/packages"
)

// imported loads the packages that source in memory can import.
var imported = sync.OnceValues(func() (importing, error) {
	roots, err := packages.Load(&packages.Config{Dir: "..", Mode: packages.NeedName | packages.NeedTypes, Fset: token.NewFileSet()}, smPath, codecPath, implPath, "time", "encoding/binary", "io")
	if err != nil {
		return nil, err
	}
	found := make(importing)
	for _, p := range roots {
		found[p.PkgPath] = p.Types
	}
	return found, nil
})

// importing is a [types.Importer] of packages that are already loaded.
type importing map[string]*types.Package

func (i importing) Import(path string) (*types.Package, error) {
	if p, ok := i[path]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("%s is not loaded", path)
}

// inMemory generates code for a package p of one file and checks the types of the
// result. Unlike Generate it does not use the go command, and so not the Go
// compiler, which does not terminate in time on some types.
func inMemory(t testing.TB, source string) (pkg *Package, code []byte, err error) {
	t.Helper()
	imports, err := imported()
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	dir := filepath.Join("testdata", "none")
	parse := func(name string, src any) *ast.File {
		file, err := parser.ParseFile(fset, filepath.Join(dir, name), src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		return file
	}
	files := []*ast.File{parse("p.go", source)}
	check := func() *packages.Package {
		p := &packages.Package{PkgPath: "example.com/p", Name: "p", Dir: dir, Syntax: files, Fset: fset}
		config := types.Config{Importer: imports, IgnoreFuncBodies: true, Error: func(err error) { p.TypeErrors = append(p.TypeErrors, err.(types.Error)) }}
		p.Types, _ = config.Check(p.PkgPath, fset, files, nil)
		return p
	}
	model := func() modeler {
		m := modeler{fset: fset, loaded: []*packages.Package{check()}, sealed: make(map[string][]byte)}
		pkg = m.packages(map[string]bool{"example.com/p": true})[0]
		return m
	}
	m := model()
	for path, src := range m.sealed {
		files = append(files, parse(filepath.Base(path), src))
		m = model()
		files = files[:1]
	}
	if err := m.problems.err(); err != nil {
		return nil, nil, err
	}
	var problems Problems
	for _, machine := range pkg.Machines {
		new(Result).evolve(machine, machine.schemaFile(pkg), &problems)
	}
	if err := problems.err(); err != nil {
		return nil, nil, err
	}
	if code, err = emit(pkg); err != nil {
		t.Fatal(err)
	}
	files = append(files, parse("p_mosaik.go", code))
	if wrong := check().TypeErrors; len(wrong) > 0 {
		t.Fatalf("the generated code does not compile: %v\n%s\n%s", wrong, source, code)
	}
	return pkg, code, nil
}
