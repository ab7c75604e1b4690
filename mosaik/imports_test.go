package mosaik_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	// dragonboat may be imported by the packages of the engine only.
	dragonboat = "github.com/lni/dragonboat/"
	// engine is the door to dragonboat. Other packages import the door itself, and none
	// of the packages in its folder.
	engine = "mosaik/internal/engine"
)

// isBehindEngine reports whether a package lies in the engine's folder.
func isBehindEngine(pkg string) bool { return strings.HasPrefix(pkg, engine+"/") }

// layers is the order in which our packages may import each other: only from
// what stands in a later line. A name stands for itself and the folders in it,
// unless one of them is named itself. Packages of one line do not know each
// other.
var layers = [][]string{
	{"cmd"},
	{"examples"},
	{"mosaik/integration"},
	{"testutil"},
	{"mosaik/internal/apitest"},
	{"mosaik"},
	{"mosaik/ticket", "mosaik/audit"},
	{"mosaik/internal/group"},
	{"mosaik/internal/session", "mosaik/internal/state", "mosaik/internal/bond", "mosaik/internal/engine"},
	{"mosaik/internal/engine/transport"},
	{"mosaik/internal/engine/snapstore"},
	{"mosaik/internal/engine/raftlog"},
	{"mosaik/internal/engine/wire", "mosaik/internal/engine/enginetest", "mosaik/internal/engine/logbridge"},
	{"mosaik/internal/seam"},
	{"mosaik/internal/alloc", "mosaik/internal/discovery", "mosaik/internal/format", "mosaik/internal/gather", "mosaik/internal/isolate", "mosaik/internal/watch"},
	{"mosaik/internal/link"},
	{"logstore", "mosaik/consensus"},
	{"sm"},
	{"codec/codecimpl"},
	{"codec"},
	{"codec/internal/wire"},
}

// exceptions are the imports between packages of one line that are meant.
var exceptions = map[string]string{
	// The proposer hands out what the state makes of its entries.
	"mosaik/internal/session": "mosaik/internal/state",
}

// TestImportOrder holds the layout of docs/DESIGN.md: imports point down, gen
// imports nothing of ours, and dragonboat stays behind one door.
func TestImportOrder(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	walkImports(t, func(file, from, imported string) {
		seen[from] = true
		ofEngine := from == engine || isBehindEngine(from)
		if strings.HasPrefix(imported+"/", dragonboat) && !ofEngine {
			t.Errorf("%s imports %s; only %s and the packages in it may", file, imported, engine)
		}
		to, ours := strings.CutPrefix(imported, module+"/")
		if !ours || to == from {
			return
		}
		if isBehindEngine(to) && !ofEngine {
			t.Errorf("%s imports %s, which lies behind %s", file, to, engine)
		}
		if from == "gen" || strings.HasPrefix(from, "gen/") {
			t.Errorf("%s imports %s; gen imports nothing of ours", file, to)
			return
		}
		if from == "cmd/mosaik-gen" && (to == "gen" || strings.HasPrefix(to, "gen/")) {
			return
		}
		upper, lower := layerOf(from), layerOf(to)
		switch {
		case upper < 0:
			t.Errorf("%s: package %s has no place in the order of imports", file, from)
		case lower < 0:
			t.Errorf("%s imports %s, which has no place in the order of imports", file, to)
		case lower > upper, lower == upper && below(from) == below(to), exceptions[from] == to:
		default:
			t.Errorf("%s: %s must not import %s, which does not stand below it", file, from, to)
		}
	})
	for _, layer := range layers[3:] {
		for _, name := range layer {
			if !seen[name] {
				t.Errorf("there is no package %s any more", name)
			}
		}
	}
}

// layerOf returns the place of a package in layers, -1 for none.
func layerOf(pkg string) int {
	name := below(pkg)
	for i, layer := range layers {
		for _, n := range layer {
			if n == name {
				return i
			}
		}
	}
	return -1
}

// below returns the longest name in layers that pkg is or lies below. A folder
// that is internal to mosaik must be named itself.
func below(pkg string) string {
	var best string
	for _, layer := range layers {
		for _, n := range layer {
			if (pkg == n || strings.HasPrefix(pkg, n+"/")) && len(n) > len(best) {
				best = n
			}
		}
	}
	if best == "mosaik" && pkg != "mosaik" {
		return ""
	}
	return best
}

// walkImports calls visit for every import of the module's Go files, outside of
// tests, with the importing package as a path within the module. Tests may
// import what they like, dragonboat excepted.
func walkImports(t *testing.T, visit func(file, from, imported string)) {
	t.Helper()
	const root = ".."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() && path == filepath.Join(root, "bench"):
			return filepath.SkipDir // a module of its own
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		from := filepath.ToSlash(filepath.Dir(rel))
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(imported, dragonboat) {
				continue
			}
			visit(rel, from, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
