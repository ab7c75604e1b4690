package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// maxFlow is how many variables and calls isLogged follows.
const maxFlow = 6

// isLogged reports whether the value of n is only logged, measured or dropped: it is an
// argument of a logger, or a variable that is, also as a difference of times or as text.
func (u *unit) isLogged(f *function, n ast.Node, depth int) bool {
	if depth > maxFlow {
		return false
	}
	switch p := f.parents[n].(type) {
	case *ast.ParenExpr, *ast.UnaryExpr, *ast.KeyValueExpr, *ast.StarExpr:
		return u.isLogged(f, p, depth)
	case *ast.IndexExpr:
		return p.X == n && u.isLogged(f, p, depth)
	case *ast.SelectorExpr:
		return p.X == n && u.isLogged(f, p, depth) || p.Sel == n && u.isLogged(f, p, depth)
	case *ast.CompositeLit:
		return u.isLogged(f, p, depth)
	case *ast.BinaryExpr:
		return u.isLogged(f, p, depth)
	case *ast.CallExpr:
		if p.Fun == n {
			return u.isLogged(f, p, depth)
		}
		if tv, ok := u.info.Types[p.Fun]; ok && tv.IsType() || u.builtinOf(p) == "len" {
			return u.isLogged(f, p, depth)
		}
		if u.builtinOf(p) == "panic" {
			return true
		}
		callee := u.calleeOf(p)
		switch {
		case callee == nil:
			return false
		case isSink(callee) || toOutput(u, p, callee):
			return true
		case isConverter(callee):
			return u.isLogged(f, p, depth+1)
		}
		return false
	case *ast.ExprStmt:
		_, isCall := p.X.(*ast.CallExpr)
		return isCall
	case *ast.DeferStmt:
		return true
	case *ast.IfStmt:
		return p.Else == nil && p.Cond == n && u.onlyLogs(p.Body)
	case *ast.AssignStmt:
		return u.assignsLogged(f, p, n, depth)
	case *ast.ValueSpec:
		i := slices.IndexFunc(p.Values, func(e ast.Expr) bool { return e == n })
		return i >= 0 && len(p.Names) == len(p.Values) && u.usesLogged(f, p.Names[i], depth)
	}
	return false
}

// assignsLogged reports whether n is assigned to a local variable that is only logged.
func (u *unit) assignsLogged(f *function, s *ast.AssignStmt, n ast.Node, depth int) bool {
	i := slices.IndexFunc(s.Rhs, func(e ast.Expr) bool { return e == n })
	if i < 0 { // the left side: for a variable, an assignment is no use
		_, isVariable := n.(*ast.Ident)
		return isVariable
	}
	lhs := s.Lhs
	if len(s.Lhs) == len(s.Rhs) {
		lhs = s.Lhs[i : i+1]
	}
	for _, l := range lhs {
		id, ok := l.(*ast.Ident)
		if !ok || id.Name != "_" && !u.usesLogged(f, id, depth) {
			return false
		}
	}
	return true
}

// usesLogged reports whether all uses of a local variable are logged.
func (u *unit) usesLogged(f *function, id *ast.Ident, depth int) bool {
	v, ok := u.objectOf(id).(*types.Var)
	if !ok || v.IsField() || isPackageVar(v) || slices.Contains(f.params, v) {
		return false
	}
	logged := true
	ast.Inspect(f.body, func(n ast.Node) bool {
		if use, ok := n.(*ast.Ident); ok && logged && u.info.Uses[use] == v {
			logged = u.isLogged(f, use, depth+1)
		}
		return logged
	})
	return logged
}

// onlyLogs reports whether a block does nothing but logging.
func (u *unit) onlyLogs(b *ast.BlockStmt) bool {
	return !slices.ContainsFunc(b.List, func(s ast.Stmt) bool { return !u.logs(s) })
}

func (u *unit) logs(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	c, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	callee := u.calleeOf(c)
	return callee != nil && (isSink(callee) || toOutput(u, c, callee))
}

// isConverter reports whether a function only makes another form of its arguments.
func isConverter(f *types.Func) bool {
	if f.Pkg() == nil {
		return f.Name() == "Error"
	}
	switch f.Pkg().Path() {
	case "time":
		return f.Signature().Recv() != nil || f.Name() == "Since" || f.Name() == "Until"
	case "fmt":
		return strings.HasPrefix(f.Name(), "Sprint") || f.Name() == "Errorf"
	case "strconv", "strings", "path/filepath", "path":
		return f.Signature().Recv() == nil
	}
	return false
}

// toOutput reports whether a call writes to the standard output or error.
func toOutput(u *unit, c *ast.CallExpr, callee *types.Func) bool {
	if callee.Pkg() == nil || callee.Pkg().Path() != "fmt" || len(c.Args) == 0 {
		return false
	}
	switch callee.Name() {
	case "Fprint", "Fprintf", "Fprintln":
		v := u.objectOf(c.Args[0])
		return v != nil && v.Pkg() != nil && v.Pkg().Path() == "os" && (v.Name() == "Stderr" || v.Name() == "Stdout")
	}
	return false
}

// isNotification reports whether a send is part of a select that drops it if there is no
// receiver, and does nothing else: such a send does not affect the state.
func (u *unit) isNotification(f *function, n *ast.SendStmt) bool {
	clause, ok := f.parents[n].(*ast.CommClause)
	if !ok || len(clause.Body) > 0 {
		return false
	}
	body, ok := f.parents[clause].(*ast.BlockStmt)
	if !ok {
		return false
	}
	return isNotifying(body)
}

// isNotifying reports whether a select has one send, a default, and no code in either.
func isNotifying(body *ast.BlockStmt) bool {
	var sends, defaults int
	for _, s := range body.List {
		c, ok := s.(*ast.CommClause)
		if !ok || len(c.Body) > 0 {
			return false
		}
		switch c.Comm.(type) {
		case nil:
			defaults++
		case *ast.SendStmt:
			sends++
		}
	}
	return sends == 1 && defaults == 1 && len(body.List) == 2
}

// inSelect reports whether a receive is the condition of a clause of a select.
func inSelect(f *function, n ast.Node) bool {
	for p := f.parents[n]; p != nil; n, p = p, f.parents[p] {
		switch p := p.(type) {
		case *ast.CommClause:
			return p.Comm == n
		case *ast.ExprStmt, *ast.AssignStmt, *ast.ParenExpr, ast.Expr:
		default:
			return false
		}
	}
	return false
}

// inspectSelect reports a select. One of several ready clauses is taken at random, and
// whether one is ready depends on other goroutines.
func (u *unit) inspectSelect(f *function, s *ast.SelectStmt) {
	if isNotifying(s.Body) || len(s.Body.List) == 1 && isSend(s.Body.List[0]) {
		return
	}
	text := "a select depends on which channel is ready"
	if len(s.Body.List) > 1 {
		text = "a select takes one of several clauses, depending on other goroutines and on chance"
	}
	u.foundAt(f, reason{Kind: kindConcurrency, Text: text, Instead: useCommand, pos: s.Pos(), end: s.Pos() + token.Pos(len("select"))})
}

func isSend(s ast.Stmt) bool {
	c, ok := s.(*ast.CommClause)
	if !ok {
		return false
	}
	_, ok = c.Comm.(*ast.SendStmt)
	return ok
}
