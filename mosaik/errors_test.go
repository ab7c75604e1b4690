package mosaik_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
)

// errorValues are the exported error variables by name.
var errorValues = map[string]error{
	"ErrForming": mosaik.ErrForming, "ErrStalled": mosaik.ErrStalled, "ErrNotStalled": mosaik.ErrNotStalled,
	"ErrNotApart": mosaik.ErrNotApart, "ErrNotLeader": mosaik.ErrNotLeader, "ErrCannotLead": mosaik.ErrCannotLead,
	"ErrVoteNeeded": mosaik.ErrVoteNeeded, "ErrSuperseded": mosaik.ErrSuperseded, "ErrStorage": mosaik.ErrStorage, "ErrClosed": mosaik.ErrClosed,
	"ErrUnknownOutcome": mosaik.ErrUnknownOutcome, "ErrResultLost": mosaik.ErrResultLost,
	"ErrNotApplied": mosaik.ErrNotApplied, "ErrPoisoned": mosaik.ErrPoisoned, "ErrTooLarge": mosaik.ErrTooLarge,
	"ErrEmptyBatch": mosaik.ErrEmptyBatch, "ErrUndecodable": mosaik.ErrUndecodable, "ErrEncode": mosaik.ErrEncode,
	"ErrOtherEpoch": mosaik.ErrOtherEpoch, "ErrOutdated": mosaik.ErrOutdated, "ErrLevel": mosaik.ErrLevel,
	"ErrJoinedDifferently": mosaik.ErrJoinedDifferently, "ErrInApply": mosaik.ErrInApply,
	"ErrCannotRemove": mosaik.ErrCannotRemove, "ErrNotStopped": mosaik.ErrNotStopped,
}

// errorTable returns the table of docs/guarantees.md: by the names of the error
// variables, whether a call that ends so can be retried.
var errorTable = sync.OnceValues(func() (map[string]bool, error) {
	doc, err := os.ReadFile("../docs/guarantees.md")
	if err != nil {
		return nil, err
	}
	table := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `(Err\\w+)` \\|(?: [^|]+ \\|){2} (yes|no) \\| [^|]+ \\|$").FindAllStringSubmatch(string(doc), -1) {
		if _, twice := table[row[1]]; twice {
			return nil, fmt.Errorf("%s stands in the table of docs/guarantees.md twice", row[1])
		}
		table[row[1]] = row[2] == "yes"
	}
	return table, nil
})

// TestErrorTable holds the table of docs/guarantees.md against the error
// variables of the package and against Retryable.
func TestErrorTable(t *testing.T) {
	t.Parallel()
	table, err := errorTable()
	if err != nil {
		t.Fatal(err)
	}
	exported := exportedErrors(t)
	if diff := cmp.Diff(exported, slices.Sorted(maps.Keys(table))); diff != "" {
		t.Errorf("errors in the table of docs/guarantees.md (-exported +in the table):\n%s", diff)
	}
	if diff := cmp.Diff(exported, slices.Sorted(maps.Keys(errorValues))); diff != "" {
		t.Errorf("errors that this test knows (-exported +known):\n%s", diff)
	}
	for name, err := range errorValues {
		if got := mosaik.Retryable(fmt.Errorf("wrapped: %w", err)); got != table[name] {
			t.Errorf("Retryable(%s) is %t, and %t in docs/guarantees.md", name, got, table[name])
		}
	}
}

// exportedErrors returns the names of the package's error variables.
func exportedErrors(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
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

func TestRetryable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"the machine's own", errShort, false},
		{"a context's end alone", context.Canceled, false},
		{"not applied when a context ended", errors.Join(mosaik.ErrNotApplied, context.DeadlineExceeded), true},
		{"unknown when a context ended", errors.Join(mosaik.ErrUnknownOutcome, context.DeadlineExceeded), false},
		{"stalled under way", errors.Join(mosaik.ErrUnknownOutcome, mosaik.ErrStalled), false},
		{"stalled before", errors.Join(mosaik.ErrNotApplied, mosaik.ErrStalled), true},
		{"not applied in a closed group", errors.Join(mosaik.ErrNotApplied, mosaik.ErrClosed), false},
		{"not applied on a superseded member", errors.Join(mosaik.ErrNotApplied, mosaik.ErrSuperseded), false},
		{"not applied on a poisoned machine", errors.Join(mosaik.ErrNotApplied, mosaik.ErrPoisoned), false},
		{"refused for its level", errors.Join(mosaik.ErrNotApplied, mosaik.ErrLevel), true},
		{"not applied by an outdated program", errors.Join(mosaik.ErrNotApplied, mosaik.ErrOutdated), false},
		{"refused for its size", errors.Join(mosaik.ErrNotApplied, mosaik.ErrTooLarge), false},
	} {
		if got := mosaik.Retryable(c.err); got != c.want {
			t.Errorf("%s: retryable is %t, want %t", c.name, got, c.want)
		}
	}
}
