package vfs

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lock takes a lock that belongs to the open file. It excludes other opens in this process,
// too, and ends with the process.
func lock(f *os.File) error {
	behind := &windows.Overlapped{OffsetHigh: math.MaxInt32} // the file can still be read and copied
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, behind)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// unlock does nothing: no other process inherits the file, so closing it ends the lock.
func unlock(*os.File) error { return nil }
