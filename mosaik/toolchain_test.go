package mosaik_test

import (
	"bytes"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module is the path of this module.
const module = "github.com/mosaik-go/mosaik"

// publicPackages are what a service may import.
var publicPackages = []string{
	"codec", "gen", "logstore", "mosaik", "mosaik/audit", "mosaik/consensus", "mosaik/ticket", "mosaik/ticket/jwt", "sm", "testutil", "testutil/storagetest",
}

// exports names the compiler's export data of our public packages and of all
// that they import. It is what the build cache holds already for this test.
var exports = sync.OnceValues(func() (map[string]string, error) {
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	if underRace() {
		args = append(args, "-race")
	}
	for _, p := range publicPackages {
		args = append(args, module+"/"+p)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[path] = file
	}
	return files, nil
})

// underRace reports whether this test runs under the race detector.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// newImporter imports packages from their export data.
func newImporter(t *testing.T, fset *token.FileSet) types.Importer {
	t.Helper()
	files, err := exports()
	if err != nil {
		t.Fatal(err)
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		file, ok := files[path]
		if !ok {
			return nil, fmt.Errorf("no export data of %q", path)
		}
		return os.Open(file)
	})
}
