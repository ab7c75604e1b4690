package logstore

import "github.com/mosaik-go/mosaik/logstore/internal/vfs"

// DiskOn is [Disk] on another file system, with segments of the given size in
// bytes.
func DiskOn[C any](fs vfs.FS, segment int64) Storage[C] {
	return disk[C]{diskConfig{fs: fs, segment: segment}}
}
