// Package tree implements the persistent sequence below the containers of package sm: a
// B+ tree with counted branches, whose nodes never change. A write copies the nodes
// between the root and one leaf, and shares all others with the tree before it.
package tree

import "unsafe"

// Tree is a sequence of keys and values. The zero Tree is empty. A Tree is a value: a
// copy of it costs one word, and writes to either one do not change the other. So any
// number of goroutines may read a Tree and its copies while nobody assigns to them.
//
// Positions count from 0. A Tree whose keys are sorted can be searched with [Search]. A
// list has keys of type struct{}.
type Tree[K, V any] struct{ root *node[K, V] }

// node is a leaf or a branch. All leaves have the same depth. Nodes are never empty, and
// neither they nor their slices change once they belong to a tree.
type node[K, V any] struct {
	keys []K           // of a leaf: its keys; of a branch: the first key of each child
	vals []V           // of a leaf: its values
	kids []*node[K, V] // of a branch: its children
	ends []int         // of a branch: for each child, the values in it and in those before
}

// leafBytes is how much memory the values of a full leaf take, in bytes, within the limits
// below, so that a leaf of large values is cheap to copy.
const leafBytes = 1 << 10

// Limits of the width of nodes; tests lower them.
var (
	maxKids   = 32 // the highest number of children of a branch
	leafLeast = 8  // the limits of maxLeaf
	leafMost  = 32
)

// maxLeaf returns the highest number of values in a leaf.
func maxLeaf[K, V any]() int {
	var (
		k K
		v V
	)
	return min(max(leafBytes/int(unsafe.Sizeof(k)+unsafe.Sizeof(v)+1), leafLeast), leafMost)
}

// Len returns the number of values.
func (t Tree[K, V]) Len() int {
	if t.root == nil {
		return 0
	}
	return t.root.len()
}

func (n *node[K, V]) leaf() bool { return n.kids == nil }

func (n *node[K, V]) len() int {
	if n.leaf() {
		return len(n.vals)
	}
	return n.ends[len(n.ends)-1]
}

// width returns the number of values of a leaf, or of children of a branch.
func (n *node[K, V]) width() int { return len(n.vals) + len(n.kids) }

// highest returns the highest width of n.
func (n *node[K, V]) highest() int {
	if n.leaf() {
		return maxLeaf[K, V]()
	}
	return maxKids
}

// child returns the index of the first child that ends at position i or behind it, and
// the position at which the child starts.
func (n *node[K, V]) child(i int) (j, start int) {
	low, high := 0, len(n.ends)
	for low < high {
		if mid := int(uint(low+high) >> 1); n.ends[mid] < i {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low > 0 {
		start = n.ends[low-1]
	}
	return low, start
}

// At returns the key and the value at position i, which must be in [0, Len).
func (t Tree[K, V]) At(i int) (K, V) {
	n := t.root
	for !n.leaf() {
		j, start := n.child(i + 1)
		n, i = n.kids[j], i-start
	}
	return n.keys[i], n.vals[i]
}

// Replace replaces the value at position i, which must be in [0, Len).
func (t *Tree[K, V]) Replace(i int, v V) { t.root = t.root.replace(i, v) }

func (n *node[K, V]) replace(i int, v V) *node[K, V] {
	if n.leaf() {
		return &node[K, V]{keys: n.keys, vals: replaced(n.vals, i, v)}
	}
	j, start := n.child(i + 1)
	return &node[K, V]{keys: n.keys, kids: replaced(n.kids, j, n.kids[j].replace(i-start, v)), ends: n.ends}
}

// Insert inserts a key and a value at position i, which must be in [0, Len].
func (t *Tree[K, V]) Insert(i int, k K, v V) {
	if t.root == nil {
		t.root = &node[K, V]{keys: []K{k}, vals: []V{v}}
		return
	}
	left, right := t.root.insert(i, k, v, i == t.root.len())
	if t.root = left; right != nil {
		t.root = branch([]*node[K, V]{left, right})
	}
}

// insert returns one or two nodes in place of n. At the end of the tree, where it splits
// nodes so that the left one stays full, last is true.
func (n *node[K, V]) insert(i int, k K, v V, last bool) (left, right *node[K, V]) {
	if n.leaf() {
		return split(&node[K, V]{keys: inserted(n.keys, i, k), vals: inserted(n.vals, i, v)}, last)
	}
	j, start := n.child(i)
	left, right = n.kids[j].insert(i-start, k, v, last)
	out := &node[K, V]{keys: n.keys}
	if i == 0 {
		out.keys = replaced(n.keys, 0, k)
	}
	if right == nil {
		out.kids, out.ends = replaced(n.kids, j, left), shifted(n.ends, j, 1)
		return out, nil
	}
	out.keys = inserted(out.keys, j+1, right.keys[0])
	out.kids = inserted(n.kids, j+1, right)
	out.kids[j] = left
	out.ends = inserted(shifted(n.ends, j, 1), j, start+left.len())
	return split(out, last)
}

// split returns n, or two halves of it if it is too wide.
func split[K, V any](n *node[K, V], last bool) (left, right *node[K, V]) {
	if n.width() <= n.highest() {
		return n, nil
	}
	at := n.width() / 2
	if last {
		at = n.width() - 1
	}
	return n.part(0, at), n.part(at, n.width())
}

// part returns a copy of n that is limited to [from, to) of its width.
func (n *node[K, V]) part(from, to int) *node[K, V] {
	out := &node[K, V]{keys: joined(n.keys[from:to], nil)}
	if n.leaf() {
		out.vals = joined(n.vals[from:to], nil)
		return out
	}
	out.kids = joined(n.kids[from:to], nil)
	out.ends = ends(out.kids)
	return out
}

// branch returns the parent of kids, of which there are at most maxKids.
func branch[K, V any](kids []*node[K, V]) *node[K, V] {
	keys := make([]K, len(kids))
	for i, kid := range kids {
		keys[i] = kid.keys[0]
	}
	return &node[K, V]{keys: keys, kids: kids, ends: ends(kids)}
}

func ends[K, V any](kids []*node[K, V]) []int {
	out, sum := make([]int, len(kids)), 0
	for i, kid := range kids {
		sum += kid.len()
		out[i] = sum
	}
	return out
}

// Remove removes the key and the value at position i, which must be in [0, Len).
func (t *Tree[K, V]) Remove(i int) {
	t.root = t.root.remove(i)
	for t.root != nil && len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
}

// remove returns the node in place of n, which is nil if it would be empty.
func (n *node[K, V]) remove(i int) *node[K, V] {
	if n.leaf() {
		if len(n.vals) == 1 {
			return nil
		}
		return &node[K, V]{keys: removed(n.keys, i), vals: removed(n.vals, i)}
	}
	j, start := n.child(i + 1)
	kid := n.kids[j].remove(i - start)
	switch {
	case kid == nil && len(n.kids) == 1:
		return nil
	case kid == nil:
		return &node[K, V]{keys: removed(n.keys, j), kids: removed(n.kids, j), ends: removed(shifted(n.ends, j, -1), j)}
	}
	out := &node[K, V]{keys: n.keys, kids: replaced(n.kids, j, kid), ends: shifted(n.ends, j, -1)}
	if i == start {
		out.keys = replaced(n.keys, j, kid.keys[0])
	}
	out.join(j)
	return out
}

// join joins the child at index j of a new node with one of its neighbours if the child
// has become narrow and both fit into one node, with room for more.
func (n *node[K, V]) join(j int) {
	kid := n.kids[j]
	if kid.width() >= kid.highest()/4 {
		return
	}
	for _, left := range []int{j, j - 1} {
		if left < 0 || left+1 >= len(n.kids) {
			continue
		}
		a, b := n.kids[left], n.kids[left+1]
		if a.width()+b.width() > kid.highest()*3/4 {
			continue
		}
		both := &node[K, V]{keys: joined(a.keys, b.keys)}
		if kid.leaf() {
			both.vals = joined(a.vals, b.vals)
		} else {
			both.kids = joined(a.kids, b.kids)
			both.ends = ends(both.kids)
		}
		n.keys = removed(n.keys, left+1)
		n.kids = removed(n.kids, left+1)
		n.kids[left] = both
		n.ends = removed(n.ends, left)
		return
	}
}

// The functions below return new slices, without capacity to spare, and never change
// their arguments.

func replaced[T any](s []T, i int, v T) []T {
	out := make([]T, len(s))
	copy(out, s)
	out[i] = v
	return out
}

func inserted[T any](s []T, i int, v T) []T {
	out := make([]T, len(s)+1)
	copy(out, s[:i])
	out[i] = v
	copy(out[i+1:], s[i:])
	return out
}

func removed[T any](s []T, i int) []T {
	out := make([]T, len(s)-1)
	copy(out, s[:i])
	copy(out[i:], s[i+1:])
	return out
}

func joined[T any](a, b []T) []T {
	out := make([]T, len(a)+len(b))
	copy(out, a)
	copy(out[len(a):], b)
	return out
}

// shifted adds by to s[from:].
func shifted(s []int, from, by int) []int {
	out := make([]int, len(s))
	copy(out, s)
	for i := from; i < len(out); i++ {
		out[i] += by
	}
	return out
}
