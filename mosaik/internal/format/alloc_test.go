package format

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
)

// TestParseAllocatesWhatItReads measures what parsing entries allocates: over the seeds of
// FuzzParse, variants of them, and empty commands.
func TestParseAllocatesWhatItReads(t *testing.T) {
	inputs := alloc.Variants(build(header, traces, commands()), build(header, nil, nil), Append(nil, &Envelope{Header: Header{Kind: KindSession}}),
		binary.AppendUvarint(append(appendHeader(nil, header), 0), 1<<32))
	inputs = append(inputs, build(header, nil, make([][]byte, 1<<20)))
	alloc.Bound{PerByte: 0, Fixed: 1 << 10}.Check(t, func(b []byte) { Parse(b) }, inputs...)
}

// TestSnapshotReaderAllocatesWhatItReads does the same for snapshots, of which the reader holds one
// chunk at a time.
func TestSnapshotReaderAllocatesWhatItReads(t *testing.T) {
	many := snapshot
	many.Sessions = make([]Session, 20_000)
	for i := range many.Sessions {
		binary.BigEndian.PutUint64(many.Sessions[i].ID[:], uint64(i+1))
	}
	valid := write(t, snapshot, []byte("machine"))
	inputs := alloc.Variants(valid, write(t, Snapshot{}, nil))
	inputs = append(inputs, write(t, many, nil), write(t, snapshot, make([]byte, 3<<20)))
	alloc.Bound{PerByte: 8, Fixed: maxChunk + 16<<10}.Check(t, func(b []byte) { read(bytes.NewReader(b)) }, inputs...)
}
