package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strings"
)

// value is something that is assigned to a local variable: the value of e, or one of its
// elements.
type value struct {
	e    ast.Expr
	elem bool
	pos  token.Pos
	in   ast.Node // the block around the assignment
}

// valuesOf returns what the body of f assigns to its variables, in the order of the source.
func (u *unit) valuesOf(f *function) map[*types.Var][]value {
	out := make(map[*types.Var][]value)
	set := func(lhs, rhs ast.Expr, elem bool, at ast.Node) {
		id, ok := ast.Unparen(lhs).(*ast.Ident)
		if !ok {
			return
		}
		if v, ok := u.objectOf(id).(*types.Var); ok && !v.IsField() {
			out[v] = append(out[v], value{rhs, elem, at.Pos(), f.blockOf(at)})
		}
	}
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				switch {
				case n.Tok != token.ASSIGN && n.Tok != token.DEFINE:
					set(lhs, nil, false, n)
				case len(n.Lhs) == len(n.Rhs):
					set(lhs, n.Rhs[i], false, n)
				default:
					set(lhs, n.Rhs[0], false, n)
				}
			}
		case *ast.IncDecStmt:
			set(n.X, nil, false, n)
		case *ast.ValueSpec:
			for i, name := range n.Names {
				switch {
				case len(n.Names) == len(n.Values):
					set(name, n.Values[i], false, n)
				case len(n.Values) > 0:
					set(name, n.Values[0], false, n)
				}
			}
		case *ast.RangeStmt:
			for _, lhs := range []ast.Expr{n.Key, n.Value} {
				if lhs != nil {
					set(lhs, n.X, true, n)
				}
			}
		case *ast.TypeSwitchStmt:
			s, ok := n.Assign.(*ast.AssignStmt)
			if !ok || len(s.Rhs) != 1 {
				break
			}
			assert, ok := s.Rhs[0].(*ast.TypeAssertExpr)
			if !ok {
				break
			}
			for _, clause := range n.Body.List {
				if v, ok := u.info.Implicits[clause].(*types.Var); ok {
					out[v] = append(out[v], value{assert.X, true, n.Pos(), f.body})
				}
			}
		}
		return true
	})
	return out
}

// blockOf returns the block or clause around n.
func (f *function) blockOf(n ast.Node) ast.Node {
	for p := f.parents[n]; p != nil; p = f.parents[p] {
		switch p.(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause, *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt:
			return p
		}
	}
	return f.body
}

// sharing computes with which parameters of a function values share memory.
type sharing struct {
	u     *unit
	f     *function
	roots map[*types.Var]uint64
	busy  map[*types.Var]bool
}

func (u *unit) sharingOf(f *function) *sharing {
	s := &sharing{u: u, f: f, roots: make(map[*types.Var]uint64), busy: make(map[*types.Var]bool)}
	for i, p := range f.params {
		if p != nil && i < 64 {
			s.roots[p] = 1 << i
		}
	}
	return s
}

// of returns the parameters with whose memory the value of e is shared.
func (s *sharing) of(e ast.Expr) uint64 {
	if e == nil {
		return 0
	}
	if t := s.u.info.TypeOf(e); t == nil || !hasReferences(t, nil) {
		if _, ok := t.(*types.Tuple); !ok {
			return 0
		}
	}
	return s.place(e)
}

// place is of without regard to the type of e.
func (s *sharing) place(e ast.Expr) uint64 {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return s.place(e.X)
	case *ast.Ident:
		v, _ := s.u.objectOf(e).(*types.Var)
		return s.variable(v, e.Pos())
	case *ast.SelectorExpr:
		if _, ok := s.u.info.Selections[e]; ok {
			return s.place(e.X)
		}
	case *ast.IndexExpr:
		return s.place(e.X)
	case *ast.SliceExpr:
		return s.place(e.X)
	case *ast.StarExpr:
		return s.place(e.X)
	case *ast.TypeAssertExpr:
		return s.place(e.X)
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			if c, ok := ast.Unparen(e.X).(*ast.CompositeLit); ok {
				return s.of(c)
			}
			return s.place(e.X)
		}
	case *ast.CompositeLit:
		var mask uint64
		for _, elem := range e.Elts {
			if kv, ok := elem.(*ast.KeyValueExpr); ok {
				elem = kv.Value
			}
			mask |= s.of(elem)
		}
		return mask
	case *ast.CallExpr:
		return s.call(e)
	}
	return 0
}

// variable returns what a variable shares at a position: what it was assigned last, on every
// path, and on some paths since then.
func (s *sharing) variable(v *types.Var, at token.Pos) uint64 {
	if v == nil {
		return 0
	}
	values := s.f.values[v]
	mask, first := s.roots[v], 0
	for i, x := range values {
		if x.pos < at && x.in.Pos() <= at && at <= x.in.End() {
			first, mask = i, 0
		}
	}
	if len(values) == 0 || s.busy[v] {
		return mask
	}
	s.busy[v] = true
	defer delete(s.busy, v)
	for _, x := range values[first:] {
		if x.elem {
			if hasReferences(v.Type(), nil) {
				mask |= s.place(x.e)
			}
			continue
		}
		if x.e != nil {
			if hasReferences(v.Type(), nil) {
				mask |= s.of(x.e)
			}
		}
	}
	return mask
}

// call returns what the result of a call shares.
func (s *sharing) call(c *ast.CallExpr) uint64 {
	if tv, ok := s.u.info.Types[c.Fun]; ok && tv.IsType() {
		if len(c.Args) != 1 || !hasReferences(tv.Type, nil) {
			return 0
		}
		return s.of(c.Args[0])
	}
	if s.u.builtinOf(c) == "append" {
		mask := s.of(c.Args[0])
		for _, arg := range c.Args[1:] {
			if !c.Ellipsis.IsValid() {
				mask |= s.of(arg)
			} else if t, ok := s.u.info.TypeOf(arg).Underlying().(*types.Slice); ok && hasReferences(t.Elem(), nil) {
				mask |= s.of(arg)
			}
		}
		return mask
	}
	callee := s.u.calleeOf(c)
	if callee == nil || callee.Pkg() == nil {
		return 0
	}
	if path := callee.Pkg().Path(); isStandardPath(path) && callee.Pkg() != s.u.pass.Pkg && !s.u.hasFact(callee) {
		if len(c.Args) > 0 && passesOn(path, callee.Name()) {
			return s.of(c.Args[0])
		}
		return 0
	}
	b := s.u.known(callee)
	if b == nil {
		return 0
	}
	return s.arguments(c, callee, b.Shares, s.of)
}

// passesOn reports whether a function of the standard library returns a part of its first
// argument.
func passesOn(path, name string) bool {
	switch path {
	case "slices":
		return slices.Contains(strings.Fields("Clip Grow Compact CompactFunc Delete DeleteFunc Insert Replace"), name)
	case "bytes":
		return strings.HasPrefix(name, "Trim") || strings.HasPrefix(name, "Cut") || strings.HasPrefix(name, "Split") || strings.HasPrefix(name, "Fields")
	}
	return false
}

// arguments returns the union of what arguments are, for the parameters of the callee in mask.
func (s *sharing) arguments(c *ast.CallExpr, callee *types.Func, mask uint64, what func(ast.Expr) uint64) uint64 {
	var out uint64
	for i := range 64 {
		if mask&(1<<i) == 0 {
			continue
		}
		if e := s.u.argument(c, callee, i); e != nil {
			out |= what(e)
		}
	}
	return out
}

// argument returns the argument for a parameter of the callee; 0 is the receiver.
func (u *unit) argument(c *ast.CallExpr, callee *types.Func, i int) ast.Expr {
	args := c.Args
	if callee.Signature().Recv() != nil {
		sel, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
		if !ok {
			return nil
		}
		if selection, ok := u.info.Selections[sel]; ok && selection.Kind() == types.MethodVal {
			if i == 0 {
				return sel.X
			}
		} else { // a method expression
			i++
		}
	} else if i == 0 {
		return nil
	}
	if i-1 < len(args) {
		return args[i-1]
	}
	return nil
}

// writeMask returns the parameters whose memory an assignment to e changes.
func (s *sharing) writeMask(e ast.Expr) uint64 {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return s.writeMask(e.X)
	case *ast.StarExpr:
		return s.of(e.X)
	case *ast.IndexExpr:
		if t := s.u.info.TypeOf(e.X); t != nil {
			if _, ok := t.Underlying().(*types.Array); ok {
				return s.writeMask(e.X)
			}
		}
		if s.isDerivedField(e.X) {
			return 0
		}
		return s.of(e.X)
	case *ast.SelectorExpr:
		selection, ok := s.u.info.Selections[e]
		if !ok || s.isDerivedField(e) {
			return 0
		}
		if selection.Indirect() {
			return s.of(e.X) | s.writeMask(e.X)
		}
		return s.writeMask(e.X)
	}
	return 0
}

// isDerivedField reports whether e selects a field with the tag mosaik:"-", which is no part
// of the state: a cache, a lock.
func (s *sharing) isDerivedField(e ast.Expr) bool {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.IndexExpr:
			e = x.X
			continue
		case *ast.UnaryExpr:
			e = x.X
			continue
		case *ast.SelectorExpr:
			selection, ok := s.u.info.Selections[x]
			if !ok || selection.Kind() != types.FieldVal {
				return false
			}
			t := selection.Recv()
			for _, i := range selection.Index() {
				if p, ok := t.Underlying().(*types.Pointer); ok {
					t = p.Elem()
				}
				st, ok := t.Underlying().(*types.Struct)
				if !ok {
					return false
				}
				if reflect.StructTag(st.Tag(i)).Get("mosaik") == "-" {
					return true
				}
				t = st.Field(i).Type()
			}
			e = x.X
			continue
		}
		return false
	}
}

// addressMask returns the parameters whose memory a method with a pointer receiver changes
// if it is called on e.
func (s *sharing) addressMask(e ast.Expr) uint64 {
	if s.isDerivedField(e) {
		return 0
	}
	if u, ok := ast.Unparen(e).(*ast.UnaryExpr); ok && u.Op == token.AND {
		return s.addressMask(u.X)
	}
	t := s.u.info.TypeOf(e)
	if t == nil {
		return 0
	}
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Map, *types.Slice:
		return s.of(e)
	}
	return s.writeMask(e) | s.of(e)
}

// write is a place at which a function changes memory of its parameters.
type write struct {
	n       ast.Node
	mask    uint64
	what    string // the operand
	ordered bool   // the order of several such writes counts
}

// writesOf returns the writes of f to the memory of its parameters.
func (u *unit) writesOf(f *function) []write {
	s := u.sharingOf(f)
	var out []write
	add := func(n ast.Node, mask uint64, e ast.Expr, ordered bool) {
		if mask != 0 {
			out = append(out, write{n, mask, types.ExprString(e), ordered})
		}
	}
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				if n.Tok == token.DEFINE {
					break
				}
				var rhs ast.Expr
				if len(n.Lhs) == len(n.Rhs) {
					rhs = n.Rhs[i]
				}
				add(n, s.writeMask(lhs), lhs, !u.commutes(f, lhs, rhs, n.Tok))
			}
		case *ast.IncDecStmt:
			add(n, s.writeMask(n.X), n.X, false)
		case *ast.CallExpr:
			u.callWrites(s, n, add)
		}
		return true
	})
	return out
}

// commutes reports whether the order of several assignments to memory of the caller does not
// count: sums, constants, and entries of maps whose keys are parameters.
func (u *unit) commutes(f *function, lhs, rhs ast.Expr, tok token.Token) bool {
	if tok != token.ASSIGN {
		return commutative(tok) && !isFloat(u.info.TypeOf(lhs)) && !isString(u.info.TypeOf(lhs))
	}
	if rhs != nil && !u.mentionsVar(rhs, nil) {
		return true // the same value each time
	}
	index, ok := ast.Unparen(lhs).(*ast.IndexExpr)
	if !ok || !u.isMap(index.X) {
		return false
	}
	return u.mentionsVar(index.Index, f.params[0])
}

// mentionsVar reports whether an expression uses a variable other than except.
func (u *unit) mentionsVar(e ast.Node, except *types.Var) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if v, ok := u.info.Uses[id].(*types.Var); ok && !v.IsField() && v != except {
				found = true
			}
		}
		return !found
	})
	return found
}

// callWrites adds what a call changes.
func (u *unit) callWrites(s *sharing, c *ast.CallExpr, add func(ast.Node, uint64, ast.Expr, bool)) {
	switch u.builtinOf(c) {
	case "delete", "clear":
		if !s.isDerivedField(c.Args[0]) {
			add(c, s.of(c.Args[0]), c.Args[0], false)
		}
		return
	case "copy":
		add(c, s.of(c.Args[0]), c.Args[0], true)
		return
	}
	callee := u.calleeOf(c)
	if callee == nil || callee.Pkg() == nil {
		return
	}
	if path := callee.Pkg().Path(); isStandardPath(path) && callee.Pkg() != u.pass.Pkg && !u.hasFact(callee) {
		for _, e := range u.standardWrites(c, callee) {
			add(c, s.addressMask(e), e, !strings.HasPrefix(path, "sync"))
		}
		return
	}
	b := u.known(callee)
	if b == nil || b.Writes == 0 {
		return
	}
	for i := range 64 {
		if b.Writes&(1<<i) == 0 {
			continue
		}
		if e := u.argument(c, callee, i); e != nil {
			add(c, s.addressMask(e), e, b.Ordered)
		}
	}
}

// changing begins the names of methods of the standard library that change their receivers.
var changing = []string{"Write", "Push", "Remove", "Insert", "MoveTo", "MoveBefore", "MoveAfter", "Set", "Add", "Store", "Delete", "Reset", "Read", "Truncate", "Grow", "Swap", "CompareAndSwap", "LoadOrStore", "LoadAndDelete", "Init", "Encode", "Clear", "Sub", "Mul", "Quo", "Neg", "Next", "Unread"}

// standardWrites returns the operands that a function of the standard library changes.
func (u *unit) standardWrites(c *ast.CallExpr, callee *types.Func) []ast.Expr {
	path, name := callee.Pkg().Path(), callee.Name()
	if recv := callee.Signature().Recv(); recv != nil {
		_, isPointer := types.Unalias(recv.Type()).(*types.Pointer)
		_, isMap := recv.Type().Underlying().(*types.Map)
		isWriter := types.IsInterface(recv.Type()) && strings.HasPrefix(name, "Write")
		sel, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
		if !ok || !isPointer && !isMap && !isWriter || receiverName(callee) == "WaitGroup" {
			return nil
		}
		if slices.ContainsFunc(changing, func(s string) bool { return strings.HasPrefix(name, s) }) {
			return []ast.Expr{sel.X}
		}
		return nil
	}
	if len(c.Args) == 0 {
		return nil
	}
	changes := false
	switch path {
	case "sort":
		changes = !strings.HasPrefix(name, "Search") && !strings.HasSuffix(name, "AreSorted") && name != "IsSorted" && name != "SliceIsSorted"
	case "slices":
		changes = name == "Reverse" || name == "Sort" || name == "SortFunc" || name == "SortStableFunc"
	case "maps":
		changes = name == "Copy" || name == "DeleteFunc" || name == "Insert"
	case "container/heap":
		changes = true
	case "sync/atomic":
		changes = !strings.HasPrefix(name, "Load")
	case "fmt":
		changes = strings.HasPrefix(name, "Fprint") && !toOutput(u, c, callee)
	case "io":
		changes = name == "WriteString" || name == "Copy" || name == "ReadFull"
	case "encoding/binary":
		changes = name == "Write"
	}
	if !changes {
		return nil
	}
	arg := ast.Unparen(c.Args[0])
	if conversion, ok := arg.(*ast.CallExpr); ok && len(conversion.Args) == 1 { // sort.Sort(byName(x))
		arg = conversion.Args[0]
	}
	return []ast.Expr{arg}
}

// summarize computes what the functions of the package write and share.
func (u *unit) summarize() {
	for range 10 {
		changed := false
		for _, f := range u.funcs {
			var writes uint64
			ordered := false
			for _, w := range u.writesOf(f) {
				writes |= w.mask
				ordered = ordered || w.ordered
			}
			shares := u.sharesOf(f)
			if writes != f.writes || ordered != f.ordered || shares != f.shares {
				f.writes, f.ordered, f.shares, changed = writes, ordered, shares, true
			}
		}
		if !changed {
			break
		}
	}
	u.summarizeOrder()
}

// sharesOf returns the parameters with whose memory the results of f are shared.
func (u *unit) sharesOf(f *function) uint64 {
	s := u.sharingOf(f)
	var mask uint64
	for _, r := range u.resultsOf(f) {
		mask |= r.shares(s)
	}
	return mask
}

// result is an expression that a function returns, or a named result.
type result struct {
	at ast.Node
	e  ast.Expr
	v  *types.Var
}

// shares returns the parameters with whose memory the result is shared.
func (r result) shares(s *sharing) uint64 {
	switch {
	case r.v == nil:
		return s.of(r.e)
	case hasReferences(r.v.Type(), nil):
		return s.variable(r.v, r.at.Pos())
	}
	return 0
}

// resultsOf returns what f itself returns.
func (u *unit) resultsOf(f *function) []result {
	var out []result
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			for _, e := range n.Results {
				out = append(out, result{at: e, e: e})
			}
			if len(n.Results) > 0 || f.typ.Results == nil {
				break
			}
			for _, field := range f.typ.Results.List {
				for _, name := range field.Names {
					if v, ok := u.info.Defs[name].(*types.Var); ok {
						out = append(out, result{at: n, v: v})
					}
				}
			}
		}
		return true
	})
	return out
}

// hasReferences reports whether values of t refer to memory that can change: pointers,
// slices, maps and channels. The values of interfaces are not known. Times, locations and
// regular expressions do not change.
func hasReferences(t types.Type, seen []types.Type) bool {
	if slices.Contains(seen, t) {
		return false
	}
	seen = append(seen, t)
	if n := namedOf(t); n != nil && n.Obj().Pkg() != nil {
		switch n.Obj().Pkg().Path() + "." + n.Obj().Name() {
		case "time.Time", "time.Location", "regexp.Regexp", "net/netip.Addr", "net/netip.Prefix", "net/netip.AddrPort":
			return false
		}
	}
	switch x := t.Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Chan:
		return true
	case *types.Array:
		return hasReferences(x.Elem(), seen)
	case *types.Struct:
		for field := range x.Fields() {
			if hasReferences(field.Type(), seen) {
				return true
			}
		}
	}
	return false
}

func isString(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

// commutative reports whether the order of several assignments with an operator does not
// count, for integers.
func commutative(tok token.Token) bool {
	switch tok {
	case token.ADD_ASSIGN, token.SUB_ASSIGN, token.MUL_ASSIGN, token.AND_ASSIGN, token.OR_ASSIGN, token.XOR_ASSIGN, token.AND_NOT_ASSIGN:
		return true
	}
	return false
}
