package mosaik_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/internal/apitest"
)

// TestErrorTable compares the table of docs/guarantees.md with the error variables of
// the package and with Retryable.
func TestErrorTable(t *testing.T) {
	t.Parallel()
	table, err := apitest.ErrorTable("../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	exported := exportedErrors(t)
	if diff := cmp.Diff(exported, slices.Sorted(maps.Keys(table))); diff != "" {
		t.Errorf("errors in the table of docs/guarantees.md (-exported +in the table):\n%s", diff)
	}
	if diff := cmp.Diff(exported, slices.Sorted(maps.Keys(apitest.Errors))); diff != "" {
		t.Errorf("errors that this test knows (-exported +known):\n%s", diff)
	}
	for name, err := range apitest.Errors {
		if got := mosaik.Retryable(fmt.Errorf("wrapped: %w", err)); got != table[name] {
			t.Errorf("Retryable(%s) is %t, and docs/guarantees.md has %t", name, got, table[name])
		}
		if got := mosaik.OutcomeOf(err); table[name] && got != mosaik.NotApplied {
			t.Errorf("%s can be retried in docs/guarantees.md, and its outcome is %v", name, got)
		}
	}
}

// exportedErrors returns the names of the error variables of the package and of consensus.
func exportedErrors(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "consensus/errors.go")
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_go127.go") { // a syntax of its own
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, spec := range g.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						if strings.HasPrefix(name.Name, "Err") {
							names = append(names, name.Name)
						}
					}
				}
			}
		}
	}
	slices.Sort(names)
	return names
}
