package logstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/mosaik-go/mosaik/sm"
)

// The payload of a data frame is a list of changes, each of one log. A log has a number;
// its first change names the group. Integers are little-endian. The content of each flag
// follows in the order of the flags.
//
//	offset  size  content
//	     0     4  length of the change
//	     4     4  number of the log
//	     8     2  flags, others are 0:
//	    10     -    1 names   32 bytes group id
//	                2 clear   nothing
//	                4 reset   8 bytes term, 8 bytes index
//	                8 trunc.  8 bytes index
//	               16 hard    8 bytes term, 8 bytes vote, 8 bytes commit
//	               32 snap.   8 bytes term, 8 bytes index, 4 bytes length, record
//	               64 meta    4 bytes length, metadata
//	              128 prune   8 bytes index
//	              256 moved   nothing; the entries are not new, they have moved here
//	     -     -  entries up to the end of the change, for each:
//	                4 bytes CRC-32C of the log's number (4 bytes) and of the rest
//	                4 bytes length of data
//	                8 bytes index, 8 bytes term, 8 bytes key, 1 byte kind
//	                data
//
// A change has the effect of a [Batch], followed by the prune. Moved entries that the log
// no longer holds are ignored.
const (
	flagNames = 1 << iota
	flagClear
	flagReset
	flagTruncate
	flagHard
	flagSnapshot
	flagMeta
	flagPrune
	flagMoved

	flagsAll   = 1<<9 - 1
	changeHead = 10
	entryHead  = 33
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errChange  = errors.New("a change is malformed")
	errEntry   = errors.New("an entry fails its checksum")
)

// record is a change.
type record struct {
	number uint32
	names  *sm.Digest
	batch  Batch
	prune  sm.Index // 0 for none
	moved  bool     // batch holds only entries, which have moved
}

// size returns an upper bound of the length of the record.
func (r *record) size() int {
	n := changeHead + 32 + 16 + 8 + 24 + 20 + 4 + 8 + len(r.batch.Meta)
	if r.batch.Snapshot != nil {
		n += len(r.batch.Snapshot.Record)
	}
	for i := range r.batch.Entries {
		n += entryHead + len(r.batch.Entries[i].Data)
	}
	return n
}

// appendTo appends the record to b. The first entry is at index entries of out.
func (r *record) appendTo(b []byte) (out []byte, entries int) {
	le, start, flags := binary.LittleEndian, len(b), 0
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, r.number)
	b = le.AppendUint16(b, 0)
	if r.names != nil {
		flags |= flagNames
		b = append(b, r.names[:]...)
	}
	if r.batch.Clear {
		flags |= flagClear
	}
	if c := r.batch.Reset; c != nil {
		flags |= flagReset
		b = appendCursor(b, *c)
	}
	if r.batch.Truncate != 0 {
		flags |= flagTruncate
		b = le.AppendUint64(b, uint64(r.batch.Truncate))
	}
	if h := r.batch.Hard; h != nil {
		flags |= flagHard
		b = appendHard(b, *h)
	}
	if s := r.batch.Snapshot; s != nil {
		flags |= flagSnapshot
		b = appendBytes(appendCursor(b, s.Cursor), s.Record)
	}
	if r.batch.Meta != nil {
		flags |= flagMeta
		b = appendBytes(b, r.batch.Meta)
	}
	if r.prune != 0 {
		flags |= flagPrune
		b = le.AppendUint64(b, uint64(r.prune))
	}
	if r.moved {
		flags |= flagMoved
	}
	entries = len(b)
	for i := range r.batch.Entries {
		b = appendEntry(b, r.number, &r.batch.Entries[i])
	}
	le.PutUint32(b[start:], uint32(len(b)-start))
	le.PutUint16(b[start+8:], uint16(flags))
	return b, entries
}

func appendCursor(b []byte, c sm.Cursor) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(c.Term))
	return binary.LittleEndian.AppendUint64(b, uint64(c.Index))
}

func appendHard(b []byte, h HardState) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Term))
	b = binary.LittleEndian.AppendUint64(b, h.Vote)
	return binary.LittleEndian.AppendUint64(b, uint64(h.Commit))
}

func appendBytes(b, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
}

func appendEntry(b []byte, number uint32, e *Entry) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Data)))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Index))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Term))
	b = binary.LittleEndian.AppendUint64(b, e.Key)
	b = append(b, e.Kind)
	b = append(b, e.Data...)
	binary.LittleEndian.PutUint32(b[start:], entrySum(number, b[start:]))
	return b
}

func entrySum(number uint32, b []byte) uint32 {
	// As [crc32.Checksum], but without an array that escapes to the heap.
	sum := ^uint32(0)
	for range 4 {
		sum = castagnoli[byte(sum)^byte(number)] ^ sum>>8
		number >>= 8
	}
	return crc32.Update(^sum, castagnoli, b[4:])
}

// parseEntry parses the entry at the start of b, of the log with a number, and returns
// its length. Its Data aliases b.
func parseEntry(b []byte, number uint32) (e Entry, n int, err error) {
	if len(b) < entryHead {
		return Entry{}, 0, errEntry
	}
	length := binary.LittleEndian.Uint32(b[4:])
	if uint64(length) > uint64(len(b)-entryHead) {
		return Entry{}, 0, errEntry
	}
	n = entryHead + int(length)
	if binary.LittleEndian.Uint32(b) != entrySum(number, b[:n]) {
		return Entry{}, 0, errEntry
	}
	return Entry{
		Index: sm.Index(binary.LittleEndian.Uint64(b[8:])),
		Term:  sm.Term(binary.LittleEndian.Uint64(b[16:])),
		Key:   binary.LittleEndian.Uint64(b[24:]),
		Kind:  b[32],
		Data:  b[entryHead:n:n],
	}, n, nil
}

// parseRecord parses the change at the start of b. It returns its length n and the offset
// of its first entry. The record aliases b and room, which holds its entries.
func parseRecord(b []byte, room []Entry) (r record, n, entries int, err error) {
	p := parser{b: b}
	length := p.uint32()
	if p.bad || length < changeHead || uint64(length) > uint64(len(b)) {
		return record{}, 0, 0, errChange
	}
	n = int(length)
	p.b = b[4:n]
	r.number = p.uint32()
	flags := p.uint16()
	if flags > flagsAll || flags&flagMoved != 0 && flags != flagMoved {
		return record{}, 0, 0, errChange
	}
	if flags&flagNames != 0 {
		id := p.digest()
		r.names = &id
	}
	r.batch.Clear = flags&flagClear != 0
	if flags&flagReset != 0 {
		c := p.cursor()
		r.batch.Reset = &c
	}
	if flags&flagTruncate != 0 {
		r.batch.Truncate = sm.Index(p.uint64())
		p.bad = p.bad || r.batch.Truncate == 0
	}
	if flags&flagHard != 0 {
		h := p.hard()
		r.batch.Hard = &h
	}
	if flags&flagSnapshot != 0 {
		r.batch.Snapshot = &Snapshot{Cursor: p.cursor(), Record: p.bytes()}
	}
	if flags&flagMeta != 0 {
		r.batch.Meta = p.bytes()
	}
	if flags&flagPrune != 0 {
		r.prune = sm.Index(p.uint64())
		p.bad = p.bad || r.prune == 0
	}
	r.moved = flags&flagMoved != 0
	if p.bad {
		return record{}, 0, 0, errChange
	}
	entries, r.batch.Entries = n-len(p.b), room[:0]
	for len(p.b) > 0 {
		e, size, err := parseEntry(p.b, r.number)
		if err != nil {
			return record{}, 0, 0, err
		}
		if e.Index == 0 || e.Index == math.MaxUint64 {
			return record{}, 0, 0, errChange
		}
		r.batch.Entries = append(r.batch.Entries, e)
		p.b = p.b[size:]
	}
	return r, n, entries, nil
}

// parser reads fields from the start of b. Once b is too short, it is bad and returns
// zeros.
type parser struct {
	b   []byte
	bad bool
}

// take returns the next n bytes. If there are fewer, it returns zero, which has n bytes
// or is nil.
func (p *parser) take(n int, zero []byte) []byte {
	if n > len(p.b) {
		p.bad, p.b = true, nil
		return zero
	}
	out := p.b[:n:n]
	p.b = p.b[n:]
	return out
}

var zeroField [8]byte

func (p *parser) uint16() uint16 { return binary.LittleEndian.Uint16(p.take(2, zeroField[:])) }

func (p *parser) uint32() uint32 { return binary.LittleEndian.Uint32(p.take(4, zeroField[:])) }

func (p *parser) uint64() uint64 { return binary.LittleEndian.Uint64(p.take(8, zeroField[:])) }

func (p *parser) cursor() sm.Cursor {
	return sm.Cursor{Term: sm.Term(p.uint64()), Index: sm.Index(p.uint64())}
}

func (p *parser) hard() HardState {
	return HardState{Term: sm.Term(p.uint64()), Vote: p.uint64(), Commit: sm.Index(p.uint64())}
}

func (p *parser) digest() (d sm.Digest) {
	copy(d[:], p.take(sm.DigestSize, nil))
	return d
}

// bytes reads a length and as many bytes. The result is nil only if p is bad.
func (p *parser) bytes() []byte {
	n := p.uint32()
	if uint64(n) > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return nil
	}
	return p.take(int(n), nil)
}
