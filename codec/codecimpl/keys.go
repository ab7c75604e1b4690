package codecimpl

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// The keys of a map may have a registered codec. On the wire such keys are bytes,
// sorted by their content.

// Entry is an entry of a map whose keys have a registered codec.
type Entry[V any] struct {
	Key   []byte // the encoding of the key, nil if the codec refused the key
	Value V
}

// SortedEntries returns the entries of m in ascending order of their encoded keys.
// [Check] returns an error if c refuses a key, or encodes two keys as the same bytes.
func SortedEntries[M ~map[K]V, K comparable, V any](e *Encoder, c codec.Codec[K], m M) []Entry[V] {
	out := make([]Entry[V], 0, len(m))
	buf := make([]byte, 0, 16*len(m)) // the encodings of all keys
	for k, v := range m {
		start := len(buf)
		content, err := appendSafely(c, buf[start:], k)
		if err == nil {
			_, err = decodeSafely(c, content)
		}
		if err != nil {
			e.refuse(err)
			out = append(out, Entry[V]{Value: v})
			continue
		}
		buf = append(buf[:start], content...)
		out = append(out, Entry[V]{Key: buf[start:len(buf):len(buf)], Value: v})
	}
	slices.SortFunc(out, func(a, b Entry[V]) int { return bytes.Compare(a.Key, b.Key) })
	for i := 1; i < len(out); i++ {
		if a, b := out[i-1].Key, out[i].Key; a != nil && b != nil && bytes.Equal(a, b) {
			e.refuse(fmt.Errorf("%w: two keys are encoded as %s", codec.ErrDuplicate, wire.Quote(a)))
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
