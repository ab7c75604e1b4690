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
		if s.Cond != nil {
			l.expr(s.Cond)
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
		if s.Tag != nil {
			l.expr(s.Tag)
		}
		l.block(s.Body.List, conds, true)
	case *ast.TypeSwitchStmt:
		if s.Init != nil {
			l.stmt(s.Init, conds, inner)
		}
		l.stmt(s.Assign, conds, inner)
		l.block(s.Body.List, conds, true)
	case *ast.SelectStmt:
		l.block(s.Body.List, conds, true)
	case *ast.CaseClause:
		for _, e := range s.List {
			l.expr(e)
		}
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
		breaks := s.Tok == token.BREAK && (!inner || s.Label != nil)
		if breaks || s.Tok == token.GOTO || s.Tok == token.CONTINUE && s.Label != nil && !inner {
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
