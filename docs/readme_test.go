package docs_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestReadmeIsShort bounds the number of words before the reference section.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	const limit = 900
	text, _, ok := strings.Cut(read(t, "README.md"), "\n## Reference\n")
	if n := len(strings.Fields(text)); !ok || n > limit {
		t.Errorf("README.md has %d words before its section Reference, want at most %d", n, limit)
	}
}

// TestReadmeExample builds the program of the README in a separate module and runs
// it as the README does: three processes form a group, and each executes a command.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes more than a second")
	}
	program := buildExample(t)
	first := startExample(t, program, "127.0.0.1:0")
	address := first.after("listening on ")
	others := []*example{startExample(t, program, "127.0.0.1:0", address), startExample(t, program, "127.0.0.1:0", address)}
	processes := append([]*example{first}, others...)
	var starts []string
	for _, p := range processes {
		starts = append(starts, p.after("starts: "))
	}
	slices.Sort(starts)
	if want := []string{"1", "2", "3"}; !slices.Equal(starts, want) {
		t.Errorf("the processes print %q, want %q in any order", starts, want)
	}
	for _, p := range processes {
		p.end()
	}
}

// buildExample writes the files of the README into a new module, generates the codec
// and returns the path of the program.
func buildExample(t *testing.T) string {
	t.Helper()
	module, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	goMod := read(t, "go.mod")
	_, rest, _ := strings.Cut(goMod, "\n")
	content := map[string]string{
		"go.mod": "module example.com/hello\n" + rest + "\nrequire github.com/mosaik-go/mosaik v0.0.0\n" +
			"\nreplace github.com/mosaik-go/mosaik => " + filepath.ToSlash(module) + "\n",
		"go.sum": read(t, "go.sum"),
	}
	if !strings.Contains(goMod, "\ntool ") {
		content["go.mod"] += "\ntool github.com/mosaik-go/mosaik/cmd/mosaik-gen\n"
	}
	for _, block := range regexp.MustCompile("(?ms)^```go\n// ([\\w/]+\\.go)\n(.*?)^```$").FindAllStringSubmatch(read(t, "README.md"), -1) {
		content[block[1]] = block[2]
	}
	if len(content) != 4 {
		t.Fatalf("README.md has %d files, want 2", len(content)-2)
	}
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "hello.exe")
	for _, args := range [][]string{{"generate", "./..."}, {"vet", "./..."}, {"build", "-o", program, "."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return program
}

// example is a process that runs the program of the README.
type example struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr io.ReadCloser
	lines  *bufio.Scanner
}

func startExample(t *testing.T, program string, args ...string) *example {
	t.Helper()
	p := &example{t: t, cmd: exec.CommandContext(t.Context(), program, args...)}
	var err error
	if p.stderr, err = p.cmd.StderrPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	p.lines = bufio.NewScanner(p.stderr)
	return p
}

// after waits for a line that contains a text and returns the rest of the line.
func (p *example) after(text string) string {
	p.t.Helper()
	for p.lines.Scan() {
		p.t.Logf("%d: %s", p.cmd.Process.Pid, p.lines.Text())
		if _, rest, ok := strings.Cut(p.lines.Text(), text); ok {
			return rest
		}
	}
	p.t.Fatalf("process %d ended before it printed %q: %v", p.cmd.Process.Pid, text, p.lines.Err())
	return ""
}

// end ends the process as Ctrl-C does, and waits for it.
func (p *example) end() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Logf("process %d cannot be interrupted on this system: %v", p.cmd.Process.Pid, err)
		return
	}
	io.Copy(io.Discard, p.stderr)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("process %d ended with %v", p.cmd.Process.Pid, err)
	}
}
