package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// Snapshot file v1, the file "%016x.snapshot" in a group's directory of
// snapshots, named after the index of the last entry that it covers. Integers
// are little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKSNP\r\n"
//	     8     4  format, 1
//	    12     8  index of the last entry that it covers
//	    20        the snapshot in dragonboat's framing, with a snapshot container
//	              in it
//	          32  BLAKE3 hash of everything before
const (
	snapshotMagic  = "MSKSNP\r\n"
	snapshotFormat = 1
	snapshotHead   = 20
	snapshotSuffix = ".snapshot"
)

func snapshotFile(index sm.Index) string {
	return fmt.Sprintf("%016x%s", uint64(index), snapshotSuffix)
}

// appendSnapshotHead appends what a snapshot file begins with.
func appendSnapshotHead(b []byte, index sm.Index) []byte {
	b = append(b, snapshotMagic...)
	b = binary.LittleEndian.AppendUint32(b, snapshotFormat)
	return binary.LittleEndian.AppendUint64(b, uint64(index))
}

// parseSnapshotFile returns the snapshot that a file holds, whatever b is:
// dragonboat would end the process over one that is damaged.
func parseSnapshotFile(b []byte, index sm.Index) ([]byte, error) {
	switch {
	case len(b) < snapshotHead+len(sm.Digest{}) || string(b[:len(snapshotMagic)]) != snapshotMagic:
		return nil, fmt.Errorf("%w: it does not begin like one", logstore.ErrCorrupt)
	case binary.LittleEndian.Uint32(b[8:]) != snapshotFormat:
		return nil, fmt.Errorf("%w: format %d; this version reads format %d", logstore.ErrFormat, binary.LittleEndian.Uint32(b[8:]), snapshotFormat)
	}
	end := len(b) - len(sm.Digest{})
	if sum := sm.Parts(b[:end]); sm.Digest(b[end:]) != sum {
		return nil, fmt.Errorf("%w: its hash is wrong", logstore.ErrCorrupt)
	}
	if got := sm.Index(binary.LittleEndian.Uint64(b[12:])); got != index {
		return nil, fmt.Errorf("%w: it is of index %d, not %d", logstore.ErrCorrupt, got, index)
	}
	return b[snapshotHead:end], nil
}

// readSnapshot reads the snapshot at an index from a directory. One that is
// missing is damage, too.
func readSnapshot(dir string, index sm.Index) ([]byte, error) {
	name := filepath.Join(dir, snapshotFile(index))
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", logstore.ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	content, err := parseSnapshotFile(b, index)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return content, nil
}

// writeSnapshot keeps a snapshot in a directory; read appends it.
func writeSnapshot(dir string, index sm.Index, read func([]byte) ([]byte, error)) error {
	b, err := read(appendSnapshotHead(nil, index))
	if err != nil {
		return err
	}
	sum := sm.Parts(b)
	return logstore.WriteFile(dir, snapshotFile(index), append(b, sum[:]...))
}

// removeSnapshots removes the snapshots before an index, with what interrupted
// writes of them left.
func removeSnapshots(dir string, before sm.Index) error {
	old, err := filepath.Glob(filepath.Join(dir, "*"+snapshotSuffix+"*"))
	if err != nil {
		return err
	}
	end := snapshotFile(before)
	for _, name := range old {
		if base := filepath.Base(name); base[:min(len(base), len(end))] >= end {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("engine: remove old snapshot: %w", err)
		}
	}
	return nil
}

// removeAllSnapshots removes all snapshots.
func removeAllSnapshots(dir string) error { return removeSnapshots(dir, math.MaxUint64) }
