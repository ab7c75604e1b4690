package determinism

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// expectation is a comment of the form // want `pattern` `pattern`.
type expectation struct {
	pattern *regexp.Regexp
	met     bool
}

var wanted = regexp.MustCompile("// want ((?:`[^`]*` ?)+)")

// expectations returns what the comments of a folder expect, by file and line.
func expectations(t *testing.T, dir string) map[string][]*expectation {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no source, error %v", dir, err)
	}
	out := make(map[string][]*expectation)
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(src), "\n") {
			found := wanted.FindStringSubmatch(line)
			if found == nil {
				continue
			}
			key := filepath.Base(name) + ":" + strconv.Itoa(i+1)
			for _, pattern := range strings.Split(strings.Trim(strings.TrimSpace(found[1]), "`"), "` `") {
				out[key] = append(out[key], &expectation{pattern: regexp.MustCompile(pattern)})
			}
		}
	}
	return out
}

// TestZoo checks machines that are not deterministic, each of which must be reported where its
// comments expect it, and machines that only look so, of which none may be reported.
func TestZoo(t *testing.T) {
	t.Parallel()
	findings, err := Check(t.Context(), Config{Patterns: []string{"./testdata/zoo/bad", "./testdata/zoo/good", "./testdata/zoo/lib"}})
	if err != nil {
		t.Fatal(err)
	}
	want := expectations(t, "testdata/zoo/bad")
	for _, f := range findings {
		key := fmt.Sprintf("%s:%d", filepath.Base(f.Pos.Filename), f.Pos.Line)
		i := slices.IndexFunc(want[key], func(e *expectation) bool { return !e.met && e.pattern.MatchString(f.Message) })
		if !strings.HasSuffix(f.Package, "/bad") || i < 0 {
			t.Errorf("%s: unexpected: %s", f.Pos, f.Message)
			continue
		}
		want[key][i].met = true
	}
	for key, list := range want {
		for _, e := range list {
			if !e.met {
				t.Errorf("%s: nothing matches %q", key, e.pattern)
			}
		}
	}
}
