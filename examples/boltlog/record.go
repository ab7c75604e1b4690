package boltlog

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// A file has two buckets. In entries, the key is the entry's index and the value
// its term, kind, key and data; in state, each part has its own key. Numbers
// are big-endian, so that entries lie in the order of their indices.
var (
	entriesBucket = []byte("entries")
	stateBucket   = []byte("state")

	hardKey     = []byte("hard")     // term, vote, commit
	prunedKey   = []byte("pruned")   // a cursor
	lastKey     = []byte("last")     // a cursor
	snapshotKey = []byte("snapshot") // a cursor and the record
	metaKey     = []byte("meta")     // as given; there is none without the key
)

const (
	entryHeader = 8 + 1 + 8
	cursorSize  = 8 + 8
	hardSize    = 8 + 8 + 8
)

func indexKey(i sm.Index) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func appendEntry(dst []byte, e logstore.Entry) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Term))
	dst = append(dst, e.Kind)
	dst = binary.BigEndian.AppendUint64(dst, e.Key)
	return append(dst, e.Data...)
}

// readEntry returns an entry that shares nothing with what bbolt gave, which is
// valid in its transaction only.
func readEntry(key, value []byte) (logstore.Entry, error) {
	if len(key) != 8 || len(value) < entryHeader {
		return logstore.Entry{}, fmt.Errorf("%w: entry %x has %d bytes", ErrCorrupt, key, len(value))
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
func readState(b *bbolt.Bucket) (logstore.State, error) {
	var st logstore.State
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
		{metaKey, 0, func(v []byte) { st.Meta = append([]byte{}, v...) }},
	} {
		v := b.Get(part.key)
		if v == nil {
			continue
		}
		if len(v) < part.size {
			return st, fmt.Errorf("%w: %s has %d bytes, not %d", ErrCorrupt, part.key, len(v), part.size)
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
	for _, part := range []struct{ key, value []byte }{
		{hardKey, hard},
		{prunedKey, appendCursor(nil, st.Pruned)},
		{lastKey, appendCursor(nil, st.Last)},
		{snapshotKey, append(appendCursor(nil, st.Snapshot.Cursor), st.Snapshot.Record...)},
	} {
		if err := b.Put(part.key, part.value); err != nil {
			return err
		}
	}
	if st.Meta == nil {
		return b.Delete(metaKey)
	}
	return b.Put(metaKey, st.Meta)
}
