package gen

// connected is what is known of a type from all that it reaches. The types of
// recursive commands form cycles, so that it is found once, for all of them.
type connected struct {
	recursive bool // the type reaches itself
	special   bool // it is encoded in another way than in a command
	depth     int  // how deep it nests, where the types of a cycle count once
}

// connect finds the cycles among the types that root reaches, with Tarjan's
// algorithm, and what the types are in view of them.
func connect(root *Type) {
	c := connector{index: make(map[*Type]int), lowest: make(map[*Type]int), open: make(map[*Type]bool)}
	c.visit(root)
}

type connector struct {
	index  map[*Type]int  // in which order types were reached, from 1
	lowest map[*Type]int  // the lowest index of those that are reached and open
	open   map[*Type]bool // those on the stack
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

// close completes types that reach each other, after all others that they reach.
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

// levels returns how deep the commands and states of pkg's machines nest at most
// from the start, or from a type that is recursive and has functions, to the
// next such type.
func levels(pkg *Package) int {
	deepest := 0
	known := make(map[*Type]int)
	for _, m := range pkg.Machines {
		for _, root := range m.roots() {
			root.walk(func(t *Type) { deepest = max(deepest, t.levels(known)) })
		}
	}
	return deepest
}

// levels returns how deep t nests at most before the next recursive type with
// functions. Those that are known were looked at before.
func (t *Type) levels(known map[*Type]int) int {
	if n, ok := known[t]; ok {
		return n
	}
	n := 0
	t.children(func(child *Type) {
		if !child.recursive || child.inline() {
			n = max(n, child.levels(known))
		}
	})
	if t.nests() {
		n++
	}
	known[t] = n
	return n
}
