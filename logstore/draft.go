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

// Draft is the next content of one of the [Files], which nobody sees before it is
// placed. Its methods must not be called concurrently; one that failed leaves only
// Discard to call.
type Draft struct {
	files           Files
	temporary, name string
	file            vfs.File // nil once it is complete
	out             *bufio.Writer
}

// Draft begins the next content of a file. It must be placed or discarded. Until
// then, and after an interruption, it is named like the file, with .tmp at the end.
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

// Sync makes durable what was written.
func (d *Draft) Sync() error {
	if err := d.out.Flush(); err != nil {
		return err
	}
	return d.file.Sync()
}

// Finish makes durable what was written. Nothing can be written any more.
func (d *Draft) Finish() error { return errors.Join(d.Sync(), d.close()) }

// Place makes a draft that is finished the file, which is durable when Place
// returns nil. Otherwise the file is as it was, or the draft, whole.
func (d *Draft) Place() error {
	if err := d.files.fs.Rename(d.temporary, d.name); err != nil {
		return errors.Join(err, d.Discard())
	}
	return d.files.fs.SyncDir(d.files.dir)
}

// Discard removes what was written, if it is still there.
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

// minText is how long the texts of rand.Text are at least, and alphabet what they
// are made of.
const (
	minText  = 26
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// unfinished reports whether a name is one of a draft: the file's, a text of
// rand.Text, and tmp.
func unfinished(name string) bool {
	rest, temporary := strings.CutSuffix(name, ".tmp")
	dot := strings.LastIndexByte(rest, '.')
	text := rest[dot+1:]
	return temporary && dot > 0 && len(text) >= minText && strings.Trim(text, alphabet) == ""
}
