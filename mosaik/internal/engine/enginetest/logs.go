package enginetest

import (
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
)

// MemoryLog returns an empty log in memory.
func MemoryLog(t testing.TB) logstore.Log {
	t.Helper()
	log, err := logstore.NewMemory[struct{}]().Open(logstore.Opening[struct{}]{})
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

// SnapshotDir returns the directory, in which [logstore.FilesOf] keeps snapshots.
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
