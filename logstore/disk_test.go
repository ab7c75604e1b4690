package logstore_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil/storagetest"
)

func TestDisk(t *testing.T) {
	t.Parallel()
	storagetest.TestStorage(t, func(testing.TB) logstore.Storage[int] { return logstore.Disk[int]() }, storagetest.Durable())
}

// openOne opens the log of a group in a directory.
func openOne(dir, network, group string) (logstore.Log, error) {
	return logstore.Disk[int]().Open(logstore.OpenOptions[int]{Network: sm.ID(network), Group: sm.ID(group), Dir: dir})
}

func mustOpen(t testing.TB, dir, group string) logstore.Log {
	t.Helper()
	log, err := openOne(dir, "network", group)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func mustClose(t testing.TB, log logstore.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func TestDiskRefusesToOpen(t *testing.T) {
	t.Parallel()
	if _, err := openOne("", "network", "group"); !errors.Is(err, logstore.ErrNoDir) {
		t.Errorf("without a directory: %v, want ErrNoDir", err)
	}
	dir := t.TempDir()
	log := mustOpen(t, dir, "group")
	if _, err := openOne(dir, "network", "group"); !errors.Is(err, logstore.ErrOpen) {
		t.Errorf("a group twice: %v, want ErrOpen", err)
	}
	if _, err := openOne(dir, "other", "group"); !errors.Is(err, logstore.ErrForeign) {
		t.Errorf("another network beside this one: %v, want ErrForeign", err)
	}
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(dir, alias); err != nil {
		t.Logf("no symbolic links here: %v", err)
	} else if _, err := openOne(alias, "network", "another"); !errors.Is(err, logstore.ErrLocked) {
		t.Errorf("under another name: %v, want ErrLocked", err)
	}
	mustClose(t, log)
	if _, err := openOne(dir, "other", "group"); !errors.Is(err, logstore.ErrForeign) {
		t.Errorf("another network: %v, want ErrForeign", err)
	}
	name := filepath.Join(dir, "log", "0000000000000001.log")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		at   int
		b    byte
		want error
	}{
		"a later format": {8, 3, logstore.ErrFormat},
		"format 0":       {8, 0, logstore.ErrFormat},
		"another format": {8, 1, logstore.ErrCorrupt}, // its checksum does not match
		"another file":   {0, 'X', logstore.ErrForeign},
		"damage":         {20, content[20] ^ 1, logstore.ErrCorrupt},
	} {
		changed := append([]byte(nil), content...)
		changed[tt.at] = tt.b
		if err := os.WriteFile(name, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openOne(dir, "network", "group"); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", what, err, tt.want)
		}
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, "group")
}

// Groups that save concurrently share the writes, and their contents remain
// separate.
func TestDiskConcurrentGroups(t *testing.T) {
	t.Parallel()
	const groups, saves = 16, 40
	dir := t.TempDir()
	var wg sync.WaitGroup
	for g := range groups {
		log := mustOpen(t, dir, fmt.Sprint(g))
		wg.Go(func() {
			for i := sm.Index(1); i <= saves; i++ {
				e := logstore.Entry{Index: i, Term: 1, Key: uint64(g), Data: fmt.Appendf(nil, "%d of %d", i, g)}
				if err := log.Save(logstore.Batch{Entries: []logstore.Entry{e}}); err != nil {
					t.Errorf("group %d: Save: %v", g, err)
				}
				if i%10 == 0 {
					if err := log.Prune(i - 5); err != nil {
						t.Errorf("group %d: Prune: %v", g, err)
					}
				}
			}
			if err := log.Close(); err != nil {
				t.Errorf("group %d: Close: %v", g, err)
			}
		})
	}
	wg.Wait()
	for g := range groups {
		next := sm.Index(saves - 4)
		for e, err := range mustOpen(t, dir, fmt.Sprint(g)).Entries(next, math.MaxUint64) {
			if err != nil || e.Index != next || string(e.Data) != fmt.Sprintf("%d of %d", next, g) {
				t.Fatalf("group %d holds %v, error %v; want entry %d next", g, e, err, next)
			}
			next++
		}
		if next != saves+1 {
			t.Errorf("group %d ends before %d, want %d", g, next, saves+1)
		}
	}
}
