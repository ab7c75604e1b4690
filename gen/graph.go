package gen

// connected holds the properties of a type that depend on all types that it reaches.
// They are the same for all types of a cycle.
type connected struct {
	recursive bool // the type reaches itself
	special   bool // its encoding in a state is not that of a command
	depth     int  // how deep it nests; the types of a cycle count once
}

// connect sets the connected properties of the types that root reaches. It finds
// cycles with Tarjan's algorithm.
func connect(root *Type) {
	c := connector{index: make(map[*Type]int), lowest: make(map[*Type]int), open: make(map[*Type]bool)}
	c.visit(root)
}

// connector is the state of Tarjan's algorithm.
type connector struct {
	index  map[*Type]int  // the order in which types were visited, from 1
	lowest map[*Type]int  // the lowest index of an open type that a type reaches
	open   map[*Type]bool // the types on the stack
	stack  []*Type
}

func (c *connector) visit(t *Type) {
	c.index[t] = len(c.index) + 1
	c.lowest[t] = c.index[t]
	c.stack, c.open[t] = append(c.stack, t), true
	t.children(func(child *Type) {
		switch {
		case c.index[child] == 0:
			c.visit(child)
			c.lowest[t] = min(c.lowest[t], c.lowest[child])
		case c.open[child]:
			c.lowest[t] = min(c.lowest[t], c.index[child])
		}
	})
	if c.lowest[t] < c.index[t] {
		return
	}
	first := len(c.stack) - 1
	for c.stack[first] != t {
		first--
	}
	c.close(c.stack[first:])
	c.stack = c.stack[:first]
}

// close sets the properties of types that reach each other. Those of all other types
// that they reach are set.
func (c *connector) close(types []*Type) {
	var all connected
	all.recursive = len(types) > 1
	nests := false
	for _, t := range types {
		all.special = all.special || t.differs || t.stream
		nests = nests || t.nests()
		t.children(func(child *Type) {
			if c.open[child] {
				all.recursive = all.recursive || child == t
				return
			}
			all.special = all.special || child.special
			all.depth = max(all.depth, child.depth)
		})
	}
	if nests {
		all.depth++
	}
	for _, t := range types {
		t.connected = all
	}
	for _, t := range types {
		delete(c.open, t)
	}
}

// nests reports whether an encoded value of t is a container.
func (t *Type) nests() bool {
	switch t.Kind {
	case Slice, Array, Map, Struct, Sum:
		return true
	}
	return false
}

// nestingOf returns how many containers nest at most in the commands and states of
// pkg's machines between two values of recursive types with functions, and before the
// first such value.
func nestingOf(pkg *Package) int {
	deepest := 0
	known := make(map[*Type]int)
	for _, m := range pkg.Machines {
		for _, root := range m.roots() {
			root.walk(func(t *Type) { deepest = max(deepest, t.nesting(known)) })
		}
	}
	return deepest
}

// nesting returns how many containers nest at most in t before the next recursive type
// with functions. known caches its results.
func (t *Type) nesting(known map[*Type]int) int {
	if n, ok := known[t]; ok {
		return n
	}
	n := 0
	t.children(func(child *Type) {
		if !child.recursive || child.inline() {
			n = max(n, child.nesting(known))
		}
	})
	if t.nests() {
		n++
	}
	known[t] = n
	return n
}
