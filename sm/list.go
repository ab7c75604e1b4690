package sm

import (
	"fmt"
	"iter"
	"strings"

	"github.com/mosaik-go/mosaik/sm/internal/tree"
)

// List is a sequence for the state of a machine, as a slice is elsewhere. The zero List is
// empty and ready for use. A machine whose large slices are of this type is snapshotted
// while it applies further commands.
//
// A List is a value with the properties of a [Map]: an assignment copies it in constant
// time, the copies are independent, and its elements must not hold pointers, slices or
// plain maps. It has the encoding of a slice; a nil slice and an empty one are both
// restored as an empty List.
//
// Reading and writing one element, wherever it is, take time proportional to the logarithm
// of Len. Positions count from 0; those that do not exist cause a panic, as for a slice.
type List[T any] struct {
	_    incomparable
	tree tree.Tree[struct{}, T]
}

// CollectList returns a List with the elements of seq.
func CollectList[T any](seq iter.Seq[T]) List[T] {
	var b tree.Builder[struct{}, T]
	for v := range seq {
		b.Append(struct{}{}, v)
	}
	return List[T]{tree: b.Tree()}
}

// Len returns the number of elements.
func (l List[T]) Len() int { return l.tree.Len() }

// Get returns the element at position i. It panics if i is not in [0, Len).
func (l List[T]) Get(i int) T {
	inRange(i, l.Len())
	_, v := l.tree.At(i)
	return v
}

// First returns the first element, and false if the list is empty.
func (l List[T]) First() (v T, ok bool) {
	if l.Len() == 0 {
		return v, false
	}
	return l.Get(0), true
}

// Last returns the last element, and false if the list is empty.
func (l List[T]) Last() (v T, ok bool) {
	if l.Len() == 0 {
		return v, false
	}
	return l.Get(l.Len() - 1), true
}

// Set replaces the element at position i. It panics if i is not in [0, Len).
func (l *List[T]) Set(i int, v T) {
	inRange(i, l.Len())
	l.tree.Replace(i, v)
}

// Update replaces the element at position i by what f returns for it. It panics if i is
// not in [0, Len). If f panics, the list is unchanged. f must not change the list.
func (l *List[T]) Update(i int, f func(T) T) { l.Set(i, f(l.Get(i))) }

// Append adds elements at the end.
func (l *List[T]) Append(vs ...T) { l.Insert(l.Len(), vs...) }

// Insert inserts elements at position i, in front of the element there. It panics if i is
// not in [0, Len].
func (l *List[T]) Insert(i int, vs ...T) {
	inRange(i, l.Len()+1)
	if len(vs) > rebuiltFrom && len(vs) > l.Len()/rebuiltFrom {
		before := l.tree
		*l = CollectList(func(yield func(T) bool) {
			elements(before, 0, i)(yield)
			for _, v := range vs {
				yield(v)
			}
			elements(before, i, before.Len())(yield)
		})
		return
	}
	for j, v := range vs {
		l.tree.Insert(i+j, struct{}{}, v)
	}
}

// rebuiltFrom says when a list is built again instead of being changed one by one: if more
// elements are inserted or deleted, and more than this part of the list.
const rebuiltFrom = 32

// Delete removes the elements in [i, j). It panics if the range is not within [0, Len].
func (l *List[T]) Delete(i, j int) {
	if i < 0 || j < i || j > l.Len() {
		panic(fmt.Sprintf("sm: range [%d, %d) is not in [0, %d)", i, j, l.Len()))
	}
	if j-i > rebuiltFrom && j-i > l.Len()/rebuiltFrom {
		before := l.tree
		*l = CollectList(func(yield func(T) bool) {
			elements(before, 0, i)(yield)
			elements(before, j, before.Len())(yield)
		})
		return
	}
	for range j - i {
		l.tree.Remove(i)
	}
}

// Clear removes all elements.
func (l *List[T]) Clear() { l.tree = tree.Tree[struct{}, T]{} }

// The iterators below yield the elements that the list had when the method was called.
// Writes during the iteration do not affect it.

// All returns an iterator over positions and elements, from the first.
func (l List[T]) All() iter.Seq2[int, T] { return l.Between(0, l.Len()) }

// Between returns an iterator over the positions in [i, j) and their elements, from the
// first. It panics if the range is not within [0, Len].
func (l List[T]) Between(i, j int) iter.Seq2[int, T] {
	if i < 0 || j < i || j > l.Len() {
		panic(fmt.Sprintf("sm: range [%d, %d) is not in [0, %d)", i, j, l.Len()))
	}
	return func(yield func(int, T) bool) {
		at := i
		l.tree.Ascend(i, j, func(_ struct{}, v T) bool {
			at++
			return yield(at-1, v)
		})
	}
}

// Backward returns an iterator over positions and elements, from the last.
func (l List[T]) Backward() iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		at := l.Len()
		l.tree.Descend(0, at, func(_ struct{}, v T) bool {
			at--
			return yield(at, v)
		})
	}
}

// Values returns an iterator over the elements, from the first.
func (l List[T]) Values() iter.Seq[T] { return elements(l.tree, 0, l.Len()) }

// String returns the elements in the form in which package fmt prints a slice.
func (l List[T]) String() string { return text(l.Values()) }

// elements returns an iterator over the values in [i, j).
func elements[T any](t tree.Tree[struct{}, T], i, j int) iter.Seq[T] {
	return func(yield func(T) bool) {
		t.Ascend(i, j, func(_ struct{}, v T) bool { return yield(v) })
	}
}

// text returns the values of seq in the form in which package fmt prints a slice.
func text[T any](seq iter.Seq[T]) string {
	var b strings.Builder
	b.WriteByte('[')
	space := ""
	for v := range seq {
		fmt.Fprintf(&b, "%s%v", space, v)
		space = " "
	}
	b.WriteByte(']')
	return b.String()
}
