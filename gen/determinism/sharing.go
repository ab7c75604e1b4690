package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// value is something that is assigned to a local variable: the value of e, or one of its
// elements.
type value struct {
	e    ast.Expr
	elem bool
	pos  token.Pos
	in   ast.Node // the block around the assignment
}

// valuesOf returns what the body of f assigns to its variables, in the order of the source.
func (u *unit) valuesOf(f *function) map[*types.Var][]value {
	out := make(map[*types.Var][]value)
	set := func(lhs, rhs ast.Expr, elem bool, at ast.Node) {
		id, ok := ast.Unparen(lhs).(*ast.Ident)
		if !ok {
			return
		}
		if v, ok := u.objectOf(id).(*types.Var); ok && !v.IsField() {
			out[v] = append(out[v], value{rhs, elem, at.Pos(), f.blockOf(at)})
		}
	}
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				switch {
				case n.Tok != token.ASSIGN && n.Tok != token.DEFINE:
					set(lhs, nil, false, n)
				case len(n.Lhs) == len(n.Rhs):
					set(lhs, n.Rhs[i], false, n)
				default:
					set(lhs, n.Rhs[0], false, n)
				}
			}
		case *ast.IncDecStmt:
			set(n.X, nil, false, n)
		case *ast.ValueSpec:
			for i, name := range n.Names {
				switch {
				case len(n.Names) == len(n.Values):
					set(name, n.Values[i], false, n)
				case len(n.Values) > 0:
					set(name, n.Values[0], false, n)
				}
			}
		case *ast.RangeStmt:
			for _, lhs := range []ast.Expr{n.Key, n.Value} {
				if lhs != nil {
					set(lhs, n.X, true, n)
				}
			}
		case *ast.TypeSwitchStmt:
			s, ok := n.Assign.(*ast.AssignStmt)
			if !ok || len(s.Rhs) != 1 {
				break
			}
			assert, ok := s.Rhs[0].(*ast.TypeAssertExpr)
			if !ok {
				break
			}
			for _, clause := range n.Body.List {
				if v, ok := u.info.Implicits[clause].(*types.Var); ok {
					out[v] = append(out[v], value{assert.X, true, n.Pos(), f.body})
				}
			}
		}
		return true
	})
	return out
}

// blockOf returns the block or clause around n.
func (f *function) blockOf(n ast.Node) ast.Node {
	for p := f.parents[n]; p != nil; p = f.parents[p] {
		switch p.(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause, *ast.IfStmt, *ast.ForStmt,
			*ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt:
			return p
		}
	}
	return f.body
}

// sharing computes with which parameters of a function values share memory.
type sharing struct {
	u     *unit
	f     *function
	roots map[*types.Var]uint64
	busy  map[*types.Var]bool
}

func (u *unit) sharingOf(f *function) *sharing {
	s := &sharing{u: u, f: f, roots: make(map[*types.Var]uint64), busy: make(map[*types.Var]bool)}
	for i, p := range f.params {
		if p != nil && i < 64 {
			s.roots[p] = 1 << i
		}
	}
	return s
}

// of returns the parameters with whose memory the value of e is shared.
func (s *sharing) of(e ast.Expr) uint64 {
	if e == nil {
		return 0
	}
	if t := s.u.info.TypeOf(e); t == nil || !hasReferences(t, nil) {
		if _, ok := t.(*types.Tuple); !ok {
			return 0
		}
	}
	return s.place(e)
}

// place is of without regard to the type of e.
func (s *sharing) place(e ast.Expr) uint64 {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return s.place(e.X)
	case *ast.Ident:
		v, _ := s.u.objectOf(e).(*types.Var)
		return s.variable(v, e.Pos())
	case *ast.SelectorExpr:
		if _, ok := s.u.info.Selections[e]; ok {
			return s.place(e.X)
		}
	case *ast.IndexExpr, *ast.SliceExpr, *ast.StarExpr, *ast.TypeAssertExpr:
		x, _ := operandOf(e)
		return s.place(x)
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			if c, ok := ast.Unparen(e.X).(*ast.CompositeLit); ok {
				return s.of(c)
			}
			return s.place(e.X)
		}
	case *ast.CompositeLit:
		var mask uint64
		for _, elem := range e.Elts {
			if kv, ok := elem.(*ast.KeyValueExpr); ok {
				elem = kv.Value
			}
			mask |= s.of(elem)
		}
		return mask
	case *ast.CallExpr:
		return s.call(e)
	}
	return 0
}

// variable returns what a variable shares at a position: what it was assigned last, on every
// path, and on some paths since then.
func (s *sharing) variable(v *types.Var, at token.Pos) uint64 {
	if v == nil {
		return 0
	}
	values := s.f.values[v]
	mask, first := s.roots[v], 0
	for i, x := range values {
		if x.pos < at && x.in.Pos() <= at && at <= x.in.End() {
			first, mask = i, 0
		}
	}
	if len(values) == 0 || s.busy[v] {
		return mask
	}
	s.busy[v] = true
	defer delete(s.busy, v)
	for _, x := range values[first:] {
		if x.elem {
			if hasReferences(v.Type(), nil) {
				mask |= s.place(x.e)
			}
			continue
		}
		if x.e != nil {
			if hasReferences(v.Type(), nil) {
				mask |= s.of(x.e)
			}
		}
	}
	return mask
}

// call returns what the result of a call shares.
func (s *sharing) call(c *ast.CallExpr) uint64 {
	if tv, ok := s.u.info.Types[c.Fun]; ok && tv.IsType() {
		if len(c.Args) != 1 || !hasReferences(tv.Type, nil) {
			return 0
		}
		return s.of(c.Args[0])
	}
	if s.u.builtinOf(c) == "append" {
		mask := s.of(c.Args[0])
		for _, arg := range c.Args[1:] {
			if !c.Ellipsis.IsValid() {
				mask |= s.of(arg)
			} else if t, ok := s.u.info.TypeOf(arg).Underlying().(*types.Slice); ok && hasReferences(t.Elem(), nil) {
				mask |= s.of(arg)
			}
		}
		return mask
	}
	callee := s.u.calleeOf(c)
	if callee == nil || callee.Pkg() == nil {
		return 0
	}
	if path := callee.Pkg().Path(); isStandardPath(path) && callee.Pkg() != s.u.pass.Pkg && !s.u.hasFact(callee) {
		if len(c.Args) > 0 && passesOn(path, callee.Name()) {
			return s.of(c.Args[0])
		}
		return 0
	}
	b := s.u.known(callee)
	if b == nil {
		return 0
	}
	return s.arguments(c, callee, b.Shares, s.of)
}

// passesOn reports whether a function of the standard library returns a part of its first
// argument.
func passesOn(path, name string) bool {
	switch path {
	case "slices":
		return slices.Contains(strings.Fields("Clip Grow Compact CompactFunc Delete DeleteFunc Insert Replace"), name)
	case "bytes":
		return strings.HasPrefix(name, "Trim") || strings.HasPrefix(name, "Cut") || strings.HasPrefix(name, "Split") || strings.HasPrefix(name, "Fields")
	}
	return false
}

// arguments returns the union of what arguments are, for the parameters of the callee in mask.
func (s *sharing) arguments(c *ast.CallExpr, callee *types.Func, mask uint64, what func(ast.Expr) uint64) uint64 {
	var out uint64
	for i := range 64 {
		if mask&(1<<i) == 0 {
			continue
		}
		if e := s.u.argument(c, callee, i); e != nil {
			out |= what(e)
		}
	}
	return out
}

// argument returns the argument for a parameter of the callee; 0 is the receiver.
func (u *unit) argument(c *ast.CallExpr, callee *types.Func, i int) ast.Expr {
	args := c.Args
	if callee.Signature().Recv() != nil {
		sel, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
		if !ok {
			return nil
		}
		if selection, ok := u.info.Selections[sel]; ok && selection.Kind() == types.MethodVal {
			if i == 0 {
				return sel.X
			}
		} else { // a method expression
			i++
		}
	} else if i == 0 {
		return nil
	}
	if i-1 < len(args) {
		return args[i-1]
	}
	return nil
}

// summarize computes what the functions of the package write and share.
func (u *unit) summarize() {
	for range 10 {
		changed := false
		for _, f := range u.funcs {
			var writes uint64
			ordered := false
			for _, w := range u.writesOf(f) {
				writes |= w.mask
				ordered = ordered || w.ordered
			}
			shares := u.sharesOf(f)
			if writes != f.writes || ordered != f.ordered || shares != f.shares {
				f.writes, f.ordered, f.shares, changed = writes, ordered, shares, true
			}
		}
		if !changed {
			break
		}
	}
	u.summarizeOrder()
}

// sharesOf returns the parameters with whose memory the results of f are shared.
func (u *unit) sharesOf(f *function) uint64 {
	s := u.sharingOf(f)
	var mask uint64
	for _, r := range u.resultsOf(f) {
		mask |= r.shares(s)
	}
	return mask
}

// result is an expression that a function returns, or a named result.
type result struct {
	at ast.Node
	e  ast.Expr
	v  *types.Var
}

// shares returns the parameters with whose memory the result is shared.
func (r result) shares(s *sharing) uint64 {
	switch {
	case r.v == nil:
		return s.of(r.e)
	case hasReferences(r.v.Type(), nil):
		return s.variable(r.v, r.at.Pos())
	}
	return 0
}

// resultsOf returns what f itself returns.
func (u *unit) resultsOf(f *function) []result {
	var out []result
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			for _, e := range n.Results {
				out = append(out, result{at: e, e: e})
			}
			if len(n.Results) > 0 || f.typ.Results == nil {
				break
			}
			for _, field := range f.typ.Results.List {
				for _, name := range field.Names {
					if v, ok := u.info.Defs[name].(*types.Var); ok {
						out = append(out, result{at: n, v: v})
					}
				}
			}
		}
		return true
	})
	return out
}

// hasReferences reports whether values of t refer to memory that can change: pointers,
// slices, maps and channels. The values of interfaces are not known. Times, locations, regular
// expressions and the containers of package sm share nothing that changes.
func hasReferences(t types.Type, seen []types.Type) bool {
	if slices.Contains(seen, t) {
		return false
	}
	if isContainer(t) {
		return false
	}
	seen = append(seen, t)
	if n := namedOf(t); n != nil && n.Obj().Pkg() != nil {
		switch n.Obj().Pkg().Path() + "." + n.Obj().Name() {
		case "time.Time", "time.Location", "regexp.Regexp", "net/netip.Addr", "net/netip.Prefix", "net/netip.AddrPort":
			return false
		}
	}
	switch x := t.Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Chan:
		return true
	case *types.Array:
		return hasReferences(x.Elem(), seen)
	case *types.Struct:
		for field := range x.Fields() {
			if hasReferences(field.Type(), seen) {
				return true
			}
		}
	}
	return false
}
