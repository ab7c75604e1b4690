package bad

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
)

// Limits reads its limit from the environment.
type Limits struct{ n int }

type Raise struct{}

func (Raise) ApplyTo(m *Limits, _ sm.ApplyContext) (bool, error) {
	if os.Getenv("UNLIMITED") != "" { // want `os.Getenv reads the environment of this process`
		m.n++
	}
	return true, nil
}

// Owners notes which host applied a command.
type Owners struct{ host string }

type Claim struct{}

func (Claim) ApplyTo(m *Owners, _ sm.ApplyContext) (string, error) {
	host, err := os.Hostname() // want `os.Hostname reads the environment`
	m.host = host
	return host, err
}

// Shards has one shard for each processor.
type Shards struct{ shards map[int]int }

type Spread struct{ Key int }

func (c Spread) ApplyTo(m *Shards, _ sm.ApplyContext) (int, error) {
	i := c.Key % runtime.NumCPU() // want `runtime.NumCPU reads the environment`
	m.shards[i]++
	return i, nil
}

// Versions behaves differently in each build.
type Versions struct{ build string }

type Build struct{}

func (Build) ApplyTo(m *Versions, _ sm.ApplyContext) (string, error) {
	if info, ok := debug.ReadBuildInfo(); ok { // want `debug.ReadBuildInfo reads the environment`
		m.build = info.Main.Version
	}
	return m.build, nil
}

// Platforms behaves differently on Windows.
type Platforms struct{ sep string }

type Split struct{}

func (Split) ApplyTo(m *Platforms, _ sm.ApplyContext) (string, error) {
	m.sep = "/"
	if runtime.GOOS == "windows" { // want `runtime.GOOS differs between platforms`
		m.sep = `\`
	}
	return m.sep, nil
}

// Templates reads files.
type Templates struct{ text string }

type Load struct{ Path string }

func (c Load) ApplyTo(m *Templates, _ sm.ApplyContext) (int, error) {
	b, err := os.ReadFile(c.Path) // want `os.ReadFile accesses files of this member`
	m.text = string(b)
	return len(b), err
}

// Names resolves host names.
type Names struct{ addrs []string }

type Resolve struct{ Host string }

func (c Resolve) ApplyTo(m *Names, _ sm.ApplyContext) (int, error) {
	addrs, err := net.LookupHost(c.Host) // want `net.LookupHost uses the network`
	m.addrs = addrs
	return len(addrs), err
}

// Hooks runs a program for each command.
type Hooks struct{ out []byte }

type Run struct{ Name string }

func (c Run) ApplyTo(m *Hooks, _ sm.ApplyContext) (bool, error) {
	out, err := exec.Command(c.Name).Output() // want `uses another process`
	m.out = out
	return err == nil, err
}

// Restored reads a file when it is restored.
type Restored struct{ text string }

func (m *Restored) Snapshot(w io.Writer) error { _, err := fmt.Fprint(w, m.text); return err }

func (m *Restored) Restore(r io.Reader) error {
	b, err := os.ReadFile("/etc/hostname") // want `os.ReadFile accesses files of this member; read the file before Execute and pass its content in the command \(in Restored.Restore\)`
	m.text = string(b)
	return err
}

// Derived computes a field of the environment after a restore.
type Derived struct{ debug bool }

func (m *Derived) AfterRestore() error {
	_, m.debug = os.LookupEnv("DEBUG") // want `os.LookupEnv reads the environment`
	return nil
}

// Nested executes a command of a group from within ApplyTo.
type Nested struct {
	group *mosaik.Group[struct{}, sm.NoOp]
	index sm.Index
}

type Ask struct{}

func (Ask) ApplyTo(m *Nested, _ sm.ApplyContext) (bool, error) {
	m.index = m.group.AppliedIndex() // want `mosaik.Group.AppliedIndex calls a group from inside of it`
	return true, nil
}

// Conditional changes only if nobody reads.
type Conditional struct {
	mu sync.Mutex
	n  int
}

type Try struct{}

func (Try) ApplyTo(m *Conditional, _ sm.ApplyContext) (bool, error) {
	if !m.mu.TryLock() { // want `sync.Mutex.TryLock depends on whether another goroutine holds the lock`
		return false, nil
	}
	defer m.mu.Unlock()
	m.n++
	return true, nil
}
