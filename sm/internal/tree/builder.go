package tree

// Builder builds a tree from its first value to its last, without a copy for each. The
// zero Builder is empty.
type Builder[K, V any] struct {
	keys   []K // of the next leaf
	vals   []V
	leaves []*node[K, V]
}

// Append adds a key and a value at the end.
func (b *Builder[K, V]) Append(k K, v V) {
	if b.keys == nil {
		b.keys, b.vals = make([]K, 0, maxLeaf[K, V]()), make([]V, 0, maxLeaf[K, V]())
	}
	b.keys, b.vals = append(b.keys, k), append(b.vals, v)
	if len(b.keys) == cap(b.keys) {
		b.leaves = append(b.leaves, &node[K, V]{keys: b.keys, vals: b.vals})
		b.keys, b.vals = nil, nil
	}
}

// Tree returns the tree. The Builder must not be used again.
func (b *Builder[K, V]) Tree() Tree[K, V] {
	level := b.leaves
	if len(b.keys) > 0 {
		level = append(level, &node[K, V]{keys: joined(b.keys, nil), vals: joined(b.vals, nil)})
	}
	if len(level) == 0 {
		return Tree[K, V]{}
	}
	for len(level) > 1 {
		above := make([]*node[K, V], 0, (len(level)+maxKids-1)/maxKids)
		for len(level) > 0 {
			n := min(maxKids, len(level))
			above = append(above, branch(joined(level[:n], nil)))
			level = level[n:]
		}
		level = above
	}
	return Tree[K, V]{level[0]}
}
