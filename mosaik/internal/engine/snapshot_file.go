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

// snapshotWriter writes what a snapshot file holds.
type snapshotWriter struct {
	out  io.Writer
	hash *blake3.Hasher
}

// newSnapshotWriter begins the content of a file, which is written to out.
func newSnapshotWriter(out io.Writer, index sm.Index) (*snapshotWriter, error) {
	w := &snapshotWriter{out, blake3.New(len(sm.Digest{}), nil)}
	_, err := w.Write(appendSnapshotHead(nil, index))
	return w, err
}

// Write implements [io.Writer]: it takes the snapshot.
func (w *snapshotWriter) Write(b []byte) (int, error) {
	w.hash.Write(b)
	return w.out.Write(b)
}

// end writes what follows the snapshot.
func (w *snapshotWriter) end() error {
	_, err := w.out.Write(w.hash.Sum(nil))
	return err
}

// writeSnapshot keeps a snapshot; write writes it.
func writeSnapshot(files logstore.Files, index sm.Index, write func(io.Writer) error) error {
	return files.Write(snapshotFile(index), func(out io.Writer) error {
		w, err := newSnapshotWriter(out, index)
		if err == nil {
			err = write(w)
		}
		if err == nil {
			err = w.end()
		}
		return err
	})
}

// removeSnapshots removes the snapshots before an index, with what interrupted
// writes of them left.
func removeSnapshots(files logstore.Files, before sm.Index) error {
	end := snapshotFile(before)
	return removeFiles(files, func(name string) bool { return name[:min(len(name), len(end))] < end })
}

// removeAllSnapshots removes all snapshots.
func removeAllSnapshots(files logstore.Files) error { return removeSnapshots(files, math.MaxUint64) }

// removeOtherSnapshots removes all snapshots but the one at an index, with what
// interrupted writes left.
func removeOtherSnapshots(files logstore.Files, but sm.Index) error {
	return removeFiles(files, func(name string) bool { return name != snapshotFile(but) })
}

// removeFiles removes those of the files of snapshots that are to go.
func removeFiles(files logstore.Files, goes func(name string) bool) error {
	names, err := files.List()
	if err != nil {
		return fmt.Errorf("engine: remove old snapshots: %w", err)
	}
	for _, name := range names {
		if !strings.Contains(name, snapshotSuffix) || !goes(name) {
			continue
		}
		if err := files.Remove(name); err != nil {
			return fmt.Errorf("engine: remove old snapshot: %w", err)
		}
	}
	return nil
}
