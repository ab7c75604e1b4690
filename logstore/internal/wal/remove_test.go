package wal

import (
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// closings is a file system that calls closing when a file is closed.
type closings struct {
	*faultfs.FS
	closing func(name string)
}

type closingFile struct {
	vfs.File
	closing func()
}

func (f closingFile) Close() error {
	f.closing()
	return f.File.Close()
}

func (c *closings) Create(name string) (vfs.File, error) {
	f, err := c.FS.Create(name)
	return closingFile{f, func() { c.closing(name) }}, err
}

// TestRemovedIsNotReopened closes the file of a removed segment, and all files with
// the log. A segment must be marked before its file is closed, so that a reader that
// waits for the segment does not open the file again.
func TestRemovedIsNotReopened(t *testing.T) {
	t.Parallel()
	fs := faultfs.New()
	on := &closings{FS: fs}
	l, err := openOn(on, fs)
	if err != nil {
		t.Fatal(err)
	}
	at := l.append(t, 1, 100)[0]
	for range 2 {
		if err := l.Rotate(make([]byte, FrameHead)); err != nil {
			t.Fatal(err)
		}
	}
	segments, closed := map[string]*segment{}, 0
	for _, s := range l.segments {
		segments[s.name] = s
	}
	on.closing = func(name string) { // the segment's lock is held here
		if closed++; !segments[name].removed {
			t.Errorf("%s is closed and could be opened again", name)
		}
	}
	if err := l.RemoveOldest(); err != nil {
		t.Error(err)
	}
	if err := l.ReadAt(make([]byte, 1), at); !errors.Is(err, ErrRemoved) {
		t.Errorf("read a removed segment: %v, want %v", err, ErrRemoved)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if closed != 3 {
		t.Errorf("%d files were closed, want 3", closed)
	}
}
