package codecimpl

import (
	"cmp"
	"iter"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// The functions in this file are for the containers of package sm in the state of a
// machine.

// Text appends bytes that a string holds.
func (e *Encoder) Text(b []byte, s string) []byte {
	return append(wire.AppendBytesHeader(b, len(s)), s...)
}

// ReadItems yields the elements of a slice in a state, which take size bytes of memory
// each. value decodes one into a zero value. After an error r has a fault and the
// iteration ends. The caller must not end it.
func ReadItems[T any](r *Reader, size int64, value func(*T)) iter.Seq[T] {
	return func(yield func(T) bool) {
		v := new(T)
		for c := r.Items(size); r.Item(&c); {
			var zero T
			*v = zero
			if value(v); r.fault == nil {
				yield(*v)
			}
		}
	}
}

// ReadEntries yields the entries of a map in a state, which take size bytes of memory
// each. key decodes a key, and value a value into a zero value. The keys must be in
// ascending order, as [WriteState] writes them. After an error r has a fault and the
// iteration ends. The caller must not end it.
func ReadEntries[K cmp.Ordered, V any](r *Reader, size int64, key func() K, value func(*V)) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		var last K
		v := new(V)
		for c := r.Entries(size); r.Entry(&c, c.Index+1); {
			at := r.input.Off
			k := key()
			if r.fault == nil && c.Index > 0 && k <= last {
				r.unordered(at, k == last)
			}
			if r.fault != nil {
				continue // Entry ends the iteration
			}
			last = k
			var zero V
			*v = zero
			r.EntryValue(&c)
			if value(v); r.fault == nil {
				yield(k, *v)
			}
			EndEntry(r, &c, k)
		}
	}
}

// unordered refuses a key that is not above the key before it.
func (r *Reader) unordered(at int, equal bool) {
	if equal {
		r.refuse(at, codec.ErrDuplicate, "a key comes twice")
		return
	}
	r.refuse(at, codec.ErrCanonical, "the keys are not in ascending order")
}

// ReadKeys yields the keys of a map in a state whose values are empty; see [ReadEntries].
func ReadKeys[K cmp.Ordered, V any](r *Reader, size int64, key func() K, value func(*V)) iter.Seq[K] {
	return func(yield func(K) bool) {
		ReadEntries(r, size, key, value)(func(k K, _ V) bool { return yield(k) })
	}
}
