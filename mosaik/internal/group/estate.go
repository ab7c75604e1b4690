package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"

	"github.com/mosaik-go/mosaik/logstore"
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
//	    28        for each entry to be proposed: its size (4), the entry
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
	files, ok := logstore.FilesOf(log)
	if !ok {
		return nil, nil
	}
	b, err := files.Read(estateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	epoch, entries, err := parseEstate(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", filepath.Join(files.Dir(), estateFile), err)
	case epoch != e:
		return nil, files.Remove(estateFile)
	}
	return entries, nil
}

// parseEstate reads an estate, whatever b is.
func parseEstate(b []byte) (Epoch, iter.Seq[[]byte], error) {
	switch {
	case len(b) < estateHead+len(sm.Digest{}) || string(b[:len(estateMagic)]) != estateMagic:
		return Epoch{}, nil, fmt.Errorf("%w: it does not begin like one", logstore.ErrCorrupt)
	case binary.LittleEndian.Uint32(b[8:]) != estateFormat:
		return Epoch{}, nil, fmt.Errorf("%w: format %d; this version reads format %d", logstore.ErrFormat, binary.LittleEndian.Uint32(b[8:]), estateFormat)
	}
	end := len(b) - len(sm.Digest{})
	if sum := sm.Parts(b[:end]); sm.Digest(b[end:]) != sum {
		return Epoch{}, nil, fmt.Errorf("%w: its hash is wrong", logstore.ErrCorrupt)
	}
	var entries [][]byte
	for rest := b[estateHead:end]; len(rest) > 0; {
		if len(rest) < 4 || uint64(len(rest)-4) < uint64(binary.LittleEndian.Uint32(rest)) {
			return Epoch{}, nil, fmt.Errorf("%w: an entry is cut short", logstore.ErrCorrupt)
		}
		size := 4 + int(binary.LittleEndian.Uint32(rest))
		entries, rest = append(entries, rest[4:size]), rest[size:]
	}
	return Epoch(b[12:28]), slices.Values(entries), nil
}

// dropEstate removes what an epoch has taken over.
func dropEstate(log logstore.Log) error {
	files, ok := logstore.FilesOf(log)
	if !ok {
		return nil
	}
	return files.Remove(estateFile)
}
