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

// PendingFile is the next content of one of the [Files], which replaces the file with Place.
// Write and Finish it, then Place it, or Discard it at any time. Its methods must not be called
// concurrently. After an error only Discard may be called.
type PendingFile struct {
	files           Files
	temporary, name string
	file            vfs.File // nil once it is complete
	out             *bufio.Writer
}

// Create begins the next content of a file. The caller must place or discard it. Until then,
// and after a crash, it is a file whose name ends with .tmp; see [Files.RemoveUnfinished].
func (f Files) Create(name string) (*PendingFile, error) {
	if err := vfs.MkdirAll(f.fs, f.dir); err != nil {
		return nil, err
	}
	p := &PendingFile{
		files:     f,
		temporary: filepath.Join(f.dir, name+"."+rand.Text()+".tmp"),
		name:      filepath.Join(f.dir, name),
	}
	var err error
	if p.file, err = f.fs.Create(p.temporary); err != nil {
		return nil, err
	}
	p.out = bufio.NewWriterSize(&atEnd{file: p.file}, writeAtOnce)
	return p, nil
}

// Write implements [io.Writer].
func (p *PendingFile) Write(b []byte) (int, error) { return p.out.Write(b) }

// Sync makes the content so far durable.
func (p *PendingFile) Sync() error {
	if err := p.out.Flush(); err != nil {
		return err
	}
	return p.file.Sync()
}

// Finish makes the content durable and complete. Nothing may be written afterwards.
func (p *PendingFile) Finish() error { return errors.Join(p.Sync(), p.close()) }

// Place replaces the file with the pending one, which must be finished. When it returns nil,
// the replacement is durable. After an error the file has either the old content or the new
// one.
func (p *PendingFile) Place() error {
	if err := p.files.fs.Rename(p.temporary, p.name); err != nil {
		return errors.Join(err, p.Discard())
	}
	return p.files.fs.SyncDir(p.files.dir)
}

// Discard removes the pending file, unless it was placed.
func (p *PendingFile) Discard() error {
	err := p.close()
	if gone := p.files.fs.Remove(p.temporary); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

func (p *PendingFile) close() error {
	if p.file == nil {
		return nil
	}
	file := p.file
	p.file, p.out = nil, nil
	return file.Close()
}

// minText is the least length of the texts of rand.Text, and alphabet holds their
// characters.
const (
	minText  = 26
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// unfinished reports whether a name is that of a pending file: the name of the file, a text of
// rand.Text, and tmp.
func unfinished(name string) bool {
	rest, temporary := strings.CutSuffix(name, ".tmp")
	dot := strings.LastIndexByte(rest, '.')
	text := rest[dot+1:]
	return temporary && dot > 0 && len(text) >= minText && strings.Trim(text, alphabet) == ""
}
