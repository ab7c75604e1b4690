package sm

import (
	"iter"

	"github.com/mosaik-go/mosaik/sm/internal/tree"
)

// Set is an ordered set for the state of a machine. The zero Set is empty and ready for
// use. It is a value with the cost and the concurrency of a [Map], and has the encoding of
// a plain map[K]struct{}.
type Set[K MapKey] struct{ m Map[K, struct{}] }

// CollectSet returns a Set with the elements of seq.
func CollectSet[K MapKey](seq iter.Seq[K]) Set[K] {
	return Set[K]{CollectMap(func(yield func(K, struct{}) bool) {
		seq(func(k K) bool { return yield(k, struct{}{}) })
	})}
}

// Len returns the number of elements.
func (s Set[K]) Len() int { return s.m.Len() }

// Has reports whether the set has the element k.
func (s Set[K]) Has(k K) bool { return s.m.Has(k) }

// Add adds the element k. It reports whether the set did not have it.
func (s *Set[K]) Add(k K) bool {
	i, ok := tree.Search(s.m.tree, k)
	if !ok {
		s.m.tree.Insert(i, k, struct{}{})
	}
	return !ok
}

// Delete removes the element k. It reports whether the set had it.
func (s *Set[K]) Delete(k K) bool { return s.m.Delete(k) }

// Clear removes all elements.
func (s *Set[K]) Clear() { s.m.Clear() }

// First returns the lowest element, and false if the set is empty.
func (s Set[K]) First() (k K, ok bool) {
	k, _, ok = s.m.First()
	return k, ok
}

// Last returns the highest element, and false if the set is empty.
func (s Set[K]) Last() (k K, ok bool) {
	k, _, ok = s.m.Last()
	return k, ok
}

// At returns the element at position i in ascending order. It panics if i is not in
// [0, Len).
func (s Set[K]) At(i int) K {
	k, _ := s.m.At(i)
	return k
}

// Index returns the number of elements that are lower than k, which is the position of k,
// and whether the set has the element k.
func (s Set[K]) Index(k K) (i int, ok bool) { return s.m.Index(k) }

// All returns an iterator over the elements that the set has now, in ascending order.
func (s Set[K]) All() iter.Seq[K] { return keys(s.m.All()) }

// Backward is [Set.All] in descending order.
func (s Set[K]) Backward() iter.Seq[K] { return keys(s.m.Backward()) }

// From is [Set.All] for the elements that are not lower than lo.
func (s Set[K]) From(lo K) iter.Seq[K] { return keys(s.m.From(lo)) }

// Between is [Set.All] for the elements in [lo, hi).
func (s Set[K]) Between(lo, hi K) iter.Seq[K] { return keys(s.m.Between(lo, hi)) }

// BackwardFrom is [Set.Backward] for the elements that are not higher than hi.
func (s Set[K]) BackwardFrom(hi K) iter.Seq[K] { return keys(s.m.BackwardFrom(hi)) }

// String returns the elements in the form in which package fmt prints a slice.
func (s Set[K]) String() string { return text(s.All()) }
