package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// collectWritten finds the package variables that change after initialization, and those
// that are only filled lazily.
func (u *unit) collectWritten() {
	u.collectInitializers()
	for _, f := range u.funcs {
		if u.initial[f] {
			continue
		}
		ast.Inspect(f.body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					return true
				}
				for i, lhs := range n.Lhs {
					var rhs ast.Expr
					if len(n.Lhs) == len(n.Rhs) {
						rhs = n.Rhs[i]
					}
					u.noteWrite(f, lhs, rhs, n)
				}
			case *ast.IncDecStmt:
				u.noteWrite(f, n.X, nil, n)
			case *ast.CallExpr:
				for _, e := range u.changedBy(n) {
					u.noteWrite(f, e, nil, n)
				}
			}
			return true
		})
	}
	for v := range u.caches {
		if u.written[v].IsValid() {
			delete(u.caches, v)
		}
	}
}

// collectInitializers finds the functions that run before any machine: init functions, those
// whose names begin with Register, and functions that only these call.
func (u *unit) collectInitializers() {
	callers := make(map[*types.Func][]*function)
	for _, f := range u.funcs {
		if f.obj != nil && f.obj.Signature().Recv() == nil && (f.obj.Name() == "init" || isRegistration(f.obj.Name())) {
			u.initial[f] = true
		}
		ast.Inspect(f.body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if obj, ok := u.info.Uses[id].(*types.Func); ok && u.byObj[obj] != nil {
					callers[obj] = append(callers[obj], f)
				}
			}
			return true
		})
	}
	for changed := true; changed; {
		changed = false
		for obj, list := range callers {
			f := u.byObj[obj]
			if u.initial[f] || obj.Exported() || obj.Signature().Recv() != nil {
				continue
			}
			if !slices.ContainsFunc(list, func(c *function) bool { return !u.initial[c] && c != f }) {
				u.initial[f], changed = true, true
			}
		}
	}
}

// isRegistration reports whether a function is called during initialization by convention.
func isRegistration(name string) bool {
	return strings.HasPrefix(name, "Register") || strings.HasPrefix(name, "MustRegister") || strings.HasPrefix(name, "register")
}

// noteWrite notes that a statement of f changes what e denotes.
func (u *unit) noteWrite(f *function, e, rhs ast.Expr, stmt ast.Node) {
	v := u.globalOf(e)
	if v == nil {
		return
	}
	if u.isLazy(f, v, e, rhs, stmt) {
		u.caches[v] = true
		return
	}
	if !u.written[v].IsValid() {
		u.written[v] = stmt.Pos()
	}
}

// globalOf returns the package variable of this package that e belongs to, or nil. Fields
// behind a pointer in the variable count as part of it.
func (u *unit) globalOf(e ast.Expr) *types.Var {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.UnaryExpr:
			if x.Op != token.AND {
				return nil
			}
			e = x.X
			continue
		case *ast.SelectorExpr:
			if v, ok := u.info.Uses[x.Sel].(*types.Var); ok && isPackageVar(v) {
				return v
			}
		}
		break
	}
	root := rootOf(e, true)
	v, ok := u.objectOf(root).(*types.Var)
	if !ok || !isPackageVar(v) || v.Pkg() != u.pass.Pkg || v.Name() == "_" {
		return nil
	}
	if n := namedOf(v.Type()); n != nil && isInstrument(n.Obj().Name()) {
		return nil
	}
	return v
}

// changedBy returns the operands that a call of a builtin, of sync/atomic or of sync.Map
// changes.
func (u *unit) changedBy(c *ast.CallExpr) []ast.Expr {
	switch u.builtinOf(c) {
	case "delete", "clear", "copy":
		return c.Args[:1]
	}
	callee := u.calleeOf(c)
	if callee == nil || callee.Pkg() == nil {
		return nil
	}
	switch callee.Pkg().Path() {
	case "sync/atomic":
		changes := slices.ContainsFunc([]string{"Add", "Store", "Swap", "CompareAndSwap", "And", "Or"}, func(s string) bool {
			return strings.HasPrefix(callee.Name(), s)
		})
		if !changes {
			return nil
		}
		if receiverName(callee) == "" {
			return c.Args[:1]
		}
	case "sync":
		if receiverName(callee) != "Map" || !slices.Contains([]string{"Store", "Swap", "CompareAndSwap", "Delete", "CompareAndDelete", "LoadAndDelete", "Clear"}, callee.Name()) {
			return nil
		}
	default:
		return nil
	}
	if sel, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr); ok {
		return []ast.Expr{sel.X}
	}
	return nil
}

// isLazy reports whether a write fills a variable lazily: in a function that runs once, if
// the variable is nil or empty, or in a map for a key that the function has looked up.
func (u *unit) isLazy(f *function, v *types.Var, e, rhs ast.Expr, stmt ast.Node) bool {
	for n := f.parents[stmt]; n != nil; n = f.parents[n] {
		switch n := n.(type) {
		case *ast.CallExpr:
			if callee := u.calleeOf(n); callee != nil && callee.Pkg() != nil && callee.Pkg().Path() == "sync" && nameOf(callee) == "Once.Do" {
				return true
			}
		case *ast.IfStmt:
			if u.testsZero(n.Cond, v) && rhs != nil && !u.mentions(rhs, f.params) {
				return true
			}
		}
	}
	index, ok := ast.Unparen(e).(*ast.IndexExpr)
	if !ok || rhs == nil || u.objectOf(index.X) != types.Object(v) {
		return false
	}
	if _, ok := v.Type().Underlying().(*types.Map); !ok {
		return false
	}
	key := types.ExprString(index.Index)
	looked := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		s, ok := n.(*ast.AssignStmt)
		if !ok || len(s.Lhs) != 2 || len(s.Rhs) != 1 {
			return true
		}
		if x, ok := ast.Unparen(s.Rhs[0]).(*ast.IndexExpr); ok && u.objectOf(x.X) == types.Object(v) && types.ExprString(x.Index) == key {
			looked = true
		}
		return true
	})
	return looked
}

// testsZero reports whether a condition is v == nil or len(v) == 0.
func (u *unit) testsZero(cond ast.Expr, v *types.Var) bool {
	b, ok := ast.Unparen(cond).(*ast.BinaryExpr)
	if !ok || b.Op != token.EQL {
		return false
	}
	x := ast.Unparen(b.X)
	if c, ok := x.(*ast.CallExpr); ok && u.builtinOf(c) == "len" {
		x = c.Args[0]
	}
	return u.objectOf(x) == types.Object(v)
}

// mentions reports whether an expression uses one of the variables.
func (u *unit) mentions(e ast.Node, vars []*types.Var) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if v, ok := u.info.Uses[id].(*types.Var); ok && slices.Contains(vars, v) {
				found = true
			}
		}
		return !found
	})
	return found
}

const useState = "keep it in the machine's state, or pass it in the command"

// mentionVar reports the use of a variable that differs between processes.
func (u *unit) mentionVar(f *function, v *types.Var, whole ast.Expr) {
	if v.IsField() || v.Pkg() == nil || !isPackageVar(v) {
		return
	}
	r, ok := ruleOfVar(v)
	if !ok {
		r, ok = u.seeded[v]
	}
	if ok {
		if r.Kind != kindEnvironment || !u.isLogged(f, whole, 0) {
			r.pos, r.end = whole.Pos(), whole.End()
			u.foundAt(f, r)
		}
		return
	}
	if !u.written[v].IsValid() || u.writes(f, whole) || u.initial[f] {
		return
	}
	if u.isLogged(f, whole, 0) || f.globals[v] {
		return
	}
	f.globals[v] = true
	u.foundIn(f, whole, kindGlobal, "package variable "+v.Name()+" changes while the process runs ("+u.where(u.written[v])+")", useState)
}

// writes reports whether an expression is on the left side of an assignment, where
// inspectWrite reports it.
func (u *unit) writes(f *function, e ast.Node) bool {
	for n, p := e, f.parents[e]; p != nil; n, p = p, f.parents[p] {
		switch p := p.(type) {
		case *ast.AssignStmt:
			return slices.ContainsFunc(p.Lhs, func(l ast.Expr) bool { return l == n })
		case *ast.IncDecStmt:
			return true
		case *ast.CallExpr:
			return slices.ContainsFunc(u.changedBy(p), func(l ast.Expr) bool { return u.globalOf(l) != nil })
		case *ast.IndexExpr:
			if p.Index == n {
				return false
			}
		case *ast.SelectorExpr, *ast.StarExpr, *ast.ParenExpr, *ast.UnaryExpr:
		default:
			return false
		}
	}
	return false
}

// inspectWrite reports a write to a package variable.
func (u *unit) inspectWrite(f *function, e ast.Expr, stmt ast.Node) {
	v := u.globalOf(e)
	if v == nil || !u.written[v].IsValid() || u.initial[f] {
		return
	}
	var rhs ast.Expr
	if s, ok := stmt.(*ast.AssignStmt); ok && len(s.Lhs) == len(s.Rhs) {
		rhs = s.Rhs[slices.Index(s.Lhs, e)]
	}
	if u.isLazy(f, v, e, rhs, stmt) || f.globals[v] {
		return
	}
	f.globals[v] = true
	u.foundIn(f, stmt, kindGlobal, "package variable "+v.Name()+" is not part of the state, and is shared by all groups of the process", useState)
}
