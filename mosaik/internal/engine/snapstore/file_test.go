package snapstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

func TestSnapshotFile(t *testing.T) {
	t.Parallel()
	dir, content := t.TempDir(), []byte("what dragonboat wrote")
	files := logstore.NewFiles(dir)
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
	return parseFile(bytes.NewReader(b), int64(len(b)), index)
}

// all returns the content of pieces.
func all(t testing.TB, c *pieces) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSnapshotFileThatCannotBeRenamed expects that no file is left.
func TestSnapshotFileThatCannotBeRenamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, FileName(7)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeSnapshot(logstore.NewFiles(dir), 7, func(io.Writer) error { return nil }); err == nil {
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
	got := appendHead(nil, 0x807)
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
	b := append(appendHead(nil, 7), "content"...)
	sum := sm.Parts(b)
	f.Add(append(b, sum[:]...), uint64(7))
	f.Fuzz(func(t *testing.T, b []byte, index uint64) {
		content, err := parse(b, sm.Index(index))
		if err != nil {
			return
		}
		again := append(appendHead(nil, sm.Index(binary.LittleEndian.Uint64(b[12:]))), all(t, content)...)
		sum := sm.Parts(again)
		if again = append(again, sum[:]...); !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}
