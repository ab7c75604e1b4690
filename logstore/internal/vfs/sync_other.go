//go:build !linux

package vfs

import "os"

// syncData makes a file durable; on darwin by F_FULLFSYNC.
func syncData(f *os.File) error { return f.Sync() }
