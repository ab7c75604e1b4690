package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// fate is what becomes of a slice whose elements are in the order of a map.
type fate int

const (
	fateEscapes  fate = iota
	fateSorted        // it is sorted, or its order does not count
	fateReturned      // it is returned, and its caller may sort it
)

// fateOf follows the uses of x after a position.
func (u *unit) fateOf(f *function, x ast.Expr, after token.Pos) fate {
	want := types.ExprString(x)
	obj, isLocal := u.objectOf(x).(*types.Var)
	isLocal = isLocal && !obj.IsField() && !isPackageVar(obj)
	result := fateSorted
	sorted := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok || e.Pos() < after || sorted || types.ExprString(e) != want || u.objectOf(e) != types.Object(obj) {
			return true
		}
		switch u.useOf(f, e) {
		case useSorts:
			sorted = true
		case useReturns:
			if result == fateSorted {
				result = fateReturned
			}
		case useOther:
			result = fateEscapes
		}
		return false
	})
	if !isLocal && !sorted {
		return fateEscapes
	}
	if isLocal && isNamedResult(f, obj) && !sorted && result == fateSorted {
		return fateReturned
	}
	return result
}

func isNamedResult(f *function, v types.Object) bool {
	return f.typ.Results != nil && f.typ.Results.Pos() <= v.Pos() && v.Pos() < f.typ.Results.End()
}

// use is how an expression is used.
type use int

const (
	useOther use = iota
	useHarmless
	useSorts
	useReturns
)

// useOf returns how a slice in the order of a map is used.
func (u *unit) useOf(f *function, e ast.Expr) use {
	var n ast.Node = e
	for {
		switch p := f.parents[n].(type) {
		case *ast.ParenExpr, *ast.SliceExpr:
			n = p
			continue
		case *ast.UnaryExpr:
			if p.Op != token.AND {
				return useOther
			}
			n = p
			continue
		case *ast.BinaryExpr:
			return useHarmless // it is compared with nil
		case *ast.CallExpr:
			return u.useInCall(f, p, n)
		case *ast.ReturnStmt:
			return useReturns
		case *ast.RangeStmt:
			if p.X != n {
				return useHarmless
			}
			if p.Key == nil && p.Value == nil {
				return useHarmless
			}
			l := u.newLoop(f, p, p.Body, "")
			l.key, l.val, l.tok = u.loopVar(p.Value), nil, p.Tok
			if index := u.loopVar(p.Key); index != nil {
				return useOther
			}
			if len(l.run()) == 0 {
				return useHarmless
			}
			return useOther
		case *ast.AssignStmt:
			if slices.ContainsFunc(p.Lhs, func(lhs ast.Expr) bool { return lhs == n }) {
				return useHarmless
			}
			return useOther
		}
		return useOther
	}
}

// useInCall returns how a call uses its argument n.
func (u *unit) useInCall(f *function, c *ast.CallExpr, n ast.Node) use {
	if tv, ok := u.info.Types[c.Fun]; ok && tv.IsType() {
		return u.useOf(f, c)
	}
	switch u.builtinOf(c) {
	case "len", "cap", "clear":
		return useHarmless
	case "append":
		a, ok := f.parents[c].(*ast.AssignStmt)
		if ok && len(a.Lhs) == 1 && c.Args[0] == n && types.ExprString(a.Lhs[0]) == types.ExprString(c.Args[0]) {
			return useHarmless
		}
		return useOther
	}
	callee := u.calleeOf(c)
	if callee == nil {
		return useOther
	}
	if callee.Pkg() != nil && isSink(callee) || toOutput(u, c, callee) {
		return useHarmless
	}
	if u.sorts(callee) {
		return useSorts
	}
	if callee.Pkg() != nil && callee.Pkg().Path() == "sort" { // sort.Reverse(sort.StringSlice(x))
		return u.useOf(f, c)
	}
	if callee.Pkg() != nil && callee.Pkg().Path() == "slices" && (callee.Name() == "Contains" || callee.Name() == "Max" || callee.Name() == "Min") {
		return useHarmless
	}
	return useOther
}

// sorts reports whether a function sorts its argument, or returns it sorted: those of sort and
// slices, and others by their names.
func (u *unit) sorts(callee *types.Func) bool {
	if callee.Pkg() != nil && callee.Pkg().Path() == "sort" {
		return callee.Name() != "Reverse" && callee.Signature().Recv() == nil && !strings.HasPrefix(callee.Name(), "Search") || strings.HasPrefix(callee.Name(), "Sort")
	}
	return strings.Contains(strings.ToLower(callee.Name()), "sort") || strings.Contains(strings.ToLower(receiverName(callee)), "sort")
}

// summarizeOrder finds the functions that return or yield elements in the order of a map, and
// what makes them do so.
func (u *unit) summarizeOrder() {
	for range 10 {
		changed := false
		for _, f := range u.funcs {
			before := f.unordered
			f.returned = nil
			u.orderOf(f)
			f.unordered = f.unordered || len(f.returned) > 0
			changed = changed || f.unordered != before
		}
		if !changed {
			return
		}
	}
}

// orderOf runs the loops of f for what they return and yield.
func (u *unit) orderOf(f *function) {
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.RangeStmt:
			if over, ok := u.unorderedOperand(f, n.X); ok {
				l := u.newLoop(f, n, n.Body, over)
				l.key, l.val, l.tok = u.loopVar(n.Key), u.loopVar(n.Value), n.Tok
				if !u.isMap(n.X) {
					l.element(n)
				}
				l.run()
			}
		case *ast.CallExpr:
			if u.isUnorderedCall(n) {
				if r, ok := u.escape(f, n); ok && r == fateReturned {
					f.returned = append(f.returned, u.unsorted(n))
				}
			}
		}
		return true
	})
}

// unsorted returns the reason for a call whose result is in the order of a map.
func (u *unit) unsorted(c *ast.CallExpr) reason {
	return reason{
		Kind: kindMapOrder, Text: short(c) + " is in the random order of a map", Instead: "sort it, for example with slices.Sorted",
		pos: c.Pos(), end: c.End(),
	}
}

// escape follows the result of a call that is in the order of a map. It returns false for
// calls that are handled elsewhere.
func (u *unit) escape(f *function, c *ast.CallExpr) (fate, bool) {
	switch p := f.parents[c].(type) {
	case *ast.RangeStmt:
		return fateSorted, false
	case *ast.ReturnStmt:
		return fateReturned, true
	case *ast.CallExpr:
		if u.isUnorderedCall(p) { // slices.Collect(maps.Keys(m))
			return fateSorted, false
		}
		if u.takesUnordered(p) {
			return fateSorted, true
		}
		if use := u.useInCall(f, p, c); use != useOther {
			return fateSorted, true
		}
		return fateEscapes, true
	case *ast.AssignStmt:
		if len(p.Lhs) >= 1 && len(p.Rhs) == 1 {
			if id, ok := p.Lhs[0].(*ast.Ident); ok {
				if id.Name == "_" {
					return fateSorted, true
				}
				return u.fateOf(f, id, p.End()), true
			}
			return u.fateOf(f, p.Lhs[0], p.End()), true
		}
	case *ast.ExprStmt:
		return fateSorted, true
	}
	return fateEscapes, true
}

// takesUnordered reports whether a function of the standard library does not care about the
// order of an iterator.
func (u *unit) takesUnordered(c *ast.CallExpr) bool {
	callee := u.calleeOf(c)
	if callee == nil || callee.Pkg() == nil {
		return false
	}
	switch callee.Pkg().Path() {
	case "maps":
		return callee.Name() == "Collect" || callee.Name() == "Insert"
	case "slices":
		return strings.HasPrefix(callee.Name(), "Sorted")
	}
	return false
}

// inspectUnsorted reports a call that returns or yields elements in the order of a map, if
// the order counts.
func (u *unit) inspectUnsorted(f *function, c *ast.CallExpr, callee *types.Func) {
	if u.isMapVisitor(callee) {
		u.inspectVisit(f, c)
		return
	}
	if !u.isUnorderedCall(c) {
		return
	}
	u.inspectVisit(f, c)
	if !u.returnsElements(c) {
		return
	}
	if fate, ok := u.escape(f, c); ok && fate == fateEscapes {
		u.foundAt(f, u.unsorted(c))
	}
}

// returnsElements reports whether the first result of a call is a slice or an iterator.
func (u *unit) returnsElements(c *ast.CallExpr) bool {
	t := u.info.TypeOf(c)
	if tuple, ok := t.(*types.Tuple); ok && tuple.Len() > 0 {
		t = tuple.At(0).Type()
	}
	if t == nil {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Slice, *types.Signature:
		return true
	}
	return false
}

// isMapVisitor reports whether a function calls its argument in a random order.
func (u *unit) isMapVisitor(callee *types.Func) bool {
	return callee.Pkg().Path() == "sync" && nameOf(callee) == "Map.Range"
}

// inspectVisit analyzes a function literal that is called for elements in the order of a map.
func (u *unit) inspectVisit(f *function, c *ast.CallExpr) {
	for _, arg := range c.Args {
		lit, ok := ast.Unparen(arg).(*ast.FuncLit)
		if !ok {
			continue
		}
		l := u.newLoop(f, lit, lit.Body, short(c.Fun))
		l.after, l.visit = c.End(), true
		if params := lit.Type.Params.List; len(params) > 0 && len(params[0].Names) > 0 {
			l.key = u.info.Defs[params[0].Names[0]]
		}
		problems := l.run()
		if len(problems) > 0 {
			u.foundAt(f, reason{
				Kind: kindMapOrder, Text: "the order of " + l.over + " is random: " + problems[0].text, Instead: "collect the keys and sort them first",
				pos: c.Pos(), end: c.Fun.End(),
			})
		}
	}
}
