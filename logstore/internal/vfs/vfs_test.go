package vfs_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// TestMkdirAll ends a process at every operation of MkdirAll. The next process
// continues from what is left, and the file that it makes there must survive a
// power cut.
func TestMkdirAll(t *testing.T) {
	t.Parallel()
	dir, whole := filepath.FromSlash("/a/b/c"), false
	for n := 0; !whole; n++ {
		disk := faultfs.New()
		disk.Inject(func(op faultfs.Op) error {
			if op.N >= n {
				return faultfs.ErrInjected
			}
			return nil
		})
		err := vfs.MkdirAll(disk, dir)
		if whole = err == nil; !whole && !errors.Is(err, faultfs.ErrInjected) {
			t.Fatalf("ended at operation %d: %v", n, err)
		}
		disk.Inject(nil)
		if err := keep(disk, filepath.Join(dir, "file")); err != nil {
			t.Fatalf("ended at operation %d: the next process: %v", n, err)
		}
		left := disk.Crash(nil)
		if _, ok := left.Read(filepath.Join(dir, "file")); !ok {
			t.Errorf("ended at operation %d: the next process's file is lost", n)
		}
	}
}

// keep makes a durable file in a directory, which it creates if necessary.
func keep(on vfs.FS, name string) error {
	if err := vfs.MkdirAll(on, filepath.Dir(name)); err != nil {
		return err
	}
	file, err := on.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close(), on.SyncDir(filepath.Dir(name)))
}

// TestMkdirAllBelowOthers makes a directory that exists already, below one that
// cannot be synced. A sync that is not permitted or not supported must not be an
// error; a failing disk must be one.
func TestMkdirAllBelowOthers(t *testing.T) {
	t.Parallel()
	for fault, want := range map[error]error{fs.ErrPermission: nil, errors.ErrUnsupported: nil, faultfs.ErrInjected: faultfs.ErrInjected} {
		disk := faultfs.New()
		if err := vfs.MkdirAll(disk, filepath.FromSlash("/a/b")); err != nil {
			t.Fatal(err)
		}
		disk.Inject(func(op faultfs.Op) error {
			if op.Kind == "syncdir" {
				return fault
			}
			return nil
		})
		if err := vfs.MkdirAll(disk, filepath.FromSlash("/a/b")); !errors.Is(err, want) {
			t.Errorf("the parent's sync returns %v: error %v, want %v", fault, err, want)
		}
	}
}
