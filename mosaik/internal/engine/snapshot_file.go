package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"lukechampine.com/blake3"

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

// parseSnapshotFile returns the snapshot that a file holds, whatever is in it:
// dragonboat would end the process over one that is damaged.
func parseSnapshotFile(r io.Reader, size int64, index sm.Index) (*pieces, error) {
	hash := blake3.New(len(sm.Digest{}), nil)
	head := make([]byte, snapshotHead)
	length := size - snapshotHead - int64(len(sm.Digest{})) // of the content
	if length >= 0 {
		if _, err := io.ReadFull(io.TeeReader(r, hash), head); err != nil {
			return nil, err
		}
	}
	switch {
	case length < 0 || string(head[:len(snapshotMagic)]) != snapshotMagic:
		return nil, fmt.Errorf("%w: it does not begin like one", logstore.ErrCorrupt)
	case binary.LittleEndian.Uint32(head[8:]) != snapshotFormat:
		return nil, fmt.Errorf("%w: format %d; this version reads format %d", logstore.ErrFormat, binary.LittleEndian.Uint32(head[8:]), snapshotFormat)
	}
	content := &pieces{}
	if _, err := io.CopyBuffer(io.MultiWriter(content, hash), io.LimitReader(r, length), make([]byte, pieceSize)); err != nil {
		return nil, err
	}
	var sum sm.Digest
	if _, err := io.ReadFull(r, sum[:]); err != nil {
		return nil, err
	}
	if sum != sm.Digest(hash.Sum(nil)) {
		return nil, fmt.Errorf("%w: its hash is wrong", logstore.ErrCorrupt)
	}
	if got := sm.Index(binary.LittleEndian.Uint64(head[12:])); got != index {
		return nil, fmt.Errorf("%w: it is of index %d, not %d", logstore.ErrCorrupt, got, index)
	}
	return content, nil
}

// readSnapshot reads the snapshot at an index. One that is missing is damage, too.
func readSnapshot(files logstore.Files, index sm.Index) (*pieces, error) {
	name := snapshotFile(index)
	file, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", logstore.ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	content, err := parseSnapshotFile(file, file.Size(), index)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(files.Dir(), name), err)
	}
	return content, nil
}

// writeSnapshot keeps a snapshot; write writes it.
func writeSnapshot(files logstore.Files, index sm.Index, write func(io.Writer) error) error {
	return files.Write(snapshotFile(index), func(w io.Writer) error {
		hash := blake3.New(len(sm.Digest{}), nil)
		both := io.MultiWriter(w, hash)
		if _, err := both.Write(appendSnapshotHead(nil, index)); err != nil {
			return err
		}
		if err := write(both); err != nil {
			return err
		}
		_, err := w.Write(hash.Sum(nil))
		return err
	})
}

// removeSnapshots removes the snapshots before an index, with what interrupted
// writes of them left.
func removeSnapshots(files logstore.Files, before sm.Index) error {
	names, err := files.List()
	if err != nil {
		return fmt.Errorf("engine: remove old snapshots: %w", err)
	}
	end := snapshotFile(before)
	for _, name := range names {
		if !strings.Contains(name, snapshotSuffix) || name[:min(len(name), len(end))] >= end {
			continue
		}
		if err := files.Remove(name); err != nil {
			return fmt.Errorf("engine: remove old snapshot: %w", err)
		}
	}
	return nil
}

// removeAllSnapshots removes all snapshots.
func removeAllSnapshots(files logstore.Files) error { return removeSnapshots(files, math.MaxUint64) }
