package mosaik_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMustNotCompile type-checks the programs in testdata/mustnotcompile, each
// together with the machines in its folder machines, as the compiler does. A
// comment want `…` stands on each line with an error and holds what the message
// must match; every other line must be right.
func TestMustNotCompile(t *testing.T) {
	t.Parallel()
	const dir = "testdata/mustnotcompile"
	programs, err := filepath.Glob(dir + "/*.go")
	if err != nil || len(programs) < 2 {
		t.Fatalf("programs: %v, %v", programs, err)
	}
	for _, program := range programs {
		t.Run(strings.TrimSuffix(filepath.Base(program), ".go"), func(t *testing.T) {
			t.Parallel()
			fset := token.NewFileSet()
			var files []*ast.File
			for _, name := range []string{program, dir + "/machines/machines.go"} {
				file, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, file)
			}
			wants := wantedErrors(t, fset, files[0])
			config := types.Config{Importer: newImporter(t, fset), Error: func(err error) {
				e := err.(types.Error)
				at := fset.Position(e.Pos)
				want, ok := wants[at.Line]
				switch {
				case at.Filename != program || !ok:
					t.Errorf("%s: %s", at, e.Msg)
				case !want.MatchString(e.Msg):
					t.Errorf("%s:\nthe message is  %s\nit must match   %s", at, e.Msg, want)
				}
				if at.Filename == program {
					delete(wants, at.Line)
				}
			}}
			config.Check("program", fset, files, nil) // its errors are reported above
			for _, line := range slices.Sorted(maps.Keys(wants)) {
				t.Errorf("%s:%d compiles, but the error %s is wanted", program, line, wants[line])
			}
		})
	}
}

var wantComment = regexp.MustCompile("// want `(.*)`")

// wantedErrors returns what the messages about the lines of a program must match.
func wantedErrors(t *testing.T, fset *token.FileSet, file *ast.File) map[int]*regexp.Regexp {
	t.Helper()
	wants := map[int]*regexp.Regexp{}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if m := wantComment.FindStringSubmatch(c.Text); m != nil {
				want, err := regexp.Compile(m[1])
				if err != nil {
					t.Fatal(err)
				}
				wants[fset.Position(c.Pos()).Line] = want
			}
		}
	}
	return wants
}
