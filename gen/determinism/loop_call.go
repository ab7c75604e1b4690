package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// expr analyzes the calls in an expression.
func (l *loop) expr(e ast.Expr) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			l.call(n)
		}
		return true
	})
}

// call analyzes a call: whether it changes outer memory, so that the order of calls counts.
func (l *loop) call(c *ast.CallExpr) {
	switch l.u.builtinOf(c) {
	case "delete", "clear":
		l.change(c.Args[0])
		return
	case "copy":
		if root := l.outer(c.Args[0]); root != nil && !l.isKeyed(c.Args[0]) {
			l.problem(c, "%s is written in it", short(c.Args[0]))
		}
		return
	}
	callee := l.u.calleeOf(c)
	if callee == nil {
		l.callback(c)
		return
	}
	if callee.Pkg() == nil || isSink(callee) || toOutput(l.u, c, callee) {
		return
	}
	if path := callee.Pkg().Path(); isStandardPath(path) && callee.Pkg() != l.u.pass.Pkg && !l.u.hasFact(callee) {
		l.standardCall(c, callee)
		return
	}
	b := l.u.known(callee)
	if b == nil || b.Writes == 0 {
		return
	}
	ordered := b.Ordered && !l.puts(c, callee)
	for i := range 64 {
		if b.Writes&(1<<i) == 0 {
			continue
		}
		e := l.u.argument(c, callee, i)
		if e == nil || l.outer(e) == nil || l.isKeyed(e) {
			continue
		}
		if ordered {
			l.problem(c, "%s changes %s in it", nameOf(callee), short(e))
			return
		}
		l.change(e)
		l.shared = l.shared || !l.isFresh(l.outer(e))
		l.counted = true
	}
}

// puts reports whether a call puts an entry for the key of the round into a container, by the
// name of the method: such a container has the same entries in any order.
func (l *loop) puts(c *ast.CallExpr, callee *types.Func) bool {
	switch strings.ToLower(callee.Name()) {
	case "put", "set", "insert", "store", "upsert", "replace", "replaceorinsert", "update", "delete", "remove":
		return len(c.Args) > 0 && l.isKey(c.Args[0])
	}
	return false
}

// isPersistent reports whether an assignment is m = m.Set(k, v), of a persistent container.
func (l *loop) isPersistent(lhs, rhs ast.Expr) bool {
	c, ok := ast.Unparen(rhs).(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
	callee := l.u.calleeOf(c)
	return ok && callee != nil && types.ExprString(sel.X) == types.ExprString(lhs) && l.puts(c, callee)
}

// outer returns the variable outside of the loop that e belongs to, or nil.
func (l *loop) outer(e ast.Expr) *types.Var {
	if x, ok := ast.Unparen(e).(*ast.UnaryExpr); ok && x.Op == token.AND {
		e = x.X
	}
	root, _ := l.u.objectOf(rootOf(e, true)).(*types.Var)
	if root == nil || l.isInside(root) {
		return nil
	}
	return root
}

// standardCall analyzes a call of the standard library.
func (l *loop) standardCall(c *ast.CallExpr, callee *types.Func) {
	name, path := callee.Name(), callee.Pkg().Path()
	for _, e := range l.u.standardWrites(c, callee) {
		root := l.outer(e)
		if root == nil || l.isKeyed(e) {
			continue
		}
		switch {
		case path == "sync" || path == "sync/atomic", path == "maps", path == "container/heap", path == "math/big":
			l.change(e)
		case strings.HasPrefix(name, "Delete"), strings.HasPrefix(name, "Remove"), strings.HasPrefix(name, "Reset"), strings.HasPrefix(name, "Set"), strings.HasPrefix(name, "Truncate"), path == "sort", path == "slices":
			l.change(e)
		case l.isTemporaryBuffer(root):
		default:
			l.problem(c, "%s is written in it", short(e))
			return
		}
	}
}

// isTemporaryBuffer reports whether a variable is reset in the loop, and not used after it.
func (l *loop) isTemporaryBuffer(root *types.Var) bool {
	if isPackageVar(root) || l.isUsedAfter(root) {
		return false
	}
	reset := false
	ast.Inspect(l.body, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reset" && l.u.objectOf(sel.X) == types.Object(root) {
			reset = true
		}
		return !reset
	})
	return reset
}

// callback analyzes a call of a function value: elements that are passed to a parameter of
// the function arrive there in the order of the map.
func (l *loop) callback(c *ast.CallExpr) {
	id, ok := ast.Unparen(c.Fun).(*ast.Ident)
	if !ok || !slices.ContainsFunc(c.Args, func(e ast.Expr) bool { return l.depends(e) }) {
		return
	}
	if v, ok := l.u.objectOf(id).(*types.Var); ok && !l.isInside(v) && len(l.f.values[v]) == 0 {
		l.f.unordered = true
	}
}
