package enginetest

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
)

// MemoryLog returns an empty log in memory.
func MemoryLog(t testing.TB) logstore.Log {
	t.Helper()
	log, err := logstore.NewMemory[struct{}]().Open(logstore.OpenOptions[struct{}]{})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// LogWithDir is a log with a directory for snapshots.
type LogWithDir struct {
	logstore.Log
	Dir string
}

// SnapshotDir returns the directory, in which [logstore.SnapshotFiles] keeps snapshots.
func (l LogWithDir) SnapshotDir() string { return l.Dir }

// CountedLog counts the calls that write.
type CountedLog struct {
	logstore.Log
	Writes atomic.Int64
}

// Save implements [logstore.Log].
func (l *CountedLog) Save(b logstore.Batch) error {
	l.Writes.Add(1)
	return l.Log.Save(b)
}

// WantFiles fails the test unless a directory holds exactly the files with these names,
// in sorted order.
func WantFiles(t testing.TB, dir string, want ...string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	var got []string
	for _, path := range paths {
		got = append(got, filepath.Base(path))
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("files (-want +got):\n%s%v", diff, err)
	}
}
