package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"testing"
)

// process is a node that runs in its own process.
type process struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // the lines of its output; closed when it ends
}

// start starts a node. The end of the test kills it if it still runs.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	args = append(args, "-name", name, "-network", t.Name(), "-key", "the key that all nodes of a test share", "-v")
	p := &process{t: t, name: name, cmd: exec.CommandContext(soon(t), program, args...), lines: make(chan string)}
	p.cmd.Stderr = t.Output()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for out := bufio.NewScanner(stdout); out.Scan(); {
			p.lines <- out.Text()
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// kill kills the process, if it still runs, and waits until it has ended.
func (p *process) kill() {
	p.cmd.Process.Kill()
	for range p.lines {
	}
	p.cmd.Wait()
}

// quit makes the node leave, and waits until its process has ended.
func (p *process) quit() {
	p.t.Helper()
	p.send("quit")
	p.end()
}

// end waits until the process ends without an error.
func (p *process) end() {
	p.t.Helper()
	for line := range p.lines {
		p.t.Logf("%s: %s", p.name, line)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
}

// send types a line.
func (p *process) send(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, line); err != nil {
		p.t.Errorf("%s: send %q: %v", p.name, line, err)
	}
}

// next returns the submatches of the next line that matches.
func (p *process) next(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for line := range p.lines {
		if found := re.FindStringSubmatch(line); found != nil {
			return found
		}
		p.t.Logf("%s: %s", p.name, line)
	}
	p.t.Fatalf("%s ended, or took too long, before it printed %q", p.name, pattern)
	return nil
}
