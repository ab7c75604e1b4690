package logstore

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// Files are the files of one directory that are replaced whole or not at all, and
// survive a power cut: what the engine keeps beside a log. Only their owner may
// read them. The methods may be called concurrently, those that change one file
// one after the other.
type Files struct {
	fs  vfs.FS
	dir string
}

// FilesIn returns the files of a directory, which is made when the first of them
// is written.
func FilesIn(dir string) Files { return Files{vfs.OS, dir} }

// FilesOf returns the files in a log's directory for snapshots, on the file system
// that the log is on. It is false for a log that has none.
func FilesOf(log Log) (Files, bool) {
	f := FilesIn(log.SnapshotDir())
	if on, ok := log.(interface{ fileSystem() vfs.FS }); ok {
		f.fs = on.fileSystem()
	}
	return f, f.dir != ""
}

// Dir returns the directory.
func (f Files) Dir() string { return f.dir }

// Write replaces a file by what write writes. It is durable when Write returns nil.
// Otherwise the file is as it was, or replaced, whole. What an interrupted call leaves
// is named like the file, with .tmp at the end; see [Files.RemoveUnfinished].
func (f Files) Write(name string, write func(io.Writer) error) error {
	d, err := f.Draft(name)
	if err != nil {
		return err
	}
	if err = write(d); err == nil {
		err = d.Finish()
	}
	if err == nil {
		return d.Place()
	}
	return errors.Join(err, d.Discard())
}

// writeAtOnce is how much of a file is written at once, in bytes.
const writeAtOnce = 1 << 20

// atEnd writes behind what it has written.
type atEnd struct {
	file   vfs.File
	offset int64
}

func (w *atEnd) Write(b []byte) (int, error) {
	n, err := w.file.WriteAt(b, w.offset)
	w.offset += int64(n)
	return n, err
}

// OpenFile is a file that is read. It must be closed.
type OpenFile struct {
	*io.SectionReader // all of it
	io.Closer
}

// Open opens a file to read it. The error is [fs.ErrNotExist] if there is none.
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

// List returns the names of the files, none if the directory does not exist.
func (f Files) List() ([]string, error) {
	names, err := f.fs.List(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// Remove removes a file, if it is there. A power cut may bring it back.
func (f Files) Remove(name string) error {
	if err := f.fs.Remove(filepath.Join(f.dir, name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveUnfinished removes what calls of Write left that were interrupted, by the
// end of their process or by a power cut. Nobody may be writing.
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
