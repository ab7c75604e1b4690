package gen

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// TestGoldens generates code for the packages of each archive in testdata, compares
// it with the generated files in the archive, and runs the archive's tests. One
// module holds all archives, each in a folder with its name. It also holds the
// packages of testdata/support, and a package whose output would be too long for a
// golden.
func TestGoldens(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives in testdata: %v", err)
	}
	files := make(map[string]string)
	archives := make(map[string]*txtar.Archive)
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		folder := strings.TrimSuffix(filepath.Base(name), ".txtar")
		archives[folder] = archive
		for _, f := range archive.Files {
			// Only the schema file contains the earlier levels.
			if !generated(f.Name) || bytes.Contains(f.Data, []byte("\nlevel 2\n")) {
				files[filepath.Join(folder, f.Name)] = string(f.Data)
			}
		}
	}
	addSupport(t, files)
	files["many/many.go"], files["many/many_test.go"] = many()
	manual, err := os.ReadFile("../docs/generator.md")
	if err != nil {
		t.Fatal(err)
	}
	files["encodings/encodings.md"] = string(manual)
	dir := newModule(t, files)
	result, err := Generate(t.Context(), Config{Dir: dir, Patterns: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	for folder, archive := range archives {
		golden(t, filepath.Join(dir, folder), filepath.Join("testdata", folder+".txtar"), archive, result)
	}
	if _, err := result.Write(); err != nil {
		t.Fatal(err)
	}
	if differences, err := result.Check(); err != nil || len(differences) > 0 {
		t.Errorf("Check after Write: %v, %v", differences, err)
	}
	again, err := Generate(t.Context(), Config{Dir: dir, Patterns: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(result, again); d != "" {
		t.Errorf("generating again gives a different result (-first +second):\n%s", d)
	}
	if testing.Short() {
		return // the rest compiles dozens of packages
	}
	goCommand(t, dir, "vet", "./...")
	goCommand(t, dir, "test", "-timeout=100s", "./...")
}

func generated(name string) bool {
	return strings.HasSuffix(name, codeSuffix) || strings.HasSuffix(name, schemaSuffix)
}

// golden compares the files of result below dir with those in the archive.
func golden(t *testing.T, dir, path string, archive *txtar.Archive, result *Result) {
	t.Helper()
	want := make(map[string]string)
	kept := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		if generated(f.Name) {
			want[f.Name] = string(f.Data)
		} else {
			kept.Files = append(kept.Files, f)
		}
	}
	got := make(map[string]string)
	for _, f := range result.Files {
		if rel, err := filepath.Rel(dir, f.Path); err == nil && filepath.IsLocal(rel) {
			got[rel] = string(f.Content)
			kept.Files = append(kept.Files, txtar.File{Name: rel, Data: f.Content})
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(kept), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: the generated files differ (-want +got); -update rewrites them:\n%s", path, d)
	}
}
