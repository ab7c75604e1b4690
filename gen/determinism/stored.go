package determinism

import (
	"go/ast"
	"go/types"
	"slices"
)

// isStored reports whether an entry point stores a result in the state, too.
func (u *unit) isStored(s *sharing, e entry, r result) bool {
	if r.e == nil || e.role == roleDecode || !hasReferences(u.info.TypeOf(r.e), nil) {
		return false
	}
	if _, isCall := ast.Unparen(r.e).(*ast.CallExpr); isCall {
		return false
	}
	want, stored := types.ExprString(r.e), false
	is := func(x ast.Expr) bool {
		obj := u.objectOf(x)
		return types.ExprString(x) == want && obj != nil && obj == u.objectOf(r.e)
	}
	ast.Inspect(e.f.body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || stored || len(a.Lhs) != len(a.Rhs) {
			return !stored
		}
		for i, lhs := range a.Lhs {
			if s.writeMask(lhs)&e.state == 0 {
				continue
			}
			c, isCall := ast.Unparen(a.Rhs[i]).(*ast.CallExpr)
			stored = stored || is(a.Rhs[i]) || isCall && u.builtinOf(c) == "append" && !c.Ellipsis.IsValid() && slices.ContainsFunc(c.Args[1:], is)
		}
		return true
	})
	return stored
}

// isTaken reports whether a result is a variable whose value f has removed from the state: it
// is deleted or replaced after it was read.
func (u *unit) isTaken(f *function, r result) bool {
	if r.e == nil {
		return false
	}
	v, ok := u.objectOf(r.e).(*types.Var)
	if !ok || len(f.values[v]) == 0 {
		return false
	}
	return !slices.ContainsFunc(f.values[v], func(x value) bool {
		return x.e != nil && (x.elem || !u.isRemoved(f, x))
	})
}

// isRemoved reports whether what a variable got is deleted or replaced later.
func (u *unit) isRemoved(f *function, x value) bool {
	place, container := types.ExprString(x.e), ""
	if index, ok := ast.Unparen(x.e).(*ast.IndexExpr); ok {
		container = types.ExprString(index.X)
	}
	removed := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		if n == nil || removed {
			return false
		}
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Pos() <= x.pos || len(n.Lhs) != len(n.Rhs) {
				break
			}
			for i, lhs := range n.Lhs {
				c, isCall := ast.Unparen(n.Rhs[i]).(*ast.CallExpr)
				appends := isCall && u.builtinOf(c) == "append" && types.ExprString(c.Args[0]) == types.ExprString(lhs)
				text := types.ExprString(lhs)
				removed = removed || !appends && (text == place || text == container)
			}
		case *ast.CallExpr:
			if name := u.builtinOf(n); n.Pos() > x.pos && (name == "delete" || name == "clear") {
				removed = removed || types.ExprString(n.Args[0]) == container
			}
		}
		return true
	})
	return removed
}
