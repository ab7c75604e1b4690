package gen

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newModule makes a module example.com/t of the given files and returns its folder.
// The module has the same requirements as this one.
func newModule(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	// The go command records the files that a test reads. Reading these keeps it
	// from using a cached result after a change of a package on which generated
	// code depends.
	for _, pattern := range []string{"codec/*.go", "codec/*/*.go", "codec/internal/*/*.go", "sm/*.go"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, err := os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, requirements, _ := strings.Cut(string(ours), "\ngo 1.26.0\n")
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"go.mod": "module example.com/t\n\ngo 1.26.0\n\nrequire github.com/mosaik-go/mosaik v0.0.0\n\nreplace github.com/mosaik-go/mosaik => " + root + "\n" + requirements,
		"go.sum": string(sums),
	})
	write(t, dir, files)
	return dir
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// goCommand runs the go command in dir.
func goCommand(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
}

// machineSource returns a package whose machine has one command that holds the
// given fields, after the given declarations.
func machineSource(imports, fields, declarations string) string {
	return `package p

import (
	"github.com/mosaik-go/mosaik/sm"
` + imports + `
)

//mosaik:machine name=m version=1
type Machine struct{}

//mosaik:command
type Set struct {
` + fields + `
}

func (Set) ApplyTo(*Machine, sm.ApplyContext) (int64, error) { return 0, nil }

` + declarations
}

// stateSource returns a package whose machine has snapshots and the given
// fields, after the given declarations.
func stateSource(imports, fields, declarations string) string {
	return strings.Replace(machineSource(imports, "A int8", declarations),
		"version=1\ntype Machine struct{}", "version=1 snapshot\ntype Machine struct {\n"+fields+"\n}", 1)
}
