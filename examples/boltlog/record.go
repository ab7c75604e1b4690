package boltlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// A file has two buckets. In entries, the key is the entry's index and the value
// its term, kind, key and data; in state, each part has its own key, and all parts
// are there once something was saved. Numbers are big-endian, so that entries lie
// in the order of their indices. Before each value stands the CRC-32C of its key
// and itself, because bbolt does not detect damage to its data.
var (
	entriesBucket = []byte("entries")
	stateBucket   = []byte("state")

	hardKey     = []byte("hard")     // term, vote, commit
	prunedKey   = []byte("pruned")   // a cursor
	lastKey     = []byte("last")     // a cursor
	snapshotKey = []byte("snapshot") // a cursor and the record
	metaKey     = []byte("meta")     // 1 and what was given, or nothing
)

const (
	entryHeader = 8 + 1 + 8
	cursorSize  = 8 + 8
	hardSize    = 8 + 8 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// put keeps a value with its checksum.
func put(b *bbolt.Bucket, key, value []byte) error {
	return b.Put(key, append(binary.BigEndian.AppendUint32(nil, sum(key, value)), value...))
}

// checked returns the value of what put kept, of at least size bytes.
func checked(key, kept []byte, size int) ([]byte, error) {
	if len(kept) < 4+size {
		return nil, fmt.Errorf("%w: %q has %d bytes", ErrCorrupt, key, len(kept))
	}
	if value := kept[4:]; sum(key, value) == binary.BigEndian.Uint32(kept) {
		return value, nil
	}
	return nil, fmt.Errorf("%w: %q fails its checksum", ErrCorrupt, key)
}

func indexKey(i sm.Index) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func appendEntry(dst []byte, e logstore.Entry) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Term))
	dst = append(dst, e.Kind)
	dst = binary.BigEndian.AppendUint64(dst, e.Key)
	return append(dst, e.Data...)
}

// readEntry returns an entry that shares nothing with what bbolt gave, which is
// valid in its transaction only.
func readEntry(key, kept []byte) (logstore.Entry, error) {
	value, err := checked(key, kept, entryHeader)
	if err != nil {
		return logstore.Entry{}, err
	}
	if len(key) != 8 {
		return logstore.Entry{}, fmt.Errorf("%w: %q is no index", ErrCorrupt, key)
	}
	return logstore.Entry{
		Index: sm.Index(binary.BigEndian.Uint64(key)),
		Term:  sm.Term(binary.BigEndian.Uint64(value)),
		Kind:  value[8],
		Key:   binary.BigEndian.Uint64(value[9:]),
		Data:  bytes.Clone(value[entryHeader:]),
	}, nil
}

func appendCursor(dst []byte, c sm.Cursor) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(c.Term)), uint64(c.Index))
}

func readCursor(b []byte) sm.Cursor {
	return sm.Cursor{Term: sm.Term(binary.BigEndian.Uint64(b)), Index: sm.Index(binary.BigEndian.Uint64(b[8:]))}
}

// readState reads all that a log holds beside its entries.
func readState(b *bbolt.Bucket) (st logstore.State, err error) {
	if k, _ := b.Cursor().First(); k == nil {
		return st, nil // nothing was saved yet
	}
	for _, part := range []struct {
		key  []byte
		size int // at least
		read func([]byte)
	}{
		{hardKey, hardSize, func(v []byte) {
			st.Hard = logstore.HardState{
				Term:   sm.Term(binary.BigEndian.Uint64(v)),
				Vote:   binary.BigEndian.Uint64(v[8:]),
				Commit: sm.Index(binary.BigEndian.Uint64(v[16:])),
			}
		}},
		{prunedKey, cursorSize, func(v []byte) { st.Pruned = readCursor(v) }},
		{lastKey, cursorSize, func(v []byte) { st.Last = readCursor(v) }},
		{snapshotKey, cursorSize, func(v []byte) {
			st.Snapshot = logstore.Snapshot{Cursor: readCursor(v), Record: bytes.Clone(v[cursorSize:])}
		}},
		{metaKey, 0, func(v []byte) {
			if len(v) > 0 {
				st.Meta = append([]byte{}, v[1:]...)
			}
		}},
	} {
		v, err := checked(part.key, b.Get(part.key), part.size)
		if err != nil {
			return logstore.State{}, err
		}
		part.read(v)
	}
	return st, nil
}

// writeState replaces all that a log holds beside its entries.
func writeState(b *bbolt.Bucket, st logstore.State) error {
	hard := binary.BigEndian.AppendUint64(nil, uint64(st.Hard.Term))
	hard = binary.BigEndian.AppendUint64(hard, st.Hard.Vote)
	hard = binary.BigEndian.AppendUint64(hard, uint64(st.Hard.Commit))
	var meta []byte
	if st.Meta != nil {
		meta = append([]byte{1}, st.Meta...)
	}
	for _, part := range []struct{ key, value []byte }{
		{hardKey, hard},
		{prunedKey, appendCursor(nil, st.Pruned)},
		{lastKey, appendCursor(nil, st.Last)},
		{snapshotKey, append(appendCursor(nil, st.Snapshot.Cursor), st.Snapshot.Record...)},
		{metaKey, meta},
	} {
		if err := put(b, part.key, part.value); err != nil {
			return err
		}
	}
	return nil
}
