package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

func TestSnapshotFile(t *testing.T) {
	t.Parallel()
	dir, content := t.TempDir(), []byte("what dragonboat wrote")
	files := logstore.FilesIn(dir)
	err := writeSnapshot(files, 0xabc, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	read, err := readSnapshot(files, 0xabc)
	if err != nil {
		t.Fatal(err)
	}
	if got := all(t, read); !bytes.Equal(got, content) {
		t.Errorf("read %q, want %q", got, content)
	}
	name := filepath.Join(dir, "0000000000000abc.snapshot")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 1
		want := logstore.ErrCorrupt
		if i >= 8 && i < 12 {
			want = logstore.ErrFormat
		}
		if _, err := parse(damaged, 0xabc); !errors.Is(err, want) {
			t.Errorf("byte %d changed: %v; want %v", i, err, want)
		}
		if _, err := parse(b[:i], 0xabc); !errors.Is(err, logstore.ErrCorrupt) {
			t.Errorf("cut at %d: %v; want ErrCorrupt", i, err)
		}
	}
	if _, err := parse(b, 0xabd); !errors.Is(err, logstore.ErrCorrupt) {
		t.Errorf("of another index: %v; want ErrCorrupt", err)
	}
	if _, err := readSnapshot(files, 0xabd); !errors.Is(err, logstore.ErrCorrupt) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v; want ErrCorrupt and ErrNotExist", err)
	}
}

func parse(b []byte, index sm.Index) (*pieces, error) {
	return parseSnapshotFile(bytes.NewReader(b), int64(len(b)), index)
}

// all returns what is in pieces.
func all(t testing.TB, c *pieces) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSnapshotFileThatCannotBeRenamed leaves nothing behind.
func TestSnapshotFileThatCannotBeRenamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, snapshotFile(7)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeSnapshot(logstore.FilesIn(dir), 7, func(io.Writer) error { return nil }); err == nil {
		t.Error("a snapshot took the place of a directory")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// The golden bytes of format 1.
func TestSnapshotFileFormat(t *testing.T) {
	t.Parallel()
	const want = "4d534b534e500d0a" + "01000000" + "0708000000000000"
	got := appendSnapshotHead(nil, 0x807)
	if fmt.Sprintf("%x", got) != want {
		t.Errorf("a snapshot file begins with %x, want %s", got, want)
	}
	b := append(got, "content"...)
	sum := sm.Parts(b)
	if content, err := parse(append(b, sum[:]...), 0x807); err != nil || string(all(t, content)) != "content" {
		t.Errorf("parsed %v, %v", content, err)
	}
}

func FuzzParseSnapshotFile(f *testing.F) {
	b := append(appendSnapshotHead(nil, 7), "content"...)
	sum := sm.Parts(b)
	f.Add(append(b, sum[:]...), uint64(7))
	f.Fuzz(func(t *testing.T, b []byte, index uint64) {
		content, err := parse(b, sm.Index(index))
		if err != nil {
			return
		}
		again := append(appendSnapshotHead(nil, sm.Index(binary.LittleEndian.Uint64(b[12:]))), all(t, content)...)
		sum := sm.Parts(again)
		if again = append(again, sum[:]...); !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}

// TestSnapshotsAreCompressed looks at what lies on disk, and starts from it.
func TestSnapshotsAreCompressed(t *testing.T) {
	t.Parallel()
	log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
	keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 }
	rec := newRecorder()
	r := alone(t, rec, keep)
	line := strings.Repeat("all the same ", 1000)
	for i := range 20 {
		must(t, r, fmt.Sprint(i, line))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.taken > 0 })
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(log.Dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("files: %v, %v; want one", names, err)
	}
	info, err := os.Stat(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if content := 5 * len(line); info.Size() > int64(content)/4 {
		t.Errorf("a snapshot of at least %d bytes takes %d on disk", content, info.Size())
	}
	again := newRecorder()
	r.restart(t, again, keep)
	if diff := cmp.Diff(data(rec.history()), data(again.history())); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
}

// TestDamagedSnapshotIsAnError starts replicas from snapshots that the disk
// changed: dragonboat would end the process.
func TestDamagedSnapshotIsAnError(t *testing.T) {
	t.Parallel()
	r, dir, keep := stoppedWithSnapshot(t)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("files: %v, %v; want one", names, err)
	}
	good, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 1 + len(good)/50 {
		damaged := bytes.Clone(good)
		damaged[i] ^= 0x40
		if err := os.WriteFile(names[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.again(newRecorder(), keep); !errors.Is(err, ErrStorage) || !errors.Is(err, logstore.ErrCorrupt) && !errors.Is(err, logstore.ErrFormat) {
			t.Errorf("start with byte %d of %d changed: %v; want ErrStorage and ErrCorrupt", i, len(good), err)
		}
	}
	if err := os.WriteFile(names[0], good, 0o600); err != nil {
		t.Fatal(err)
	}
	r.restart(t, newRecorder(), keep)
}
