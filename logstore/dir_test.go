package logstore_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

var dirNetwork = sm.ID("network")

func openDir(t *testing.T, path string, identity ed25519.PrivateKey) *logstore.Dir {
	t.Helper()
	d, err := logstore.OpenDir(path, dirNetwork, identity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// once opens a directory and closes it.
func once(t *testing.T, path string, identity ed25519.PrivateKey) ed25519.PrivateKey {
	t.Helper()
	d := openDir(t, path, identity)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return d.Identity()
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestDirKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	first := openDir(t, path, nil)
	if first.Starts() != 1 {
		t.Errorf("the first start is number %d", first.Starts())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	second := openDir(t, moved, first.Identity())
	if !second.Identity().Equal(first.Identity()) || second.Starts() != 2 || second.ID() != first.ID() {
		t.Errorf("start %d has another identity or id, or the number is not 2", second.Starts())
	}
	if other := openDir(t, t.TempDir(), first.Identity()); other.ID() == first.ID() || other.ID() == [16]byte{} {
		t.Errorf("another directory has the id %x; the first has %x", other.ID(), first.ID())
	}
	info, err := os.Stat(filepath.Join(moved, "identity.pem"))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v; want permissions 0600", info.Mode(), err)
	}
}

func TestDirTakesAnIdentity(t *testing.T) {
	t.Parallel()
	given := newKey(t)
	path := t.TempDir()
	if got := once(t, path, given); !got.Equal(given) {
		t.Error("a new directory did not use the given identity")
	}
	if got := once(t, path, nil); !got.Equal(given) {
		t.Error("the directory did not keep the given identity")
	}
	content, err := os.ReadFile(filepath.Join(path, "identity.pem"))
	if err != nil {
		t.Fatal(err)
	}
	prepared := t.TempDir()
	if err := os.WriteFile(filepath.Join(prepared, "identity.pem"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := once(t, prepared, nil); !got.Equal(given) {
		t.Error("a new directory did not use the key file that it contained")
	}
}

func TestDirRefuses(t *testing.T) {
	t.Parallel()
	edit := func(name string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			name := filepath.Join(path, name)
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, change(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	flip := func(i int) func([]byte) []byte {
		return func(b []byte) []byte { b[i] ^= 1; return b }
	}
	for name, c := range map[string]struct {
		prepare func(*testing.T, string) // changes a directory that was in use
		network sm.Digest                // zero for its own
		key     ed25519.PrivateKey
		want    error
	}{
		"locked":          {prepare: func(t *testing.T, path string) { openDir(t, path, nil) }, want: logstore.ErrLocked},
		"another network": {network: sm.ID("another"), want: logstore.ErrForeign},
		"another peer":    {key: newKey(t), want: logstore.ErrForeign},
		"another peer's key": {prepare: func(t *testing.T, path string) {
			if err := os.Remove(filepath.Join(path, "identity.pem")); err != nil {
				t.Fatal(err)
			}
		}, key: newKey(t), want: logstore.ErrForeign},
		"no key": {prepare: func(t *testing.T, path string) {
			if err := os.Remove(filepath.Join(path, "identity.pem")); err != nil {
				t.Fatal(err)
			}
		}, want: logstore.ErrCorrupt},
		"key is no key":   {prepare: edit("identity.pem", cut(30)), want: logstore.ErrCorrupt},
		"newer format":    {prepare: edit("network", func(b []byte) []byte { b[8]++; return b }), want: logstore.ErrFormat},
		"empty record":    {prepare: edit("network", cut(0)), want: logstore.ErrCorrupt},
		"short record":    {prepare: edit("network", cut(131)), want: logstore.ErrCorrupt},
		"older format":    {prepare: edit("network", func(b []byte) []byte { b[8]--; return b }), want: logstore.ErrCorrupt},
		"other magic":     {prepare: edit("network", flip(0)), want: logstore.ErrCorrupt},
		"flipped network": {prepare: edit("network", flip(12)), want: logstore.ErrCorrupt},
		"flipped start":   {prepare: edit("network", flip(76)), want: logstore.ErrCorrupt},
		"flipped id":      {prepare: edit("network", flip(84)), want: logstore.ErrCorrupt},
		"flipped hash":    {prepare: edit("network", flip(131)), want: logstore.ErrCorrupt},
		"something else": {prepare: func(t *testing.T, path string) {
			if err := os.Rename(filepath.Join(path, "network"), filepath.Join(path, "thesis.txt")); err != nil {
				t.Fatal(err)
			}
		}, want: logstore.ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			once(t, path, nil)
			if c.prepare != nil {
				c.prepare(t, path)
			}
			network := dirNetwork
			if !c.network.IsZero() {
				network = c.network
			}
			before, _ := os.ReadFile(filepath.Join(path, "network"))
			d, err := logstore.OpenDir(path, network, c.key)
			if !errors.Is(err, c.want) {
				t.Errorf("OpenDir: %v; want %v", err, c.want)
			}
			if err == nil {
				_ = d.Close()
			}
			if after, _ := os.ReadFile(filepath.Join(path, "network")); !bytes.Equal(before, after) {
				t.Error("OpenDir changed a directory that it refused")
			}
		})
	}
}

func TestDirRefusesAnExposedKey(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		path := t.TempDir()
		once(t, path, nil)
		if err := os.Chmod(filepath.Join(path, "identity.pem"), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := logstore.OpenDir(path, dirNetwork, nil); !errors.Is(err, logstore.ErrExposed) {
			t.Errorf("OpenDir with a key of mode %04o: %v; want ErrExposed", mode, err)
		}
	}
}

// TestDirWithSparseFiles opens directories in which a file has a large size and hardly
// any data. The memory that opening takes must not depend on the size. The test runs
// alone, so that no other test allocates while it measures.
func TestDirWithSparseFiles(t *testing.T) {
	for _, name := range []string{"network", "identity.pem"} {
		for _, length := range []int64{64 << 20, 1 << 40} {
			path := t.TempDir()
			once(t, path, nil)
			if err := os.Truncate(filepath.Join(path, name), length); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d, err := logstore.OpenDir(path, dirNetwork, nil)
			runtime.ReadMemStats(&after)
			if name == "network" && !errors.Is(err, logstore.ErrCorrupt) {
				t.Errorf("a file %s of %d bytes: error %v, want %v", name, length, err, logstore.ErrCorrupt)
			}
			if err == nil {
				_ = d.Close()
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
				t.Errorf("a file %s of %d bytes: %d bytes of memory, want at most 4 MiB", name, length, took)
			}
		}
	}
}

// TestDirAfterAnInterruptedStart opens the directory that a crash during the first
// start leaves.
func TestDirAfterAnInterruptedStart(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	key := once(t, path, nil)
	if err := os.Rename(filepath.Join(path, "network"), filepath.Join(path, "network.1.tmp")); err != nil {
		t.Fatal(err)
	}
	if got := once(t, path, nil); !got.Equal(key) {
		t.Error("the identity was lost")
	}
}

// TestDirRemovesUnfinishedFiles opens a directory with temporary files of earlier
// processes that ended while they wrote.
func TestDirRemovesUnfinishedFiles(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	once(t, path, nil)
	for _, name := range []string{"network." + rand.Text() + ".tmp", "identity.pem." + rand.Text() + ".tmp", "my.tmp", "my.notes.tmp"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	once(t, path, nil)
	names, err := logstore.NewFiles(path).List()
	if diff := cmp.Diff([]string{"LOCK", "identity.pem", "my.notes.tmp", "my.tmp", "network"}, names); diff != "" || err != nil {
		t.Errorf("it holds (-want +got), error %v:\n%s", err, diff)
	}
}
