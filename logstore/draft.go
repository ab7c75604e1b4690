package logstore

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// Draft is the next content of one of the [Files]. It is not visible before Place. Its
// methods must not be called concurrently. After an error only Discard may be called.
type Draft struct {
	files           Files
	temporary, name string
	file            vfs.File // nil once it is complete
	out             *bufio.Writer
}

// Draft begins the next content of a file. The caller must place or discard it. Until
// then, and after a crash, it is a file whose name ends with .tmp.
func (f Files) Draft(name string) (*Draft, error) {
	if err := vfs.MkdirAll(f.fs, f.dir); err != nil {
		return nil, err
	}
	d := &Draft{files: f, temporary: filepath.Join(f.dir, name+"."+rand.Text()+".tmp"), name: filepath.Join(f.dir, name)}
	var err error
	if d.file, err = f.fs.Create(d.temporary); err != nil {
		return nil, err
	}
	d.out = bufio.NewWriterSize(&atEnd{file: d.file}, writeAtOnce)
	return d, nil
}

// Write implements [io.Writer].
func (d *Draft) Write(b []byte) (int, error) { return d.out.Write(b) }

// Sync makes the content so far durable.
func (d *Draft) Sync() error {
	if err := d.out.Flush(); err != nil {
		return err
	}
	return d.file.Sync()
}

// Finish makes the content durable and complete. Nothing may be written afterwards.
func (d *Draft) Finish() error { return errors.Join(d.Sync(), d.close()) }

// Place replaces the file with the draft, which must be finished. When it returns nil,
// the replacement is durable. After an error the file is either the old one or the
// draft.
func (d *Draft) Place() error {
	if err := d.files.fs.Rename(d.temporary, d.name); err != nil {
		return errors.Join(err, d.Discard())
	}
	return d.files.fs.SyncDir(d.files.dir)
}

// Discard removes the draft, unless it was placed.
func (d *Draft) Discard() error {
	err := d.close()
	if gone := d.files.fs.Remove(d.temporary); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

func (d *Draft) close() error {
	if d.file == nil {
		return nil
	}
	file := d.file
	d.file, d.out = nil, nil
	return file.Close()
}

// minText is the least length of the texts of rand.Text, and alphabet holds their
// characters.
const (
	minText  = 26
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// unfinished reports whether a name is that of a draft: the name of the file, a text of
// rand.Text, and tmp.
func unfinished(name string) bool {
	rest, temporary := strings.CutSuffix(name, ".tmp")
	dot := strings.LastIndexByte(rest, '.')
	text := rest[dot+1:]
	return temporary && dot > 0 && len(text) >= minText && strings.Trim(text, alphabet) == ""
}
