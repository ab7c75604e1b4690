package snapstore

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
//
// The magic of the snapshot container inside, "MSKSNAP", differs in one letter; see package
// format about the layers of a snapshot.
const (
	fileMagic  = "MSKSNP\r\n"
	fileFormat = 1
	fileHead   = 20
	fileSuffix = ".snapshot"
)

// FileName returns the name of the file of a snapshot.
func FileName(index sm.Index) string {
	return fmt.Sprintf("%016x%s", uint64(index), fileSuffix)
}

// appendHead appends the head of a snapshot file.
func appendHead(b []byte, index sm.Index) []byte {
	b = append(b, fileMagic...)
	b = binary.LittleEndian.AppendUint32(b, fileFormat)
	return binary.LittleEndian.AppendUint64(b, uint64(index))
}

// parseFile returns the snapshot in a file. It checks all of it, because dragonboat ends the
// process over a damaged one.
func parseFile(r io.Reader, size int64, index sm.Index) (*pieces, error) {
	hash := blake3.New(len(sm.Digest{}), nil)
	head := make([]byte, fileHead)
	length := size - fileHead - int64(len(sm.Digest{})) // of the snapshot
	if length >= 0 {
		if _, err := io.ReadFull(io.TeeReader(r, hash), head); err != nil {
			return nil, err
		}
	}
	switch {
	case length < 0 || string(head[:len(fileMagic)]) != fileMagic:
		return nil, fmt.Errorf("%w: it does not begin like a snapshot file", logstore.ErrCorrupt)
	case binary.LittleEndian.Uint32(head[8:]) != fileFormat:
		return nil, fmt.Errorf("%w: format %d; this version reads format %d", logstore.ErrFormat, binary.LittleEndian.Uint32(head[8:]), fileFormat)
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

// readSnapshot reads the snapshot at an index. A missing file is damage, too.
func readSnapshot(files logstore.Files, index sm.Index) (*pieces, error) {
	name := FileName(index)
	file, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", logstore.ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	content, err := parseFile(file, file.Size(), index)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(files.Dir(), name), err)
	}
	return content, nil
}

// fileWriter writes a snapshot file.
type fileWriter struct {
	out  io.Writer
	hash *blake3.Hasher
}

// newFileWriter writes the head of a file to out.
func newFileWriter(out io.Writer, index sm.Index) (*fileWriter, error) {
	w := &fileWriter{out, blake3.New(len(sm.Digest{}), nil)}
	_, err := w.Write(appendHead(nil, index))
	return w, err
}

// Write implements [io.Writer]: it writes a part of the snapshot.
func (w *fileWriter) Write(b []byte) (int, error) {
	w.hash.Write(b)
	return w.out.Write(b)
}

// end writes the hash behind the snapshot.
func (w *fileWriter) end() error {
	_, err := w.out.Write(w.hash.Sum(nil))
	return err
}

// writeSnapshot writes the file of a snapshot, whose content write writes.
func writeSnapshot(files logstore.Files, index sm.Index, write func(io.Writer) error) error {
	return files.Write(FileName(index), func(out io.Writer) error {
		w, err := newFileWriter(out, index)
		if err == nil {
			err = write(w)
		}
		if err == nil {
			err = w.end()
		}
		return err
	})
}

// removeBefore removes the snapshots before an index, and unfinished files of them.
func removeBefore(files logstore.Files, before sm.Index) error {
	end := FileName(before)
	return removeFiles(files, func(name string) bool { return name[:min(len(name), len(end))] < end })
}

// RemoveAll removes all snapshots.
func RemoveAll(files logstore.Files) error { return removeBefore(files, math.MaxUint64) }

// removeOthers removes all snapshots but the one at an index, and all unfinished files.
func removeOthers(files logstore.Files, but sm.Index) error {
	return removeFiles(files, func(name string) bool { return name != FileName(but) })
}

// removeFiles removes the files of snapshots for which remove returns true.
func removeFiles(files logstore.Files, remove func(name string) bool) error {
	names, err := files.List()
	if err != nil {
		return fmt.Errorf("engine: remove old snapshots: %w", err)
	}
	for _, name := range names {
		if !strings.Contains(name, fileSuffix) || !remove(name) {
			continue
		}
		if err := files.Remove(name); err != nil {
			return fmt.Errorf("engine: remove old snapshot: %w", err)
		}
	}
	return nil
}
