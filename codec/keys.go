package codec

import (
	"bytes"
	"fmt"
	"slices"
)

// Keys of maps may have a registered codec. On the wire they are bytes, sorted
// by their content.

// Entry is an entry of a map whose keys have a registered codec.
type Entry[V any] struct {
	Key   []byte // what the codec makes of the key, nil if it refuses it
	Value V
}

// SortedEntries returns the entries of m in ascending order of what c makes of
// the keys. What c refuses, and two keys of which it makes the same bytes, are
// errors of [Check].
func SortedEntries[M ~map[K]V, K comparable, V any](e *Encoder, c Codec[K], m M) []Entry[V] {
	out := make([]Entry[V], 0, len(m))
	room := make([]byte, 0, 16*len(m)) // of all keys
	for k, v := range m {
		start := len(room)
		content, err := appendSafely(c, room[start:], k)
		if err == nil {
			_, err = decodeSafely(c, content)
		}
		if err != nil {
			e.refuse(err)
			out = append(out, Entry[V]{Value: v})
			continue
		}
		room = append(room[:start], content...)
		out = append(out, Entry[V]{Key: room[start:len(room):len(room)], Value: v})
	}
	slices.SortFunc(out, func(a, b Entry[V]) int { return bytes.Compare(a.Key, b.Key) })
	for i := 1; i < len(out); i++ {
		if a, b := out[i-1].Key, out[i].Key; a != nil && b != nil && bytes.Equal(a, b) {
			e.refuse(fmt.Errorf("%w: two keys are encoded as %s", ErrDuplicate, quote(a)))
			out[i].Key = nil
		}
	}
	return out
}

// Key appends the key of an [Entry].
func (e *Encoder) Key(b, key []byte) []byte {
	if key == nil {
		return append(b, refusedValue)
	}
	return e.Array(b, key)
}

// IsZero reports whether v is the zero value of its type.
func IsZero[T comparable](v T) bool {
	var zero T
	return v == zero
}
