package sm

import (
	"fmt"
	"iter"
	"strings"

	"github.com/mosaik-go/mosaik/sm/internal/tree"
)

// MapKey is the constraint of the keys of a [Map] and the elements of a [Set]: strings and
// integers, whose order is that of their encoding.
type MapKey interface {
	~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Map is an ordered map for the state of a machine. The zero Map is empty and ready for
// use. A machine whose large maps are of this type is snapshotted while it applies
// further commands.
//
// A Map is a value: an assignment copies it in constant time, and the copies are
// independent. So a copy is a frozen view of the state, a query may return it, and a
// command that changes a copy and then fails has changed nothing. Values must not hold
// pointers, slices or plain maps, which copies would share; they may hold a Map or a
// [List]. mosaik-gen checks this. Use [Map.Update] to change a value in place.
//
// A Map has the encoding of the plain map with these types, so that exchanging one for
// the other does not change the signature of a machine. A nil map and an empty one are
// both restored as an empty Map.
//
// Reading and writing take time proportional to the logarithm of Len. A write allocates
// the few nodes that it replaces. Any number of goroutines may read a Map while none
// assigns to it or calls one of its methods with a pointer receiver.
type Map[K MapKey, V any] struct {
	_    incomparable
	tree tree.Tree[K, V]
}

// incomparable makes a struct one that == does not accept. Equal containers can have
// different trees, so == would be wrong.
type incomparable [0]func()

// CollectMap returns a Map with the entries of seq. Of entries with the same key the last
// counts. Entries in ascending order are added fastest.
func CollectMap[K MapKey, V any](seq iter.Seq2[K, V]) Map[K, V] {
	var (
		b      tree.Builder[K, V]
		m      Map[K, V]
		last   K
		sorted = true
		n      int
	)
	for k, v := range seq {
		if sorted && n > 0 && k <= last {
			m.tree, sorted = b.Tree(), false
		}
		if !sorted {
			m.Set(k, v)
			continue
		}
		b.Append(k, v)
		last, n = k, n+1
	}
	if sorted {
		m.tree = b.Tree()
	}
	return m
}

// Len returns the number of entries.
func (m Map[K, V]) Len() int { return m.tree.Len() }

// Get returns the value of key, and whether there is one.
func (m Map[K, V]) Get(key K) (value V, ok bool) { return tree.Get(m.tree, key) }

// Has reports whether the map has an entry with key.
func (m Map[K, V]) Has(key K) bool {
	_, ok := tree.Get(m.tree, key)
	return ok
}

// Set sets the value of key.
func (m *Map[K, V]) Set(key K, value V) {
	if i, ok := tree.Search(m.tree, key); ok {
		m.tree.Replace(i, value)
	} else {
		m.tree.Insert(i, key, value)
	}
}

// Update replaces the value of key by what f returns for it. Without an entry, f receives
// the zero value, as with m[key] += x on a plain map. If f panics, the map is unchanged.
func (m *Map[K, V]) Update(key K, f func(V) V) {
	before := m.tree
	i, ok := tree.Search(before, key)
	var value V
	if ok {
		_, value = before.At(i)
	}
	value = f(value)
	switch {
	case m.tree != before: // f has changed the map, and i may be wrong
		m.Set(key, value)
	case ok:
		m.tree.Replace(i, value)
	default:
		m.tree.Insert(i, key, value)
	}
}

// Delete removes the entry with key. It reports whether there was one.
func (m *Map[K, V]) Delete(key K) bool {
	i, ok := tree.Search(m.tree, key)
	if ok {
		m.tree.Remove(i)
	}
	return ok
}

// Clear removes all entries.
func (m *Map[K, V]) Clear() { m.tree = tree.Tree[K, V]{} }

// First returns the entry with the lowest key, and false if the map is empty.
func (m Map[K, V]) First() (key K, value V, ok bool) {
	if m.Len() == 0 {
		return key, value, false
	}
	key, value = m.tree.At(0)
	return key, value, true
}

// Last returns the entry with the highest key, and false if the map is empty.
func (m Map[K, V]) Last() (key K, value V, ok bool) {
	if m.Len() == 0 {
		return key, value, false
	}
	key, value = m.tree.At(m.Len() - 1)
	return key, value, true
}

// At returns the entry at position i in ascending order of the keys. It panics if i is
// not in [0, Len).
func (m Map[K, V]) At(i int) (key K, value V) {
	inRange(i, m.Len())
	return m.tree.At(i)
}

// Index returns the number of keys that are lower than key, which is the position of key,
// and whether the map has an entry with key.
func (m Map[K, V]) Index(key K) (i int, ok bool) { return tree.Search(m.tree, key) }

// The iterators below yield the entries that the map had when the method was called.
// Writes during the iteration do not affect it.

// All returns an iterator over all entries, in ascending order of the keys.
func (m Map[K, V]) All() iter.Seq2[K, V] { return ascending(m.tree, 0, m.Len()) }

// Backward returns an iterator over all entries, in descending order of the keys.
func (m Map[K, V]) Backward() iter.Seq2[K, V] { return descending(m.tree, 0, m.Len()) }

// From returns an iterator over the entries whose keys are not lower than lo, in ascending
// order.
func (m Map[K, V]) From(lo K) iter.Seq2[K, V] {
	i, _ := m.Index(lo)
	return ascending(m.tree, i, m.Len())
}

// Between returns an iterator over the entries whose keys are in [lo, hi), in ascending
// order. It yields nothing if hi is lower than lo.
func (m Map[K, V]) Between(lo, hi K) iter.Seq2[K, V] {
	i, _ := m.Index(lo)
	j, _ := m.Index(hi)
	return ascending(m.tree, i, j)
}

// BackwardFrom returns an iterator over the entries whose keys are not higher than hi, in
// descending order.
func (m Map[K, V]) BackwardFrom(hi K) iter.Seq2[K, V] {
	i, ok := m.Index(hi)
	if ok {
		i++
	}
	return descending(m.tree, 0, i)
}

// Keys returns an iterator over the keys, in ascending order.
func (m Map[K, V]) Keys() iter.Seq[K] { return keys(m.All()) }

// Values returns an iterator over the values, in ascending order of the keys.
func (m Map[K, V]) Values() iter.Seq[V] { return values(m.All()) }

// String returns the entries in the form in which package fmt prints a plain map.
func (m Map[K, V]) String() string {
	var b strings.Builder
	b.WriteString("map[")
	space := ""
	for k, v := range m.All() {
		fmt.Fprintf(&b, "%s%v:%v", space, k, v)
		space = " "
	}
	b.WriteByte(']')
	return b.String()
}

func ascending[K, V any](t tree.Tree[K, V], lo, hi int) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.Ascend(lo, hi, yield) }
}

func descending[K, V any](t tree.Tree[K, V], lo, hi int) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.Descend(lo, hi, yield) }
}

func keys[K, V any](seq iter.Seq2[K, V]) iter.Seq[K] {
	return func(yield func(K) bool) { seq(func(k K, _ V) bool { return yield(k) }) }
}

func values[K, V any](seq iter.Seq2[K, V]) iter.Seq[V] {
	return func(yield func(V) bool) { seq(func(_ K, v V) bool { return yield(v) }) }
}

// inRange panics if i is not in [0, n), as an index expression does.
func inRange(i, n int) {
	if i < 0 || i >= n {
		panic(fmt.Sprintf("sm: index %d is not in [0, %d)", i, n))
	}
}
