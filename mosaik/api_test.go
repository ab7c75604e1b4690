package mosaik_test

import (
	"flag"
	"fmt"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/api.txt")

// TestExportedSurface holds what our packages export against testdata/api.txt,
// so that every change of it is a line in a diff, and against the bounds on its
// size.
func TestExportedSurface(t *testing.T) {
	t.Parallel()
	const file = "testdata/api.txt"
	bounds := map[string]int{"mosaik": 110, "sm": 40, "codec": 32}
	imports := newImporter(t, token.NewFileSet())
	var got strings.Builder
	for i, path := range publicPackages {
		pkg, err := imports.Import(module + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		names := exportedNames(pkg)
		if bound, ok := bounds[path]; ok && len(names) >= bound {
			t.Errorf("package %s exports %d names, want less than %d", path, len(names), bound)
		}
		if i > 0 {
			got.WriteString("\n")
		}
		fmt.Fprintf(&got, "package %s // %d names\n", path, len(names))
		for _, name := range names {
			describe(&got, pkg, pkg.Scope().Lookup(name))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("the exported surface changed; if it should, run go test ./mosaik -run TestExportedSurface -update (-want +got):\n%s", diff)
	}
}

func exportedNames(pkg *types.Package) []string {
	return slices.DeleteFunc(pkg.Scope().Names(), func(name string) bool { return !token.IsExported(name) })
}

// describe writes an exported object, a line each for it and for its exported
// fields and methods.
func describe(w *strings.Builder, pkg *types.Package, o types.Object) {
	qualifier := func(p *types.Package) string {
		if p == pkg {
			return ""
		}
		return p.Name()
	}
	named, ok := o.Type().(*types.Named)
	if _, isType := o.(*types.TypeName); !isType || !ok || named.Obj() != o {
		fmt.Fprintln(w, types.ObjectString(o, qualifier))
		return
	}
	header, _, _ := strings.Cut(types.ObjectString(o, qualifier), " struct{")
	switch u := named.Underlying().(type) {
	case *types.Struct:
		fmt.Fprintln(w, header, "struct")
		for f := range u.Fields() {
			if f.Exported() {
				fmt.Fprintf(w, "\t%s %s\n", f.Name(), types.TypeString(f.Type(), qualifier))
			}
		}
	case *types.Interface:
		header, _, _ := strings.Cut(header, " interface{")
		fmt.Fprintln(w, header, "interface")
		for e := range u.EmbeddedTypes() {
			fmt.Fprintf(w, "\t%s\n", types.TypeString(e, qualifier))
		}
		for m := range u.ExplicitMethods() {
			fmt.Fprintf(w, "\t%s%s\n", m.Name(), strings.TrimPrefix(types.TypeString(m.Type(), qualifier), "func"))
		}
	default:
		fmt.Fprintln(w, header)
	}
	var methods []string
	for m := range named.Methods() {
		// Generic methods are those of Go 1.27, in files that an older toolchain skips.
		if m.Exported() && m.Signature().TypeParams().Len() == 0 {
			methods = append(methods, types.ObjectString(m, qualifier))
		}
	}
	slices.Sort(methods)
	for _, m := range methods {
		fmt.Fprintf(w, "\t%s\n", m)
	}
}
