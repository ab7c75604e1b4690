package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// function is a function of the package, with everything inside its body. Function literals
// belong to the function around them.
type function struct {
	obj     *types.Func // nil for a literal outside of functions
	name    string      // as it is in chains
	body    *ast.BlockStmt
	typ     *ast.FuncType
	recv    *ast.FieldList
	params  []*types.Var // the receiver first, nil if there is none
	parents map[ast.Node]ast.Node
	values  map[*types.Var][]value // what is assigned to local variables

	local []reason // in the body itself
	calls []call
	all   []reason // with those of calls

	writes, shares uint64
	ordered        bool
	unordered      bool
	returned       []reason            // results in the order of a map
	globals        map[*types.Var]bool // package variables that were reported
}

// call is a mention of a function, which counts as a call: a function that is passed on is
// called by its receiver, as far as the analyzer knows.
type call struct {
	pos, end token.Pos
	to       *function // in this package, or nil
	obj      *types.Func
}

// target is a function that a variable holds.
type target struct {
	to  *function
	obj *types.Func
}

// collect finds the functions of the package, what variables hold, and the comments.
func (u *unit) collect() {
	for _, file := range u.pass.Files {
		if strings.HasSuffix(u.pass.Fset.Position(file.Package).Filename, "_test.go") {
			continue
		}
		u.collectAllows(file)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Body == nil || strings.HasPrefix(d.Name.Name, "_C") { // cgo has made the latter
					continue
				}
				obj, _ := u.info.Defs[d.Name].(*types.Func)
				if obj == nil {
					continue
				}
				f := u.newFunction(obj, nameOf(obj), d.Body, d.Type, d.Recv)
				u.byObj[obj] = f
			case *ast.GenDecl:
				u.collectVars(d)
			}
		}
	}
	for _, f := range slices.Clone(u.funcs) {
		ast.Inspect(f.body, func(n ast.Node) bool {
			u.collectHeld(n)
			return true
		})
	}
	u.collectWritten()
}

func (u *unit) newFunction(obj *types.Func, name string, body *ast.BlockStmt, typ *ast.FuncType, recv *ast.FieldList) *function {
	f := &function{obj: obj, name: name, body: body, typ: typ, recv: recv, globals: make(map[*types.Var]bool)}
	f.params = append(f.params, nil)
	if recv != nil && len(recv.List) > 0 && len(recv.List[0].Names) > 0 {
		f.params[0], _ = u.info.Defs[recv.List[0].Names[0]].(*types.Var)
	}
	for _, field := range typ.Params.List {
		for _, name := range field.Names {
			v, _ := u.info.Defs[name].(*types.Var)
			f.params = append(f.params, v)
		}
		if len(field.Names) == 0 {
			f.params = append(f.params, nil)
		}
	}
	f.parents = parentsOf(body)
	f.values = u.valuesOf(f)
	u.funcs = append(u.funcs, f)
	return f
}

// parentsOf maps each node of a body to the one around it.
func parentsOf(body ast.Node) map[ast.Node]ast.Node {
	parents := make(map[ast.Node]ast.Node)
	var stack []ast.Node
	ast.Inspect(body, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if len(stack) > 0 {
			parents[n] = stack[len(stack)-1]
		}
		stack = append(stack, n)
		return true
	})
	return parents
}

// nameOf returns the name of a function in chains: Put.ApplyTo, or clock.Now for one of
// another package.
func nameOf(f *types.Func) string {
	if recv := receiverName(f); recv != "" {
		return recv + "." + f.Name()
	}
	return f.Name()
}

// qualified is nameOf with the package's name in front.
func qualified(f *types.Func) string {
	if f.Pkg() == nil {
		return nameOf(f)
	}
	return f.Pkg().Name() + "." + nameOf(f)
}

// receiverName returns the name of the receiver's type, or "".
func receiverName(f *types.Func) string {
	recv := f.Signature().Recv()
	if recv == nil {
		return ""
	}
	if n := namedOf(recv.Type()); n != nil {
		return n.Obj().Name()
	}
	return ""
}

// namedOf returns the named type behind t and behind one pointer, or nil.
func namedOf(t types.Type) *types.Named {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	n, _ := types.Unalias(t).(*types.Named)
	return n
}

// collectVars notes the functions and the sensitive values that package variables hold.
func (u *unit) collectVars(d *ast.GenDecl) {
	if d.Tok != token.VAR {
		return
	}
	for _, s := range d.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, e := range spec.Values {
			if len(spec.Names) != len(spec.Values) {
				break
			}
			v, _ := u.info.Defs[spec.Names[i]].(*types.Var)
			if v == nil {
				continue
			}
			ast.Inspect(e, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit:
					u.hold(v, n)
					return false
				case *ast.CallExpr:
					// What a call returns is not the function that is called.
					for _, arg := range n.Args {
						ast.Inspect(arg, func(n ast.Node) bool {
							if lit, ok := n.(*ast.FuncLit); ok {
								u.hold(v, lit)
								return false
							}
							return true
						})
					}
					return false
				case *ast.KeyValueExpr:
					u.collectHeld(n)
				case *ast.Ident:
					u.hold(v, n)
				}
				return true
			})
			if obj, ok := u.objectOf(e).(*types.Var); ok {
				if r, ok := ruleOfVar(obj); ok {
					u.seeded[v] = r
				}
			}
		}
	}
}

// collectHeld notes the functions that fields and package variables get.
func (u *unit) collectHeld(n ast.Node) {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if id, ok := n.Key.(*ast.Ident); ok {
			if v, ok := u.info.Uses[id].(*types.Var); ok && v.IsField() {
				u.hold(v, n.Value)
			}
		}
	case *ast.AssignStmt:
		if len(n.Lhs) != len(n.Rhs) {
			return
		}
		for i, lhs := range n.Lhs {
			if v, ok := u.objectOf(lhs).(*types.Var); ok && (v.IsField() || isPackageVar(v)) {
				u.hold(v, n.Rhs[i])
			}
		}
	}
}

// hold notes that v holds the function that e denotes, if it does.
func (u *unit) hold(v *types.Var, e ast.Expr) {
	switch e := ast.Unparen(e).(type) {
	case *ast.FuncLit:
		u.held[v] = append(u.held[v], target{to: u.newFunction(nil, v.Name(), e.Body, e.Type, nil)})
	case *ast.Ident, *ast.SelectorExpr:
		if f, ok := u.objectOf(e).(*types.Func); ok {
			u.held[v] = append(u.held[v], target{obj: f.Origin()})
		}
	}
}

// objectOf returns the object of an identifier or of a selector, or nil.
func (u *unit) objectOf(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if obj := u.info.Uses[e]; obj != nil {
			return obj
		}
		return u.info.Defs[e]
	case *ast.SelectorExpr:
		return u.info.Uses[e.Sel]
	case *ast.IndexExpr:
		if _, ok := u.info.Types[e.Index]; ok && u.info.Types[e.Index].IsType() {
			return u.objectOf(e.X)
		}
	case *ast.IndexListExpr:
		return u.objectOf(e.X)
	}
	return nil
}

// calleeOf returns the function that a call calls, or nil for function values, conversions
// and builtins.
func (u *unit) calleeOf(c *ast.CallExpr) *types.Func {
	if f, ok := u.objectOf(c.Fun).(*types.Func); ok {
		return f.Origin()
	}
	return nil
}

// builtinOf returns the name of the builtin that a call calls, or "".
func (u *unit) builtinOf(c *ast.CallExpr) string {
	if b, ok := u.objectOf(c.Fun).(*types.Builtin); ok {
		return b.Name()
	}
	return ""
}

// isPackageVar reports whether v is declared outside of functions.
func isPackageVar(v *types.Var) bool {
	return !v.IsField() && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
}

// known returns what is known about a function: of this package if it has a body, else from
// its fact.
func (u *unit) known(obj *types.Func) *behavior {
	if obj == nil {
		return nil
	}
	if f := u.byObj[obj]; f != nil {
		return &behavior{Why: f.all, Writes: f.writes, Ordered: f.ordered, Shares: f.shares, Unordered: f.unordered}
	}
	if obj.Pkg() == nil || obj.Pkg() == u.pass.Pkg {
		return nil
	}
	if b := containerWrite(obj); b != nil {
		return b
	}
	var b behavior
	if u.pass.ImportObjectFact(obj, &b) {
		return &b
	}
	return nil
}

// propagate adds the reasons of the called functions, nearest first.
func (u *unit) propagate() {
	has := make(map[*function]map[string]bool)
	add := func(f *function, r reason) bool {
		if has[f] == nil {
			has[f] = make(map[string]bool)
		}
		if has[f][r.site] || len(f.all) >= maxReasons {
			return false
		}
		has[f][r.site] = true
		f.all = append(f.all, r)
		return true
	}
	for _, f := range u.funcs {
		slices.SortStableFunc(f.local, byPos)
		for _, r := range f.local {
			add(f, r)
		}
		for _, c := range f.calls {
			if c.to == nil {
				if r, ok := u.foreign(c); ok {
					add(f, r)
				}
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for _, f := range u.funcs {
			for _, c := range f.calls {
				if c.to == nil || len(c.to.all) == 0 || u.allowed(c.pos) {
					continue
				}
				for _, r := range slices.Clone(c.to.all) {
					r.Chain = append([]string{c.to.name}, r.Chain...)
					changed = add(f, r) || changed
				}
			}
		}
	}
}

// foreign returns the reason of a call of another package: the one of its function's whose
// kind comes first.
func (u *unit) foreign(c call) (reason, bool) {
	b := u.known(c.obj)
	if b == nil || len(b.Why) == 0 || u.allowed(c.pos) {
		return reason{}, false
	}
	best := slices.MinFunc(b.Why, func(a, b reason) int {
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	})
	best.Chain = append([]string{qualified(c.obj)}, best.Chain...)
	best.pos, best.end = c.pos, c.end
	best.site = "call " + u.pass.Fset.Position(c.pos).String()
	best.fixes = nil
	return best, true
}
