package logstore

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// Files are the files of a directory, which are replaced atomically and survive a power
// cut. The engine keeps files beside a log in this way. Only their owner may read them.
// The methods may be called concurrently, except that changes of one file must not
// overlap.
type Files struct {
	fs  vfs.FS
	dir string
}

// NewFiles returns the files of a directory. The first write creates the directory.
func NewFiles(dir string) Files { return Files{vfs.OS, dir} }

// SnapshotFiles returns the files in the snapshot directory of a log, on the log's file
// system. It returns false if the log has no such directory ([Log.SnapshotDir]).
func SnapshotFiles(log Log) (Files, bool) {
	f := NewFiles(log.SnapshotDir())
	if on, ok := log.(interface{ fileSystem() vfs.FS }); ok {
		f.fs = on.fileSystem()
	}
	return f, f.dir != ""
}

// Dir returns the directory.
func (f Files) Dir() string { return f.dir }

// Write replaces a file with what write writes. When it returns nil, the replacement is
// durable. After an error the file is either the old one or the new one. A crash can
// leave a file whose name ends with .tmp; see [Files.RemoveUnfinished].
func (f Files) Write(name string, write func(io.Writer) error) error {
	p, err := f.Create(name)
	if err != nil {
		return err
	}
	if err = write(p); err == nil {
		err = p.Finish()
	}
	if err == nil {
		return p.Place()
	}
	return errors.Join(err, p.Discard())
}

// writeAtOnce is the size of the buffer for writing a file, in bytes.
const writeAtOnce = 1 << 20

// atEnd is a writer that appends to a file.
type atEnd struct {
	file   vfs.File
	offset int64
}

func (w *atEnd) Write(b []byte) (int, error) {
	n, err := w.file.WriteAt(b, w.offset)
	w.offset += int64(n)
	return n, err
}

// OpenFile is a file that is open for reading. The caller must close it.
type OpenFile struct {
	*io.SectionReader // of the whole file
	io.Closer
}

// Open opens a file for reading. The error is [fs.ErrNotExist] if it does not exist.
func (f Files) Open(name string) (OpenFile, error) {
	file, err := f.fs.Open(filepath.Join(f.dir, name))
	if err != nil {
		return OpenFile{}, err
	}
	size, err := file.Size()
	if err != nil {
		return OpenFile{}, errors.Join(err, file.Close())
	}
	return OpenFile{io.NewSectionReader(file, 0, size), file}, nil
}

// List returns the names of the files. There are none if the directory does not exist.
func (f Files) List() ([]string, error) {
	names, err := f.fs.List(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// Remove removes a file, if it exists. A power cut may undo the removal.
func (f Files) Remove(name string) error {
	if err := f.fs.Remove(filepath.Join(f.dir, name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveUnfinished removes what interrupted calls of Write left, after the end of their
// process or a power cut. There must be no concurrent call of Write.
func (f Files) RemoveUnfinished() error {
	names, err := f.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		if unfinished(name) {
			if err := f.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeBytes replaces a file.
func (f Files) writeBytes(name string, b []byte) error {
	return f.Write(name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
