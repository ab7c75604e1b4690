package group

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// A network's directory counts how often it was opened. By this count, peers distinguish a
// process that continues a log from one that has a copy of it. A storage with a directory of
// its own may be used by a network without one. Then the count is kept beside the log.
//
// Starts v1, the file "starts" beside a group's snapshots. Integers are little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKSTA\r\n"
//	     8     4  format, 1
//	    12    16  id, random, not zero; it stands for the id of a directory
//	    28     8  how often the log was opened by a network without a directory, from 1
//	    36    32  BLAKE3 hash of everything before
const (
	startsFile   = "starts"
	startsMagic  = "MSKSTA\r\n"
	startsFormat = 1
	startsBody   = 36
	startsSize   = startsBody + sm.DigestSize
)

// starts is the content of the file: how often a network without a directory opened the log.
type starts struct {
	id    Directory
	count uint64
}

// originOf returns the origin of the incarnations in a group: that of the process, unless only
// the log can count the starts. It counts this start.
func originOf(cfg Config) (*Origin, error) {
	files, durable := logstore.SnapshotFiles(cfg.Log)
	if !durable || cfg.Origin.process.Directory != (Directory{}) {
		return cfg.Origin, nil
	}
	s, err := readStarts(files)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(files.Dir(), startsFile), err)
	}
	for s.id == (Directory{}) {
		rand.Read(s.id[:]) // never fails: crypto/rand ends the process instead
	}
	s.count++
	if err := files.Write(startsFile, func(w io.Writer) error {
		_, err := w.Write(s.marshal())
		return err
	}); err != nil {
		return nil, fmt.Errorf("write %s: %w", filepath.Join(files.Dir(), startsFile), err)
	}
	return &Origin{process: ProcessInfo{Process: newProcess(s.count), Directory: s.id, Started: cfg.Origin.process.Started}}, nil
}

func (s starts) marshal() []byte {
	b := append(make([]byte, 0, startsSize), startsMagic...)
	b = binary.LittleEndian.AppendUint32(b, startsFormat)
	b = append(b, s.id[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.count)
	sum := sm.Parts(b)
	return append(b, sum[:]...)
}

// readStarts returns the content of the file, and the zero value if there is no file.
func readStarts(files logstore.Files) (starts, error) {
	file, err := files.Open(startsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return starts{}, nil
	}
	if err != nil {
		return starts{}, err
	}
	b, err := io.ReadAll(io.LimitReader(file, startsSize+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return starts{}, err
	}
	return parseStarts(b)
}

// parseStarts decodes the file from hostile bytes.
func parseStarts(b []byte) (starts, error) {
	if len(b) < startsBody || string(b[:len(startsMagic)]) != startsMagic {
		return starts{}, fmt.Errorf("%w: the magic is missing; want %q", logstore.ErrCorrupt, startsMagic)
	}
	if format := binary.LittleEndian.Uint32(b[8:]); format != startsFormat {
		return starts{}, fmt.Errorf("%w: format %d; this version reads format %d", logstore.ErrFormat, format, startsFormat)
	}
	if len(b) != startsSize {
		return starts{}, fmt.Errorf("%w: %d bytes; want %d", logstore.ErrCorrupt, len(b), startsSize)
	}
	if sum := sm.Parts(b[:startsBody]); sm.Digest(b[startsBody:]) != sum {
		return starts{}, fmt.Errorf("%w: the hash does not match the content", logstore.ErrCorrupt)
	}
	s := starts{id: Directory(b[12:28]), count: binary.LittleEndian.Uint64(b[28:])}
	if s.id == (Directory{}) || s.count == 0 {
		return starts{}, fmt.Errorf("%w: the id or the count is 0", logstore.ErrCorrupt)
	}
	return s, nil
}
