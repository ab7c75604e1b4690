package wal

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

const testDir = "/log"

// testLog is a log for a test, with the payloads that Open found in it.
type testLog struct {
	*Log
	fs    *faultfs.FS
	found [][]byte
}

func openTest(fs *faultfs.FS) (*testLog, error) { return openOn(fs, fs) }

// openOn opens a log on a file system that wraps fs.
func openOn(on vfs.FS, fs *faultfs.FS) (*testLog, error) {
	l := &testLog{fs: fs}
	var err error
	l.Log, err = Open(Config{
		FS: on, Dir: testDir, SegmentSize: 64 << 10,
		Found: func(int64) {},
		Begin: func() []byte { return make([]byte, FrameHead) },
		Replay: func(_ Place, kind Kind, payload []byte) error {
			if kind == Data {
				l.found = append(l.found, bytes.Clone(payload))
			}
			return nil
		},
	})
	return l, err
}

// newTest returns a log of its own.
func newTest(t *testing.T) *testLog {
	t.Helper()
	l, err := openTest(faultfs.New())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// append appends n payloads of the given size in bytes and returns their places.
func (l *testLog) append(t *testing.T, n, size int) (at []Place) {
	t.Helper()
	for range n {
		p, _, err := l.Append(append(make([]byte, FrameHead), bytes.Repeat([]byte{7}, size)...))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, p)
	}
	return at
}

// first returns the name of the first segment's file.
func (l *testLog) first() string { return filepath.Join(testDir, fileName(1)) }

// with returns a disk that holds only the log's first segment, as changed by
// change.
func (l *testLog) with(change func([]byte) []byte) *faultfs.FS {
	name := l.first()
	b, _ := l.fs.Read(name)
	left := faultfs.New()
	left.Write(name, change(b))
	return left
}

// loseSector zeroes the n-th whole sector after a place.
func loseSector(b []byte, at Place, n int) {
	from := (int(at.Offset)/sector + n) * sector
	clear(b[from : from+sector])
}
