// Package vfs is the little of a file system that the durable log needs. It is
// the seam through which tests let disks fill up, fail and lose power.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLocked reports that somebody else holds a lock: another process, or
// another caller of this one.
var ErrLocked = errors.New("it is locked")

// FS is a file system. Its methods may be called concurrently.
type FS interface {
	// Mkdir makes a directory. The error is [fs.ErrExist] if there is something of
	// that name, [fs.ErrNotExist] if there is no parent. See [MkdirAll].
	Mkdir(dir string) error
	// Create makes an empty file, which must not exist.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Remove removes a file.
	Remove(name string) error
	// Rename gives a file another name, and replaces the file that has it.
	Rename(from, to string) error
	// List returns the names of what is in a directory, sorted. The error is
	// [fs.ErrNotExist] if there is no such directory.
	List(dir string) ([]string, error)
	// SyncDir makes durable which files and directories a directory holds.
	SyncDir(dir string) error
	// Lock locks the file, made if need be, until the closer is closed or the
	// process ends, or returns [ErrLocked].
	Lock(name string) (io.Closer, error)
}

// File is an open file. Its methods may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the length in bytes.
	Size() (int64, error)
	// Truncate cuts the file, or extends it by zeros.
	Truncate(size int64) error
	// Sync makes durable what was written, and the length.
	Sync() error
}

// MkdirAll makes a directory with its parents, and makes their names durable.
func MkdirAll(on FS, dir string) error {
	parent := filepath.Dir(dir)
	_, err := on.List(dir)
	switch {
	case parent == dir:
		return err
	case err == nil, errors.Is(err, fs.ErrPermission):
		// Whoever made it may have ended before its name was durable. Those of its
		// parents were by then: each is made once the one above is.
		if err := on.SyncDir(parent); err != nil && !others(err) {
			return err
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := MkdirAll(on, parent); err != nil {
		return err
	}
	if err := on.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return on.SyncDir(parent)
}

// others reports whether a directory cannot be synced for the reason that it is
// not for us to read, or on a file system that syncs none. What was found in such
// a one is not of our making.
func others(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}

// OS is the operating system's file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Mkdir(dir string) error { return os.Mkdir(dir, 0o700) }

func (osFS) Create(name string) (File, error) {
	return open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (osFS) Open(name string) (File, error) { return open(name, os.O_RDWR) }

func open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (osFS) SyncDir(dir string) error { return syncDir(dir) }

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error { return syncData(f.File) }
