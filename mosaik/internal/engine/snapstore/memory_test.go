package snapstore

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lni/vfs"
)

// TestPiecesAreLikeASlice reads and writes pieces and a slice at random.
func TestPiecesAreLikeASlice(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(1, 0))
	for range 30 {
		c, want := &pieces{}, []byte{}
		for range 40 {
			p := make([]byte, draw.IntN(3*pieceSize))
			for i := range p {
				p[i] = byte(draw.Uint32())
			}
			off := draw.IntN(len(want) + 1)
			if draw.IntN(3) == 0 {
				off = len(want)
			}
			if n, err := c.WriteAt(p, int64(off)); n != len(p) || err != nil {
				t.Fatalf("write %d bytes: %d, %v", len(p), n, err)
			}
			want = append(want[:off], append(p, want[min(len(want), off+len(p)):]...)...)
			got := make([]byte, draw.IntN(3*pieceSize))
			off = draw.IntN(len(want) + 10)
			n, err := c.ReadAt(got, int64(off))
			in := want[min(off, len(want)):min(off+len(got), len(want))]
			if !bytes.Equal(got[:n], in) || errors.Is(err, io.EOF) != (n < len(got)) || err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("read %d bytes at %d of %d: %d, %v", len(got), off, len(want), n, err)
			}
		}
		if !bytes.Equal(all(t, c), want) {
			t.Fatal("the content differs")
		}
	}
	if _, err := (&pieces{}).WriteAt([]byte("x"), 1); err == nil {
		t.Error("a write behind the end was taken")
	}
	for _, off := range []int64{-1, -pieceSize} {
		if _, err := (&pieces{}).ReadAt(make([]byte, 1), off); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read at %d: %v", off, err)
		}
	}
}

// TestMemoryIsLikeADisk makes the same calls of memory and of vfs.MemFS.
func TestMemoryIsLikeADisk(t *testing.T) {
	t.Parallel()
	var seen [2][]any
	for i, m := range []vfs.FS{newMemory(), vfs.NewMem()} {
		see := func(what ...any) { seen[i] = append(seen[i], what...) }
		content := func(name string) {
			file, err := m.Open(name)
			if see(name, errors.Is(err, os.ErrNotExist)); err != nil {
				return
			}
			info, err := file.Stat()
			see(info.Size(), info.Name(), info.IsDir(), err)
			b, err := io.ReadAll(file)
			see(string(b), err)
			p := make([]byte, 3)
			n, err := file.ReadAt(p, 2)
			see(string(p[:n]), n == 3 || err == nil || errors.Is(err, io.EOF))
			pos, err := file.Seek(1, io.SeekStart)
			see(pos, err, file.Close())
			info, err = m.Stat(name)
			see(info.Size(), info.Name(), err)
		}
		write := func(open func(string) (vfs.File, error), name, text string) {
			file, err := open(name)
			if see(err == nil); err != nil {
				return
			}
			n, err := file.Write([]byte(text))
			see(n, err)
			see(file.Sync(), file.Close())
		}
		see(m.MkdirAll("/a/b/c", 0o700))
		write(m.Create, "/a/b/one", "first")
		write(m.Create, "/a/b/c/two", "second")
		write(m.Create, "/nowhere/three", "third")
		content("/a/b/one")
		write(m.OpenForAppend, "/a/b/one", " and more")
		content("/a/b/one")
		write(m.Create, "/a/b/one", "again")
		content("/a/b/one")
		see(m.Rename("/a/b", "/a/d"))
		content("/a/b/one")
		content("/a/d/one")
		content("/a/d/c/two")
		see(m.Rename("/a/d/one", "/a/d/c/two"))
		content("/a/d/one")
		content("/a/d/c/two")
		see(errors.Is(m.Remove("/a/d/one"), os.ErrNotExist), errors.Is(m.Rename("/x", "/y"), os.ErrNotExist))
		write(m.Create, "/a/d/last", "last")
		see(m.Remove("/a/d/last"))
		content("/a/d/last")
		names, err := m.List("/a/d")
		see(names, err)
		_, err = m.OpenDir("/a/d")
		see(err)
		_, err = m.Stat("/a/x")
		see(errors.Is(err, os.ErrNotExist), m.RemoveAll("/a/x"), m.RemoveAll("/a"))
		content("/a/d/c/two")
	}
	if diff := cmp.Diff(seen[1], seen[0]); diff != "" {
		t.Errorf("files in memory (-want +got):\n%s", diff)
	}
}

// TestMemoryForgets checks that removed files take no memory.
func TestMemoryForgets(t *testing.T) {
	t.Parallel()
	m := newMemory()
	if err := m.MkdirAll("/a/b", 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string) {
		t.Helper()
		file, err := m.Create(name)
		if err == nil {
			_, err = file.Write([]byte("text"))
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, gone := range map[string]func() error{
		"removed":      func() error { return m.Remove("/a/b/file") },
		"with its dir": func() error { return errors.Join(m.RemoveAll("/a"), m.MkdirAll("/a/b", 0o700)) },
		"made again":   func() error { write("/a/b/file"); return m.Remove("/a/b/file") },
		"replaced": func() error {
			write("/a/b/x")
			return errors.Join(m.Rename("/a/b/x", "/a/b/file"), m.Remove("/a/b/file"))
		},
		"under a name":  func() error { return errors.Join(m.Rename("/a/b/file", "/a/y"), m.Remove("/a/y")) },
		"held, removed": func() error { return errors.Join(m.hold("/a/b/file", &pieces{}), m.Remove("/a/b/file")) },
	} {
		write("/a/b/file")
		if len(m.content) != 1 {
			t.Fatalf("%s: %d files are kept, want 1", name, len(m.content))
		}
		if err := gone(); err != nil || len(m.content) != 0 {
			t.Errorf("%s: %v, and %d files are kept", name, err, len(m.content))
		}
	}
}

// TestOpenFileOutlivesItsName reads and writes an open file after its removal.
func TestOpenFileOutlivesItsName(t *testing.T) {
	t.Parallel()
	m := newMemory()
	if err := m.hold("/file", &pieces{}); err != nil {
		t.Fatal(err)
	}
	file, err := m.OpenForAppend("/file")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.RemoveAll("/file"); err != nil {
		t.Fatal(err)
	}
	_, err = file.Write([]byte("text"))
	p := make([]byte, 4)
	if n, readErr := file.ReadAt(p, 0); string(p[:n]) != "text" || errors.Join(err, readErr) != nil {
		t.Errorf("read %q, %v", p[:n], errors.Join(err, readErr))
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}
