package determinism

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

const sortKeys = "range over slices.Sorted(maps.Keys(m)), or sort what the loop collects"

// loop is a loop over elements in the order of a map.
type loop struct {
	u        *unit
	f        *function
	node     ast.Node // the range statement, or the callback
	body     *ast.BlockStmt
	key, val types.Object
	tok      token.Token
	over     string // the operand, for texts
	after    token.Pos
	visit    bool // the body is that of a callback, whose return begins the next round

	summed   map[types.Object]bool // outer variables whose values depend on the elements so far
	constant map[string]string     // what outer variables are set to, if it is constant
	shared   bool                  // the body changes memory that outlives the function
	counted  bool                  // the body changes more than constants
	exits    []exit
	problems []problem
}

// exit is a statement that ends the loop early.
type exit struct {
	n        ast.Node
	isReturn bool
}

// problem is why the order of the elements counts.
type problem struct {
	n    ast.Node
	text string
}

// inspectRange reports a range over a map, or over elements in the order of a map, if the
// order counts.
func (u *unit) inspectRange(f *function, s *ast.RangeStmt) {
	if u.isChannel(s.X) {
		u.foundIn(f, s.X, kindConcurrency, "a receive depends on the goroutine that sends", useCommand)
		return
	}
	over, ok := u.unorderedOperand(f, s.X)
	if !ok {
		return
	}
	l := u.newLoop(f, s, s.Body, over)
	l.tok = s.Tok
	l.key, l.val = u.loopVar(s.Key), u.loopVar(s.Value)
	if !u.isMap(s.X) {
		l.element(s)
	}
	if problems := l.run(); len(problems) > 0 && !u.hasOneElement(f, s) {
		p := problems[0]
		u.foundAt(f, reason{
			Kind: kindMapOrder, Text: "the order of " + over + " is random: " + p.text, Instead: sortKeys,
			pos: s.Pos(), end: s.X.End(), fixes: u.rangeFix(s),
		})
	}
}

func (u *unit) newLoop(f *function, n ast.Node, body *ast.BlockStmt, over string) *loop {
	return &loop{u: u, f: f, node: n, body: body, over: over, after: n.End(),
		summed: make(map[types.Object]bool), constant: make(map[string]string)}
}

// element moves the variable of a range over values: the elements of an iterator or of a
// slice need not be distinct.
func (l *loop) element(s *ast.RangeStmt) {
	if c, ok := ast.Unparen(s.X).(*ast.CallExpr); ok {
		if callee := l.u.calleeOf(c); callee != nil && callee.Pkg() != nil && callee.Pkg().Path() == "maps" && callee.Name() == "Values" {
			l.key, l.val = nil, l.key
		}
	}
}

func (u *unit) loopVar(e ast.Expr) types.Object {
	id, ok := e.(*ast.Ident)
	if !ok || id.Name == "_" {
		return nil
	}
	return u.objectOf(id)
}

func (u *unit) isMap(e ast.Expr) bool {
	t := u.info.TypeOf(e)
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

func (u *unit) isChannel(e ast.Expr) bool {
	t := u.info.TypeOf(e)
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Chan)
	return ok
}

// unorderedOperand reports whether a range over e has the order of a map, and names the map.
func (u *unit) unorderedOperand(f *function, e ast.Expr) (string, bool) {
	if u.isMap(e) {
		return "map " + short(e), true
	}
	if c, ok := ast.Unparen(e).(*ast.CallExpr); ok && u.isUnorderedCall(c) {
		return short(e), true
	}
	return "", false
}

// isUnorderedCall reports whether a call returns elements in the order of a map: an iterator
// or a slice.
func (u *unit) isUnorderedCall(c *ast.CallExpr) bool {
	callee := u.calleeOf(c)
	if callee == nil || callee.Pkg() == nil {
		return false
	}
	switch callee.Pkg().Path() {
	case "maps", "golang.org/x/exp/maps":
		return slices.Contains([]string{"Keys", "Values", "All"}, callee.Name())
	case "reflect":
		return nameOf(callee) == "Value.MapKeys"
	case "slices":
		if callee.Name() == "Collect" && len(c.Args) == 1 {
			if inner, ok := ast.Unparen(c.Args[0]).(*ast.CallExpr); ok {
				return u.isUnorderedCall(inner)
			}
		}
		return false
	}
	b := u.known(callee)
	return b != nil && b.Unordered
}

// short returns the source of an expression, shortened.
func short(e ast.Expr) string {
	s := types.ExprString(e)
	if len(s) > 40 {
		s = s[:37] + "…"
	}
	return s
}

// hasOneElement reports whether a range is inside of a condition that the map has one
// element.
func (u *unit) hasOneElement(f *function, s *ast.RangeStmt) bool {
	want := "len(" + types.ExprString(s.X) + ") == 1"
	for n := f.parents[s]; n != nil; n = f.parents[n] {
		if i, ok := n.(*ast.IfStmt); ok && strings.Contains(types.ExprString(i.Cond), want) {
			return true
		}
	}
	return false
}

// run analyzes the body and returns why the order of the elements counts.
func (l *loop) run() []problem {
	if l.tok == token.ASSIGN {
		for _, obj := range []types.Object{l.key, l.val} {
			if obj != nil && l.isUsedAfter(obj) {
				l.problem(l.node, "%s is the last element that the loop reaches", obj.Name())
			}
		}
	}
	l.collectSummed()
	l.block(l.body.List, nil, false)
	for _, e := range l.exits {
		if e.isReturn && l.shared || !e.isReturn && l.counted {
			l.problem(e.n, "the loop ends at an element that depends on it")
		}
	}
	return l.problems
}

func (l *loop) problem(n ast.Node, format string, args ...any) {
	l.problems = append(l.problems, problem{n, fmt.Sprintf(format, args...)})
}

// isInside reports whether a variable belongs to one round of the loop.
func (l *loop) isInside(obj types.Object) bool {
	if obj == nil {
		return false
	}
	if obj == l.key || obj == l.val {
		return true
	}
	return l.node.Pos() <= obj.Pos() && obj.Pos() < l.node.End()
}

// depends reports whether an expression depends on the element of the round.
func (l *loop) depends(e ast.Node) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if obj, ok := l.u.info.Uses[id].(*types.Var); ok && !obj.IsField() && l.isInside(obj) {
				found = true
			}
		}
		return !found
	})
	return found
}

// readsSum reports whether an expression reads a variable that depends on the elements so
// far, other than except.
func (l *loop) readsSum(e ast.Node, except types.Object) bool {
	if e == nil {
		return false
	}
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if obj := l.u.info.Uses[id]; obj != nil && obj != except && l.summed[obj] {
				found = true
			}
		}
		return !found
	})
	return found
}

// collectSummed finds the outer variables that the body counts, adds up or appends to.
func (l *loop) collectSummed() {
	note := func(e ast.Expr) {
		if id, ok := ast.Unparen(e).(*ast.Ident); ok {
			if obj := l.u.objectOf(id); obj != nil && !l.isInside(obj) {
				l.summed[obj] = true
			}
		}
	}
	ast.Inspect(l.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IncDecStmt:
			note(n.X)
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				if n.Tok != token.ASSIGN && n.Tok != token.DEFINE || len(n.Lhs) == len(n.Rhs) && l.mentionsSelf(lhs, n.Rhs[i]) {
					note(lhs)
				}
			}
		}
		return true
	})
}

// mentionsSelf reports whether the value of an assignment contains its target.
func (l *loop) mentionsSelf(lhs, rhs ast.Expr) bool {
	if c, ok := ast.Unparen(rhs).(*ast.CallExpr); ok && (l.u.builtinOf(c) == "append" || l.u.builtinOf(c) == "max" || l.u.builtinOf(c) == "min") {
		return false // these have rules of their own
	}
	want, found := types.ExprString(lhs), false
	ast.Inspect(rhs, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && types.ExprString(e) == want {
			found = true
		}
		return !found
	})
	return found
}

// block analyzes statements. conds are the conditions around them inside of the loop; inner
// reports whether a break ends an inner statement.
func (l *loop) block(list []ast.Stmt, conds []*ast.IfStmt, inner bool) {
	for _, s := range list {
		l.stmt(s, conds, inner)
	}
}

func (l *loop) stmt(s ast.Stmt, conds []*ast.IfStmt, inner bool) {
	switch s := s.(type) {
	case *ast.BlockStmt:
		l.block(s.List, conds, inner)
	case *ast.IfStmt:
		if s.Init != nil {
			l.stmt(s.Init, conds, inner)
		}
		l.expr(s.Cond)
		l.block(s.Body.List, append(slices.Clone(conds), s), inner)
		if s.Else != nil {
			l.stmt(s.Else, append(slices.Clone(conds), s), inner)
		}
	case *ast.ForStmt:
		if s.Init != nil {
			l.stmt(s.Init, conds, inner)
		}
		if s.Post != nil {
			l.stmt(s.Post, conds, inner)
		}
		l.block(s.Body.List, conds, true)
	case *ast.RangeStmt:
		l.expr(s.X)
		l.block(s.Body.List, conds, true)
	case *ast.SwitchStmt:
		if s.Init != nil {
			l.stmt(s.Init, conds, inner)
		}
		l.block(s.Body.List, conds, true)
	case *ast.TypeSwitchStmt:
		l.block(s.Body.List, conds, true)
	case *ast.SelectStmt:
		l.block(s.Body.List, conds, true)
	case *ast.CaseClause:
		l.block(s.Body, conds, inner)
	case *ast.CommClause:
		l.block(s.Body, conds, inner)
	case *ast.LabeledStmt:
		l.stmt(s.Stmt, conds, inner)
	case *ast.AssignStmt:
		for _, e := range s.Rhs {
			l.expr(e)
		}
		l.assignments(s, conds)
	case *ast.IncDecStmt:
		l.change(s.X)
	case *ast.ExprStmt:
		l.expr(s.X)
	case *ast.DeferStmt:
		l.expr(s.Call)
	case *ast.DeclStmt:
		ast.Inspect(s, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				l.expr(e)
				return false
			}
			return true
		})
	case *ast.ReturnStmt:
		l.returns(s)
	case *ast.BranchStmt:
		if s.Tok == token.BREAK && (!inner || s.Label != nil) || s.Tok == token.GOTO || s.Tok == token.CONTINUE && s.Label != nil && !inner {
			l.exits = append(l.exits, exit{n: s})
		}
	}
}

// change notes that the body changes what an outer expression denotes, in a way that does
// not depend on the order.
func (l *loop) change(lhs ast.Expr) {
	root, _ := l.u.objectOf(rootOf(lhs, true)).(*types.Var)
	if root == nil || l.isInside(root) {
		return
	}
	l.counted = true
	if _, ok := ast.Unparen(lhs).(*ast.Ident); !ok || isPackageVar(root) {
		l.shared = l.shared || !l.isFresh(root)
	}
}

// isFresh reports whether a variable holds memory that the function has allocated.
func (l *loop) isFresh(v *types.Var) bool {
	values := l.f.values[v]
	if len(values) == 0 || slices.Contains(l.f.params, v) || isPackageVar(v) {
		return false
	}
	return !slices.ContainsFunc(values, func(x value) bool {
		if x.e == nil || x.elem {
			return x.elem
		}
		switch e := ast.Unparen(x.e).(type) {
		case *ast.CompositeLit, *ast.BasicLit:
			return false
		case *ast.UnaryExpr:
			_, ok := e.X.(*ast.CompositeLit)
			return !ok
		case *ast.CallExpr:
			name := l.u.builtinOf(e)
			return name != "make" && name != "append" && name != "new"
		}
		return true
	})
}

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
	case *ast.SliceExpr:
		return l.isKey(e.X)
	case *ast.IndexExpr:
		return l.isKey(e.X)
	case *ast.StarExpr:
		return l.isKey(e.X)
	case *ast.TypeAssertExpr:
		return l.isKey(e.X)
	}
	return false
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
		if types.ExprString(b.X) == own || types.ExprString(b.Y) == own && (b.Op == token.ADD || b.Op == token.MUL || b.Op == token.OR || b.Op == token.AND || b.Op == token.LOR || b.Op == token.LAND) {
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

// assignConstant analyzes an assignment of what is the same in each round. Two different
// ones to a variable leave the last.
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

// isUsedAfter reports whether a variable is read after the loop, or is a result, or belongs
// to a loop around this one.
func (l *loop) isUsedAfter(obj types.Object) bool {
	used := false
	ast.Inspect(l.f.body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Pos() >= l.after && l.u.info.Uses[id] == obj {
			used = true
		}
		return !used
	})
	if used {
		return true
	}
	if l.f.typ.Results != nil && l.f.typ.Results.Pos() <= obj.Pos() && obj.Pos() < l.f.typ.Results.End() {
		return true
	}
	return false
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

// returns analyzes a return.
func (l *loop) returns(s *ast.ReturnStmt) {
	if l.visit {
		for _, e := range s.Results {
			l.expr(e)
			if id, ok := ast.Unparen(e).(*ast.Ident); !ok || id.Name == "false" {
				l.exits = append(l.exits, exit{n: s})
			}
		}
		return
	}
	l.exits = append(l.exits, exit{n: s, isReturn: true})
	for _, e := range s.Results {
		l.expr(e)
		if l.depends(e) || l.readsSum(e, nil) {
			l.problem(s, "the first element that is reached decides the result %s", short(e))
			return
		}
	}
	if len(s.Results) == 0 && l.f.typ.Results != nil {
		for _, field := range l.f.typ.Results.List {
			for _, name := range field.Names {
				if l.summed[l.u.info.Defs[name]] {
					l.problem(s, "the first element that is reached decides the result %s", name.Name)
				}
			}
		}
	}
}

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
	case "put", "set", "insert", "store", "upsert", "replace", "replaceorinsert", "delete", "remove":
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
