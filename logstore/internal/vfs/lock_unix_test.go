//go:build unix && !aix && !solaris

package vfs

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestLockEndsForCopies closes a locked file of which a copy is open, as it is in a process that
// is being started.
func TestLockEndsForCopies(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "LOCK")
	locked, err := OS.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := syscall.Dup(int(locked.(lockFile).Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(inherited)
	if err := locked.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OS.Lock(name)
	if err != nil {
		t.Fatalf("lock again: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
