package group

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"

	"lukechampine.com/blake3"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/sm"
)

// Carryover v1, the file "estate" beside a group's snapshots: what the epoch that this member
// made must still take over from the one before it. The file is written before the old log is
// cleared, and removed when the new log holds all of it. Integers are little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKEST\r\n"
//	     8     4  format, 1
//	    12    16  the epoch that takes over
//	    28        for each entry to propose: its size (4), from 1 to 8388608,
//	              and the entry
//	          32  BLAKE3 hash of everything before
const (
	carryoverFile   = "estate"
	carryoverMagic  = "MSKEST\r\n"
	carryoverFormat = 1
	carryoverHead   = 28
)

// writeCarryover writes the entries that epoch e must take over.
func writeCarryover(files logstore.Files, e Epoch, entries iter.Seq[[]byte]) error {
	b := append([]byte(nil), carryoverMagic...)
	b = binary.LittleEndian.AppendUint32(b, carryoverFormat)
	b = append(b, e[:]...)
	for entry := range entries {
		if len(entry) == 0 || len(entry) > engine.MaxProposal {
			return fmt.Errorf("write %s: entry of %d bytes; want 1 to %d", carryoverFile, len(entry), engine.MaxProposal)
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(entry)))
		b = append(b, entry...)
	}
	sum := sm.Parts(b)
	return files.Write(carryoverFile, func(w io.Writer) error {
		_, err := w.Write(append(b, sum[:]...))
		return err
	})
}

// readCarryover returns the entries that epoch e must still take over, nil for none. It removes
// the carryover of another epoch: that epoch never began, and the log still belongs to the
// old one.
func readCarryover(log logstore.Log, e Epoch) (iter.Seq[[]byte], error) {
	files, ok := logstore.SnapshotFiles(log)
	if !ok {
		return nil, nil
	}
	file, err := files.Open(carryoverFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	epoch, entries, err := parseCarryover(file)
	err = errors.Join(err, file.Close())
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", filepath.Join(files.Dir(), carryoverFile), err)
	case epoch != e:
		return nil, files.Remove(carryoverFile)
	}
	return entries, nil
}

// carryoverReader is the file that holds a carryover.
type carryoverReader interface {
	io.ReaderAt
	Size() int64
}

// parseCarryover decodes a carryover from hostile bytes. It verifies the hash before it allocates
// memory for the entries, because a damaged file may claim any length.
func parseCarryover(r carryoverReader) (e Epoch, entries iter.Seq[[]byte], err error) {
	var head [carryoverHead]byte
	if r.Size() < carryoverHead+sm.DigestSize {
		return Epoch{}, nil, fmt.Errorf("%w: %d bytes are too short for a carryover", logstore.ErrCorrupt, r.Size())
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return Epoch{}, nil, err
	}
	switch {
	case string(head[:len(carryoverMagic)]) != carryoverMagic:
		return Epoch{}, nil, fmt.Errorf("%w: magic %q; want %q", logstore.ErrCorrupt, head[:len(carryoverMagic)], carryoverMagic)
	case binary.LittleEndian.Uint32(head[8:]) != carryoverFormat:
		return Epoch{}, nil, fmt.Errorf("%w: format %d; this version reads format %d", logstore.ErrFormat, binary.LittleEndian.Uint32(head[8:]), carryoverFormat)
	}
	end := r.Size() - sm.DigestSize
	hash := blake3.New(sm.DigestSize, nil)
	_, _ = hash.Write(head[:]) // never fails
	if err := eachCarryoverEntry(r, end, hash, func(in io.Reader, n int64) error {
		_, err := io.CopyN(hash, in, n)
		return err
	}); err != nil {
		return Epoch{}, nil, err
	}
	var sum sm.Digest
	if _, err := r.ReadAt(sum[:], end); err != nil {
		return Epoch{}, nil, err
	}
	if sum != sm.Digest(hash.Sum(nil)) {
		return Epoch{}, nil, fmt.Errorf("%w: the hash does not match the content", logstore.ErrCorrupt)
	}
	var list [][]byte
	err = eachCarryoverEntry(r, end, io.Discard, func(in io.Reader, n int64) error {
		entry := make([]byte, n)
		list = append(list, entry)
		_, err := io.ReadFull(in, entry)
		return err
	})
	return Epoch(head[12:]), slices.Values(list), err
}

// eachCarryoverEntry calls read for each entry. The entries end, and the hash begins, at offset
// end. It copies the size fields to sizes.
func eachCarryoverEntry(r io.ReaderAt, end int64, sizes io.Writer, read func(in io.Reader, n int64) error) error {
	in := bufio.NewReaderSize(io.NewSectionReader(r, carryoverHead, end-carryoverHead), 1<<16)
	var size [4]byte
	for at := int64(carryoverHead); at < end; {
		if end-at < 4 {
			return fmt.Errorf("%w: an entry is cut short at %d", logstore.ErrCorrupt, at)
		}
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return err
		}
		n := int64(binary.LittleEndian.Uint32(size[:]))
		at += 4
		switch {
		case n == 0 || n > engine.MaxProposal:
			return fmt.Errorf("%w: entry of %d bytes at offset %d; want 1 to %d", logstore.ErrCorrupt, n, at, engine.MaxProposal)
		case n > end-at:
			return fmt.Errorf("%w: an entry is cut short at %d", logstore.ErrCorrupt, at)
		}
		if _, err := sizes.Write(size[:]); err != nil {
			return err
		}
		if err := read(in, n); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// removeCarryover removes the carryover, once the new log holds all of it.
func removeCarryover(log logstore.Log) error {
	files, ok := logstore.SnapshotFiles(log)
	if !ok {
		return nil
	}
	return files.Remove(carryoverFile)
}
