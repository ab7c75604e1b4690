package determinism

import (
	"cmp"
	"go/format"
	"os"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// edit is the replacement of a part of a file.
type edit struct {
	from, to int
	text     string
}

// TestFixes applies the replacements of all findings in a file, and compares the result with
// the golden file beside it.
func TestFixes(t *testing.T) {
	t.Parallel()
	graph, err := analyze(t.Context(), Config{Patterns: []string{"./testdata/fixes"}})
	if err != nil {
		t.Fatal(err)
	}
	const name = "testdata/fixes/fixes.go"
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var edits []edit
	for _, act := range graph.Roots {
		for _, d := range act.Diagnostics {
			if len(d.SuggestedFixes) == 0 {
				t.Errorf("%s: no fix for: %s", act.Package.Fset.Position(d.Pos), d.Message)
				continue
			}
			for _, e := range d.SuggestedFixes[0].TextEdits {
				file := act.Package.Fset.File(e.Pos)
				edits = append(edits, edit{file.Offset(e.Pos), file.Offset(e.End), string(e.NewText)})
			}
		}
	}
	slices.SortFunc(edits, func(a, b edit) int {
		return -cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.text, b.text))
	})
	fixed := string(src)
	for _, e := range slices.Compact(edits) { // several fixes import the same package
		fixed = fixed[:e.from] + e.text + fixed[e.to:]
	}
	got, err := format.Source([]byte(fixed))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, fixed)
	}
	want, err := os.ReadFile(name + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("fixed (-want +got):\n%s", diff)
	}
}
