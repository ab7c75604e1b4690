// Package vfs is the part of a file system that the log on disk needs. Tests replace it
// to fill disks, and to make them fail and lose power.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLocked reports a lock that is held by another process, or by another caller in this
// process.
var ErrLocked = errors.New("it is locked")

// FS is a file system. Its methods may be called concurrently.
type FS interface {
	// Mkdir creates a directory. The error is [fs.ErrExist] if the name is in use, and
	// [fs.ErrNotExist] if the parent does not exist. See [MkdirAll].
	Mkdir(dir string) error
	// Create creates an empty file, which must not exist.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Remove removes a file.
	Remove(name string) error
	// Rename renames a file, and replaces the file that has the new name.
	Rename(from, to string) error
	// List returns the names in a directory, sorted. The error is [fs.ErrNotExist] if
	// the directory does not exist.
	List(dir string) ([]string, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock locks a file, which it creates if it does not exist, until the closer is
	// closed or the process ends. The error is [ErrLocked] if it is locked.
	Lock(name string) (io.Closer, error)
}

// File is an open file. Its methods may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the length in bytes.
	Size() (int64, error)
	// Truncate cuts the file, or extends it with zeros.
	Truncate(size int64) error
	// Sync makes the content and the length durable.
	Sync() error
}

// MkdirAll creates a directory with its parents, and makes their names durable.
func MkdirAll(on FS, dir string) error {
	parent := filepath.Dir(dir)
	_, err := on.List(dir)
	switch {
	case parent == dir:
		return err
	case err == nil, errors.Is(err, fs.ErrPermission):
		// The process that created it may have crashed before its name was durable.
		// The names of its parents were: each is durable before the next is created.
		if err := on.SyncDir(parent); err != nil && !unsyncable(err) {
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

// unsyncable reports whether a directory cannot be synced because this process may not
// read it, or because its file system syncs no directories. This process did not create
// the names in such a directory.
func unsyncable(err error) bool {
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
	return lockFile{f}, nil
}

// lockFile is a locked file. A process that is being started inherits a copy of every open file
// until it executes its program. The lock would belong to that copy as well, so Close ends the lock
// and does not only close this copy.
type lockFile struct{ *os.File }

func (f lockFile) Close() error { return errors.Join(unlock(f.File), f.File.Close()) }

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error { return syncData(f.File) }
