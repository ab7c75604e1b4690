package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// foundIn adds a reason in the body of f, unless a comment silences it.
func (u *unit) foundIn(f *function, n ast.Node, kind, text, instead string, fixes ...analysis.SuggestedFix) {
	u.foundAt(f, reason{Kind: kind, Text: text, Instead: instead, pos: n.Pos(), end: n.End(), fixes: fixes})
}

func (u *unit) foundAt(f *function, r reason) {
	if u.allowed(r.pos) {
		return
	}
	r.site = u.pass.Fset.Position(r.pos).String()
	f.local = append(f.local, r)
}

// inspect finds the reasons in the body of f itself, and its calls.
func (u *unit) inspect(f *function) {
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			u.inspectCall(f, n)
		case *ast.Ident:
			u.mention(f, n, n)
		case *ast.SelectorExpr:
			u.mention(f, n.Sel, n)
		case *ast.GoStmt:
			u.foundIn(f, n, kindConcurrency, "a goroutine runs at a different time on each member", "make the call directly")
		case *ast.SendStmt:
			if !u.isNotification(f, n) {
				u.foundIn(f, n, kindConcurrency, "a send depends on the goroutine that receives", "return the value as the result, or follow the commands with Group.Commands")
			}
		case *ast.UnaryExpr:
			if n.Op == token.ARROW && !inSelect(f, n) {
				u.foundIn(f, n, kindConcurrency, "a receive depends on the goroutine that sends", useCommand)
			}
		case *ast.SelectStmt:
			u.inspectSelect(f, n)
		case *ast.RangeStmt:
			u.inspectRange(f, n)
		case *ast.BinaryExpr:
			u.inspectFloat(f, n)
		case *ast.AssignStmt:
			u.inspectFloatAssign(f, n)
			for _, lhs := range n.Lhs {
				u.inspectWrite(f, lhs, n)
			}
		case *ast.IncDecStmt:
			u.inspectWrite(f, n.X, n)
		}
		return true
	})
}

// mention looks at the use of a function, a variable or a constant.
func (u *unit) mention(f *function, id *ast.Ident, whole ast.Expr) {
	if sel, ok := f.parents[id].(*ast.SelectorExpr); ok && sel.Sel == id && whole == ast.Expr(id) {
		return // the selector is looked at as a whole
	}
	switch obj := u.info.Uses[id].(type) {
	case *types.Func:
		u.mentionFunc(f, obj.Origin(), whole)
	case *types.Var:
		u.mentionVar(f, obj, whole)
	case *types.Const:
		if r, ok := ruleOfVar(obj); ok && !u.isLogged(f, whole, 0) {
			r.pos, r.end = whole.Pos(), whole.End()
			u.foundAt(f, r)
		}
	}
}

func (u *unit) mentionFunc(f *function, obj *types.Func, whole ast.Expr) {
	if isSink(obj) {
		return
	}
	if u.callsGroup(obj) {
		u.foundIn(f, whole, kindGroup, qualified(obj)+" calls a group from inside of it", "call it when the command is applied, from the code that executed it")
		return
	}
	if r, ok := ruleOf(obj); ok {
		if r.value && (u.isLogged(f, whole, 0) || isParallelism(f, obj)) || r.kind == kindAddress && isCompared(f, whole) {
			return
		}
		u.foundIn(f, whole, r.kind, obj.Pkg().Name()+"."+nameOf(obj)+" "+r.why, r.instead, u.fixOf(f, whole, obj)...)
		return
	}
	if obj.Pkg() == nil || isTrusted(obj.Pkg().Path()) {
		return
	}
	if isStandardPath(obj.Pkg().Path()) && obj.Pkg() != u.pass.Pkg && !u.hasFact(obj) {
		return
	}
	for _, o := range u.implementations(obj) {
		f.calls = append(f.calls, call{pos: whole.Pos(), end: whole.End(), to: o})
	}
	f.calls = append(f.calls, call{pos: whole.Pos(), end: whole.End(), to: u.byObj[obj], obj: obj})
}

// isParallelism reports whether obj returns the number of processors, in a function that starts
// goroutines: these are reported.
func isParallelism(f *function, obj *types.Func) bool {
	if obj.Pkg().Path() != "runtime" || obj.Name() != "NumCPU" && obj.Name() != "GOMAXPROCS" {
		return false
	}
	starts := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		_, isGo := n.(*ast.GoStmt)
		starts = starts || isGo
		return !starts
	})
	return starts
}

// hasFact reports whether the package of obj was analyzed although its path looks like one
// of the standard library.
func (u *unit) hasFact(obj *types.Func) bool {
	var b behavior
	return u.pass.ImportObjectFact(obj, &b)
}

// callsGroup reports whether obj is a function of package mosaik that takes a group, or one
// of its methods.
func (u *unit) callsGroup(obj *types.Func) bool {
	if obj.Pkg() == nil || obj.Pkg().Path() != mosaikPath {
		return false
	}
	sig := obj.Signature()
	vars := []*types.Var{sig.Recv()}
	for v := range sig.Params().Variables() {
		vars = append(vars, v)
	}
	return slices.ContainsFunc(vars, func(v *types.Var) bool {
		if v == nil {
			return false
		}
		n := namedOf(v.Type())
		return n != nil && slices.Contains([]string{"Group", "When", "Pending"}, n.Obj().Name())
	})
}

// implementations returns the methods of the package's types that a call of an interface's
// method may reach. Interfaces of the standard library have too many to tell.
func (u *unit) implementations(obj *types.Func) []*function {
	recv := obj.Signature().Recv()
	if recv == nil || obj.Pkg() == nil || isStandardPath(obj.Pkg().Path()) && obj.Pkg() != u.pass.Pkg {
		return nil
	}
	iface, ok := recv.Type().Underlying().(*types.Interface)
	if !ok {
		return nil
	}
	if known, ok := u.classes[obj]; ok {
		return known
	}
	var out []*function
	scope := u.pass.Pkg.Scope()
	for _, name := range scope.Names() {
		tn, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || tn.IsAlias() || types.IsInterface(tn.Type()) {
			continue
		}
		if n, ok := tn.Type().(*types.Named); ok && n.TypeParams().Len() > 0 {
			continue
		}
		p := types.NewPointer(tn.Type())
		if !types.Implements(p, iface) {
			continue
		}
		m, _, _ := types.LookupFieldOrMethod(p, true, u.pass.Pkg, obj.Name())
		if m, ok := m.(*types.Func); ok {
			if f := u.byObj[m.Origin()]; f != nil {
				out = append(out, f)
			}
		}
	}
	u.classes[obj] = out
	return out
}

// inspectCall looks at a call: of a function value, of fmt, of a conversion.
func (u *unit) inspectCall(f *function, c *ast.CallExpr) {
	if tv, ok := u.info.Types[c.Fun]; ok && tv.IsType() {
		u.inspectConversion(f, c)
		return
	}
	for _, e := range u.changedBy(c) {
		u.inspectWrite(f, e, c)
	}
	callee := u.calleeOf(c)
	if callee == nil {
		u.callValue(f, c)
		return
	}
	if callee.Pkg() == nil {
		return
	}
	u.inspectFormat(f, c, callee)
	u.inspectUnsorted(f, c, callee)
	u.inspectKeptSource(f, c, callee)
	u.inspectEncoder(f, c, callee)
	u.inspectZone(f, c, callee)
}

// callValue follows the call of a function that a field or a package variable holds.
func (u *unit) callValue(f *function, c *ast.CallExpr) {
	v, ok := u.objectOf(rootOf(c.Fun, false)).(*types.Var)
	if !ok || !v.IsField() && !isPackageVar(v) {
		return
	}
	for _, t := range u.held[v] {
		if t.obj == nil {
			f.calls = append(f.calls, call{pos: c.Pos(), end: c.End(), to: t.to})
			continue
		}
		if r, ok := ruleOf(t.obj); ok {
			if !r.value || !u.isLogged(f, c, 0) {
				u.foundIn(f, c.Fun, r.kind, types.ExprString(c.Fun)+" holds "+qualified(t.obj)+", which "+r.why, r.instead)
			}
			continue
		}
		f.calls = append(f.calls, call{pos: c.Pos(), end: c.End(), to: u.byObj[t.obj], obj: t.obj})
	}
}

// rootOf returns the operand of an expression's indices and, with all, of its selectors.
func rootOf(e ast.Expr, all bool) ast.Expr {
	for {
		x, ok := operandOf(e)
		if sel, isSelector := e.(*ast.SelectorExpr); isSelector && all {
			x, ok = sel.X, true
		}
		if !ok {
			return e
		}
		e = x
	}
}

// operandOf returns the value of which e is a part, or the whole in another form: the operand of
// an index, a slice, a pointer or a type assertion.
func operandOf(e ast.Expr) (ast.Expr, bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return e.X, true
	case *ast.IndexExpr:
		return e.X, true
	case *ast.SliceExpr:
		return e.X, true
	case *ast.StarExpr:
		return e.X, true
	case *ast.TypeAssertExpr:
		return e.X, true
	}
	return nil, false
}

// inspectKeptSource reports numbers from a source that the machine or the process keeps: it
// is not part of snapshots, so a restored member draws other numbers.
func (u *unit) inspectKeptSource(f *function, c *ast.CallExpr, callee *types.Func) {
	path := callee.Pkg().Path()
	if path != "math/rand" && path != "math/rand/v2" || receiverName(callee) == "" {
		return
	}
	sel, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
	if !ok {
		return
	}
	if v, ok := u.objectOf(sel.X).(*types.Var); ok && (v.IsField() || isPackageVar(v)) {
		u.foundIn(f, c, kindRandom, types.ExprString(sel.X)+" is a source of random numbers that snapshots do not hold", useRand)
	}
}

// shuffling are the encoders that write maps in a random order.
var shuffling = map[string]string{
	"encoding/gob.Encoder.Encode":              "use encoding/json, which sorts keys, or encode sorted pairs",
	"google.golang.org/protobuf/proto.Marshal": "use proto.MarshalOptions with Deterministic",
}

// inspectEncoder reports the encoding of maps by such an encoder.
func (u *unit) inspectEncoder(f *function, c *ast.CallExpr, callee *types.Func) {
	instead, ok := shuffling[callee.Pkg().Path()+"."+nameOf(callee)]
	if ok && len(c.Args) == 1 && containsMap(u.info.TypeOf(c.Args[0]), nil) {
		u.foundIn(f, c, kindMapOrder, qualified(callee)+" writes maps in a random order", instead)
	}
}

// containsMap reports whether values of t hold maps.
func containsMap(t types.Type, seen []types.Type) bool {
	if t == nil || slices.Contains(seen, t) {
		return false
	}
	seen = append(seen, t)
	switch x := t.Underlying().(type) {
	case *types.Map:
		return true
	case *types.Pointer:
		return containsMap(x.Elem(), seen)
	case *types.Slice:
		return containsMap(x.Elem(), seen)
	case *types.Array:
		return containsMap(x.Elem(), seen)
	case *types.Struct:
		for field := range x.Fields() {
			if field.Exported() && containsMap(field.Type(), seen) {
				return true
			}
		}
	}
	return false
}

// zoned are the methods of time.Time whose results depend on its zone.
var zoned = strings.Fields("Format AppendFormat String GoString Date Clock Year Month Day YearDay Weekday ISOWeek Hour Minute Zone Location IsDST ZoneBounds MarshalJSON MarshalText MarshalBinary AppendText AppendBinary GobEncode")

// inspectZone reports time.Unix(…).Format and the like: these times are in the zone of the
// member.
func (u *unit) inspectZone(f *function, c *ast.CallExpr, callee *types.Func) {
	if callee.Pkg().Path() != "time" || receiverName(callee) != "Time" || !slices.Contains(zoned, callee.Name()) {
		return
	}
	sel, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
	if !ok || !u.isLocalTime(f, sel.X, 0) || u.isLogged(f, c, 0) {
		return
	}
	u.foundIn(f, c, kindEnvironment, "time."+nameOf(callee)+" of a time from time.Unix depends on the time zone of this member", "call UTC first")
}

// isLocalTime reports whether e is the result of time.Unix, as it is or in a variable.
func (u *unit) isLocalTime(f *function, e ast.Expr, depth int) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.CallExpr:
		callee := u.calleeOf(e)
		if callee == nil || callee.Pkg() == nil || callee.Pkg().Path() != "time" {
			return false
		}
		switch nameOf(callee) {
		case "Unix", "UnixMilli", "UnixMicro":
			return true
		case "Time.Add", "Time.AddDate", "Time.Truncate", "Time.Round":
			return u.isLocalTime(f, ast.Unparen(e.Fun).(*ast.SelectorExpr).X, depth)
		}
	case *ast.Ident:
		v, _ := u.info.Uses[e].(*types.Var)
		values := f.values[v]
		return depth < 3 && len(values) == 1 && !values[0].elem && u.isLocalTime(f, values[0].e, depth+1)
	}
	return false
}
