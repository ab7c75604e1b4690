package integration_test

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// brokenRule tells the process of a test which rule it is to break: the name of
// one of brokenRules.
const brokenRule = "MOSAIK_TEST_BROKEN_RULE"

// brokenRules are what TestLinearizable must notice, with what it says then. Where
// numbers may come in any order, the table can only know the latest again: a
// late copy is out of order, or one too many.
var brokenRules = []struct{ name, says string }{
	{"deduplication off", ` twice`},
	{"sequence gaps allowed", ` (after|twice)\b`},
	{"strong reads made weak", `the history is not linearizable`},
}

// breaks are the changes to the library's source that break the rules, each in
// place of text that stands in its file once.
var breaks = []struct{ file, text, broken string }{
	{
		"../internal/state/apply.go",
		"case e.Sequence <= session.Sequence:",
		`case e.Sequence <= session.Sequence && broken != "deduplication off" &&
			(broken != "sequence gaps allowed" || e.Sequence == session.Sequence):`,
	},
	{
		"../internal/state/apply.go",
		"case e.Sequence > session.Sequence+1:",
		`case e.Sequence > session.Sequence+1 && broken != "sequence gaps allowed":`,
	},
	{
		"../internal/group/serving.go",
		"if need.Strong {",
		`if need.Strong && broken != "strong reads made weak" {`,
	},
}

// TestLinearizableNotices runs TestLinearizable with rules of the library broken,
// one at a time, and expects it to fail because of that. The source is changed on
// the way to the compiler only.
func TestLinearizableNotices(t *testing.T) {
	if testing.Short() {
		t.Skip("a campaign")
	}
	t.Parallel()
	if raceDetector() {
		t.Skip("races are not what it is about")
	}
	program := buildBroken(t)
	t.Run("nothing broken", func(t *testing.T) {
		t.Parallel()
		if out, err := runBroken(t, program, "", 1); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	for _, rule := range brokenRules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			const tries = 10 // each of which most often does
			for i := range tries {
				out, err := runBroken(t, program, rule.name, 1+2*i)
				if err != nil && regexp.MustCompile(rule.says).Match(out) {
					t.Logf("noticed at try %d", i+1)
					return
				}
				if err != nil {
					t.Logf("it failed without saying %q:\n%s", rule.says, out)
				}
			}
			t.Errorf("not noticed in %d tries", tries)
		})
	}
}

// runBroken runs two seeds of TestLinearizable with a rule broken.
func runBroken(t *testing.T, program, rule string, seed int) ([]byte, error) {
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^TestLinearizable$", "-test.timeout", "3m",
		"-seed", strconv.Itoa(seed), "-seeds", "2", "-steps", "300")
	cmd.Env = append(os.Environ(), brokenRule+"="+rule, "TMPDIR="+t.TempDir())
	return cmd.CombinedOutput()
}

// buildBroken builds this package's tests so that they can break the rules.
func buildBroken(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	put := func(path, source string) {
		t.Helper()
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay.Replace)))
		if err := os.WriteFile(changed, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = changed
	}
	sources := map[string]string{}
	for _, b := range breaks {
		source, read := sources[b.file]
		if !read {
			text, err := os.ReadFile(b.file)
			if err != nil {
				t.Fatal(err)
			}
			source = string(text)
		}
		if n := strings.Count(source, b.text); n != 1 {
			t.Fatalf("%s has %q %d times, want once: what the rule is about was changed, so change breaks, too", b.file, b.text, n)
		}
		sources[b.file] = strings.Replace(source, b.text, b.broken, 1)
	}
	for file, source := range sources {
		put(file, source)
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		put(filepath.Join(filepath.Dir(file), "broken.go"),
			fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar broken = os.Getenv(%q)\n", parsed.Name, brokenRule))
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "broken.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", file, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build with the rules broken: %v\n%s", err, out)
	}
	return program
}
