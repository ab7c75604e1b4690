package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// assignments analyzes an assignment.
func (l *loop) assignments(s *ast.AssignStmt, conds []*ast.IfStmt) {
	for i, lhs := range s.Lhs {
		var rhs ast.Expr
		if len(s.Lhs) == len(s.Rhs) {
			rhs = s.Rhs[i]
		} else {
			rhs = s.Rhs[0]
		}
		id, isIdent := ast.Unparen(lhs).(*ast.Ident)
		if isIdent && id.Name == "_" {
			continue
		}
		root, _ := l.u.objectOf(rootOf(lhs, true)).(*types.Var)
		if root == nil {
			continue
		}
		if l.isInside(root) {
			if !isIdent && l.readsSum(rhs, nil) {
				l.problem(s, "%s numbers the elements", short(rhs))
			}
			continue
		}
		if s.Tok == token.DEFINE && l.u.info.Defs[id] != nil {
			continue
		}
		if s.Tok != token.ASSIGN && s.Tok != token.DEFINE {
			l.operate(s, lhs, rhs, s.Tok)
			continue
		}
		l.assign(s, lhs, rhs, root, conds)
	}
}

// operate analyzes x op= e.
func (l *loop) operate(s ast.Node, lhs, rhs ast.Expr, tok token.Token) {
	t := l.u.info.TypeOf(lhs)
	root := l.u.objectOf(rootOf(lhs, true))
	keyed := l.isKeyed(lhs)
	switch {
	case keyed:
		l.change(lhs)
	case isString(t):
		l.problem(s, "%s is built in it", short(lhs))
	case isFloat(t) && !l.u.isConstant(rhs):
		l.problem(s, "the sum of floats in %s depends on it", short(lhs))
	case !commutative(tok):
		l.problem(s, "%s of several elements depends on it", short(lhs))
	case l.readsSum(rhs, root):
		l.problem(s, "%s depends on the elements before", short(lhs))
	default:
		l.change(lhs)
	}
}

// isKeyed reports whether lhs is an entry for the key of the round, in a map or a slice, or
// for something made of the key alone.
func (l *loop) isKeyed(lhs ast.Expr) bool {
	for e := ast.Unparen(lhs); ; {
		switch x := e.(type) {
		case *ast.IndexExpr:
			if l.isKey(x.Index) {
				return true
			}
			e = ast.Unparen(x.X)
		case *ast.SelectorExpr:
			e = ast.Unparen(x.X)
		case *ast.StarExpr:
			e = ast.Unparen(x.X)
		default:
			return false
		}
	}
}

// isKey reports whether e identifies the element: the key, a conversion or a composite of it,
// or a field of the key or the value. A field such as v.ID is taken to be unique.
func (l *loop) isKey(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		obj := l.u.objectOf(e)
		if obj == nil {
			return false
		}
		if obj == l.key {
			return true
		}
		// A variable of the round that is made of the key.
		v, ok := obj.(*types.Var)
		if !ok || obj == l.val || !l.isInside(obj) {
			return false
		}
		return slices.ContainsFunc(l.f.values[v], func(x value) bool {
			return x.e != nil && (x.elem || l.isKey(x.e))
		})
	case *ast.SelectorExpr:
		return l.depends(e.X)
	case *ast.CallExpr:
		return slices.ContainsFunc(e.Args, l.isKey) || func() bool {
			sel, ok := ast.Unparen(e.Fun).(*ast.SelectorExpr)
			return ok && l.depends(sel.X)
		}()
	case *ast.CompositeLit:
		return slices.ContainsFunc(e.Elts, func(x ast.Expr) bool {
			if kv, ok := x.(*ast.KeyValueExpr); ok {
				x = kv.Value
			}
			return l.isKey(x)
		})
	case *ast.BinaryExpr:
		return l.isKey(e.X) || l.isKey(e.Y)
	}
	x, ok := operandOf(e)
	return ok && l.isKey(x)
}

// assign analyzes x = e, of an outer variable or of memory behind one.
func (l *loop) assign(s ast.Node, lhs, rhs ast.Expr, root *types.Var, conds []*ast.IfStmt) {
	if c, ok := ast.Unparen(rhs).(*ast.CallExpr); ok {
		switch l.u.builtinOf(c) {
		case "append":
			if types.ExprString(c.Args[0]) == types.ExprString(lhs) {
				l.appends(s, lhs, c)
				return
			}
		case "max", "min":
			if slices.ContainsFunc(c.Args, func(e ast.Expr) bool { return types.ExprString(e) == types.ExprString(lhs) }) {
				l.change(lhs)
				return
			}
		}
	}
	if b, ok := ast.Unparen(rhs).(*ast.BinaryExpr); ok && !l.isKeyed(lhs) {
		own := types.ExprString(lhs)
		swaps := []token.Token{token.ADD, token.MUL, token.OR, token.AND, token.LOR, token.LAND}
		if types.ExprString(b.X) == own || types.ExprString(b.Y) == own && slices.Contains(swaps, b.Op) {
			l.binary(s, lhs, b)
			return
		}
	}
	switch {
	case l.isKeyed(lhs):
		if l.readsSum(rhs, nil) {
			l.problem(s, "%s numbers the elements", short(rhs))
			return
		}
		l.change(lhs)
	case !l.depends(rhs) && !l.readsSum(rhs, nil):
		l.assignConstant(s, lhs, rhs)
	case l.isExtreme(s, lhs, rhs, conds), l.isPersistent(lhs, rhs):
		l.change(lhs)
	case l.isTemporary(lhs, root):
	case l.isIndexed(lhs):
		l.indexed(s, lhs)
	default:
		l.problem(s, "%s keeps the value of the last element", short(lhs))
	}
}

// binary analyzes x = x op e.
func (l *loop) binary(s ast.Node, lhs ast.Expr, b *ast.BinaryExpr) {
	if b.Op == token.LOR || b.Op == token.LAND {
		l.change(lhs)
		return
	}
	tok, ok := map[token.Token]token.Token{
		token.ADD: token.ADD_ASSIGN, token.SUB: token.SUB_ASSIGN, token.MUL: token.MUL_ASSIGN, token.OR: token.OR_ASSIGN,
		token.AND: token.AND_ASSIGN, token.XOR: token.XOR_ASSIGN, token.AND_NOT: token.AND_NOT_ASSIGN,
	}[b.Op]
	if !ok {
		tok = token.QUO_ASSIGN
	}
	rhs := b.Y
	if types.ExprString(b.X) != types.ExprString(lhs) {
		rhs = b.X
	}
	l.operate(s, lhs, rhs, tok)
}

// assignConstant analyzes an assignment of a value that is the same in each round. If a variable
// gets two different ones, the last element decides.
func (l *loop) assignConstant(s ast.Node, lhs, rhs ast.Expr) {
	text := types.ExprString(rhs)
	name := types.ExprString(lhs)
	if l.depends(lhs) { // other memory in each round, or the same value
		l.change(lhs)
		return
	}
	old, ok := l.constant[name]
	l.constant[name] = text
	if ok && old != text {
		l.problem(s, "%s keeps the value of the last element", short(lhs))
	}
	if _, isIdent := ast.Unparen(lhs).(*ast.Ident); !isIdent {
		l.change(lhs)
	}
}

// isExtreme reports whether an assignment keeps the largest or smallest element: a condition
// around it compares each variable that is assigned with its new value, so that of two equal
// elements none is preferred by chance.
func (l *loop) isExtreme(s ast.Node, lhs, rhs ast.Expr, conds []*ast.IfStmt) bool {
	if len(conds) == 0 {
		return false
	}
	in := conds[len(conds)-1]
	compared := func(e ast.Expr) bool {
		found := false
		want := types.ExprString(e)
		ast.Inspect(in.Cond, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				switch n.Op {
				case token.LSS, token.GTR, token.LEQ, token.GEQ:
					found = found || types.ExprString(n.X) == want || types.ExprString(n.Y) == want
				}
			case *ast.CallExpr: // a.Before(b), bytes.Compare(a, b), less(a, b)
				if _, isBuiltin := l.u.objectOf(n.Fun).(*types.Builtin); isBuiltin {
					return true
				}
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && types.ExprString(sel.X) == want {
					found = true
				}
				found = found || slices.ContainsFunc(n.Args, func(a ast.Expr) bool { return types.ExprString(a) == want })
			}
			return !found
		})
		return found
	}
	var all []ast.Expr
	ast.Inspect(in.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.ASSIGN {
			all = append(all, a.Lhs...)
		}
		return true
	})
	for _, e := range all {
		if root, ok := l.u.objectOf(rootOf(e, true)).(*types.Var); ok && !l.isInside(root) && !compared(e) && !l.comparesPart(in.Cond, e) {
			return false
		}
	}
	return len(all) > 0
}

// comparesPart reports whether a condition compares a field of what is assigned, as in
// best == nil || v.n > best.n, with a second comparison for ties.
func (l *loop) comparesPart(cond ast.Expr, e ast.Expr) bool {
	prefix := types.ExprString(e) + "."
	var parts []string
	ast.Inspect(cond, func(n ast.Node) bool {
		if b, ok := n.(*ast.BinaryExpr); ok && (b.Op == token.LSS || b.Op == token.GTR || b.Op == token.LEQ || b.Op == token.GEQ) {
			for _, x := range []ast.Expr{b.X, b.Y} {
				if text := types.ExprString(x); strings.HasPrefix(text, prefix) && !slices.Contains(parts, text) {
					parts = append(parts, text)
				}
			}
		}
		return true
	})
	if len(parts) == 1 { // a field that identifies the element
		name := strings.ToLower(parts[0][len(prefix):])
		return strings.HasSuffix(name, "id") || strings.HasSuffix(name, "key") || strings.HasSuffix(name, "name") || strings.HasSuffix(name, "index")
	}
	return len(parts) > 1
}

// isTemporary reports whether an outer variable is only used inside of the loop.
func (l *loop) isTemporary(lhs ast.Expr, root *types.Var) bool {
	if _, ok := ast.Unparen(lhs).(*ast.Ident); !ok || isPackageVar(root) || slices.Contains(l.f.params, root) {
		return false
	}
	return !l.isUsedAfter(root)
}

// isUsedAfter reports whether a variable is read after the loop or is a result. In a loop around
// this one, it does not see uses in front of this one.
func (l *loop) isUsedAfter(obj types.Object) bool {
	used := false
	ast.Inspect(l.f.body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Pos() >= l.after && l.u.info.Uses[id] == obj {
			used = true
		}
		return !used
	})
	return used || isNamedResult(l.f, obj)
}

// isIndexed reports whether lhs is out[i] where the loop counts i.
func (l *loop) isIndexed(lhs ast.Expr) bool {
	x, ok := ast.Unparen(lhs).(*ast.IndexExpr)
	return ok && l.readsSum(x.Index, nil)
}

func (l *loop) indexed(s ast.Node, lhs ast.Expr) {
	l.collected(s, ast.Unparen(lhs).(*ast.IndexExpr).X, nil)
}

// appends analyzes x = append(x, …).
func (l *loop) appends(s ast.Node, lhs ast.Expr, c *ast.CallExpr) {
	if l.isKeyed(lhs) {
		l.change(lhs)
		return
	}
	same := true
	for _, arg := range c.Args[1:] {
		same = same && !l.depends(arg) && !l.readsSum(arg, nil)
	}
	if same {
		l.change(lhs)
		return
	}
	l.collected(s, lhs, c.Args[1:])
}

// collected analyzes a slice that gets its elements in the order of the map.
func (l *loop) collected(s ast.Node, x ast.Expr, elems []ast.Expr) {
	l.change(x)
	switch l.u.fateOf(l.f, x, l.after) {
	case fateSorted:
	case fateReturned:
		l.f.returned = append(l.f.returned, reason{
			Kind: kindMapOrder, Text: "the order of " + l.over + " is random: " + short(x) + " has its elements in it", Instead: sortKeys,
			pos: s.Pos(), end: s.End(),
		})
	default:
		l.problem(s, "%s gets its elements in it", short(x))
	}
}
