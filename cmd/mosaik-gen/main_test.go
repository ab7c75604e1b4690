package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts of testdata")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mosaik-gen": func() {
			if isVetTool(os.Args[1:]) {
				vetTool()
			}
			os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs the scripts in testdata, each in a module of its own. What
// the go command keeps between runs is that of the machine.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			tool, err := exec.LookPath("mosaik-gen") // which testscript.Main has added to the path
			if err != nil {
				return err
			}
			env.Vars = append(env.Vars, "ROOT="+root, "MOSAIK_GEN="+tool)
			for _, name := range []string{"HOME", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS"} {
				if value, ok := os.LookupEnv(name); ok {
					env.Setenv(name, value)
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sed": func(ts *testscript.TestScript, _ bool, args []string) {
				path := ts.MkAbs(args[2])
				text := ts.ReadFile(path)
				if !strings.Contains(text, args[0]) {
					ts.Fatalf("%q is not in %s", args[0], args[2])
				}
				ts.Check(os.WriteFile(path, []byte(strings.ReplaceAll(text, args[0], args[1])), 0o644))
			},
			"crlf": func(ts *testscript.TestScript, _ bool, args []string) {
				text := strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\r\n")
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
			},
			"module": func(ts *testscript.TestScript, _ bool, args []string) { newModule(ts, root, args[0]) },
		},
	})
}

// newModule makes a go.mod in a folder of the script, by which ours is found.
func newModule(ts *testscript.TestScript, root, dir string) {
	dir = ts.MkAbs(dir)
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "go.mod"), []byte(`module example.com/`+filepath.Base(dir)+`

go 1.26.0

require (
	github.com/mosaik-go/mosaik v0.0.0
	github.com/vmihailenco/msgpack/v5 v5.4.1
	github.com/vmihailenco/tagparser/v2 v2.0.0
	lukechampine.com/blake3 v1.4.1
	github.com/klauspost/cpuid/v2 v2.0.9
)

replace github.com/mosaik-go/mosaik => `+root+"\n"), 0o644))
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644))
}
