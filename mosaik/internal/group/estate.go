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

// Estate v1, the file "estate" beside a group's snapshots: what the epoch that
// this member made is still to take over of the one before. It is written before
// the old log is cleared, and removed when all of it is in the new one.
// Integers are little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKEST\r\n"
//	     8     4  format, 1
//	    12    16  the epoch that takes over
//	    28        for each entry to be proposed: its size (4), from 1 to 8388608,
//	              and the entry
//	          32  BLAKE3 hash of everything before
const (
	estateFile   = "estate"
	estateMagic  = "MSKEST\r\n"
	estateFormat = 1
	estateHead   = 28
)

// writeEstate keeps the entries for the epoch.
func writeEstate(files logstore.Files, e Epoch, entries iter.Seq[[]byte]) error {
	b := append([]byte(nil), estateMagic...)
	b = binary.LittleEndian.AppendUint32(b, estateFormat)
	b = append(b, e[:]...)
	for entry := range entries {
		if len(entry) == 0 || len(entry) > engine.MaxProposal {
			return fmt.Errorf("write %s: an entry of %d bytes; they have from 1 to %d", estateFile, len(entry), engine.MaxProposal)
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(entry)))
		b = append(b, entry...)
	}
	sum := sm.Parts(b)
	return files.Write(estateFile, func(w io.Writer) error {
		_, err := w.Write(append(b, sum[:]...))
		return err
	})
}

// readEstate returns what the epoch is still to take over, nil for nothing. An
// estate of another epoch is removed: that one was never begun, the log is the old
// one's still.
func readEstate(log logstore.Log, e Epoch) (iter.Seq[[]byte], error) {
	files, ok := logstore.SnapshotFiles(log)
	if !ok {
		return nil, nil
	}
	file, err := files.Open(estateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	epoch, entries, err := parseEstate(file)
	err = errors.Join(err, file.Close())
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", filepath.Join(files.Dir(), estateFile), err)
	case epoch != e:
		return nil, files.Remove(estateFile)
	}
	return entries, nil
}

// estateReader is where an estate is read from.
type estateReader interface {
	io.ReaderAt
	Size() int64
}

// parseEstate reads an estate, whatever is in it. Memory for the entries is taken
// only when the hash has shown that they are those that were written: a damaged
// file may claim any length.
func parseEstate(r estateReader) (e Epoch, entries iter.Seq[[]byte], err error) {
	var head [estateHead]byte
	if r.Size() < estateHead+sm.DigestSize {
		return Epoch{}, nil, fmt.Errorf("%w: it does not begin like one", logstore.ErrCorrupt)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return Epoch{}, nil, err
	}
	switch {
	case string(head[:len(estateMagic)]) != estateMagic:
		return Epoch{}, nil, fmt.Errorf("%w: it does not begin like one", logstore.ErrCorrupt)
	case binary.LittleEndian.Uint32(head[8:]) != estateFormat:
		return Epoch{}, nil, fmt.Errorf("%w: format %d; this version reads format %d", logstore.ErrFormat, binary.LittleEndian.Uint32(head[8:]), estateFormat)
	}
	end := r.Size() - sm.DigestSize
	hash := blake3.New(sm.DigestSize, nil)
	_, _ = hash.Write(head[:]) // never fails
	if err := eachInEstate(r, end, hash, func(in io.Reader, n int64) error {
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
		return Epoch{}, nil, fmt.Errorf("%w: its hash is wrong", logstore.ErrCorrupt)
	}
	var list [][]byte
	err = eachInEstate(r, end, io.Discard, func(in io.Reader, n int64) error {
		entry := make([]byte, n)
		list = append(list, entry)
		_, err := io.ReadFull(in, entry)
		return err
	})
	return Epoch(head[12:]), slices.Values(list), err
}

// eachInEstate calls read for each entry of an estate, whose hash begins at end. It
// copies their sizes to sizes.
func eachInEstate(r io.ReaderAt, end int64, sizes io.Writer, read func(in io.Reader, n int64) error) error {
	in := bufio.NewReaderSize(io.NewSectionReader(r, estateHead, end-estateHead), 1<<16)
	var size [4]byte
	for at := int64(estateHead); at < end; {
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
			return fmt.Errorf("%w: an entry of %d bytes at %d; they have from 1 to %d", logstore.ErrCorrupt, n, at, engine.MaxProposal)
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

// dropEstate removes what an epoch has taken over.
func dropEstate(log logstore.Log) error {
	files, ok := logstore.SnapshotFiles(log)
	if !ok {
		return nil
	}
	return files.Remove(estateFile)
}
