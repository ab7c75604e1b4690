package tree

import "cmp"

// Search returns the position of key in a tree whose keys are sorted and differ, or, if
// it is not there, the position at which it belongs.
func Search[K cmp.Ordered, V any](t Tree[K, V], key K) (i int, found bool) {
	n := t.root
	if n == nil {
		return 0, false
	}
	for !n.leaf() {
		j := max(0, after(n.keys, key)-1)
		if j > 0 {
			i += n.ends[j-1]
		}
		n = n.kids[j]
	}
	j := after(n.keys, key)
	if j > 0 && n.keys[j-1] == key {
		return i + j - 1, true
	}
	return i + j, false
}

// Get returns the value of key in a tree whose keys are sorted and differ.
func Get[K cmp.Ordered, V any](t Tree[K, V], key K) (v V, found bool) {
	n := t.root
	if n == nil {
		return v, false
	}
	for !n.leaf() {
		n = n.kids[max(0, after(n.keys, key)-1)]
	}
	j := after(n.keys, key)
	if j > 0 && n.keys[j-1] == key {
		return n.vals[j-1], true
	}
	return v, false
}

// after returns the number of keys that are not above key.
func after[K cmp.Ordered](keys []K, key K) int {
	low, high := 0, len(keys)
	for low < high {
		if mid := int(uint(low+high) >> 1); keys[mid] <= key {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// Ascend calls yield for the positions in [lo, hi), which must be in [0, Len], until it
// returns false.
func (t Tree[K, V]) Ascend(lo, hi int, yield func(K, V) bool) {
	if lo < hi {
		t.root.ascend(lo, hi, yield)
	}
}

func (n *node[K, V]) ascend(lo, hi int, yield func(K, V) bool) bool {
	if n.leaf() {
		for i := lo; i < hi; i++ {
			if !yield(n.keys[i], n.vals[i]) {
				return false
			}
		}
		return true
	}
	for j, start := n.child(lo + 1); j < len(n.kids) && start < hi; j++ {
		if !n.kids[j].ascend(max(lo-start, 0), min(hi, n.ends[j])-start, yield) {
			return false
		}
		start = n.ends[j]
	}
	return true
}

// Descend is [Tree.Ascend] in the opposite order, from the position before hi.
func (t Tree[K, V]) Descend(lo, hi int, yield func(K, V) bool) {
	if lo < hi {
		t.root.descend(lo, hi, yield)
	}
}

func (n *node[K, V]) descend(lo, hi int, yield func(K, V) bool) bool {
	if n.leaf() {
		for i := hi - 1; i >= lo; i-- {
			if !yield(n.keys[i], n.vals[i]) {
				return false
			}
		}
		return true
	}
	for j, _ := n.child(hi); j >= 0 && n.ends[j] > lo; j-- {
		start := 0
		if j > 0 {
			start = n.ends[j-1]
		}
		if !n.kids[j].descend(max(lo-start, 0), min(hi, n.ends[j])-start, yield) {
			return false
		}
	}
	return true
}
