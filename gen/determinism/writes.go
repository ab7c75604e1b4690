package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strings"
)

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
	case token.ADD_ASSIGN, token.SUB_ASSIGN, token.MUL_ASSIGN, token.AND_ASSIGN, token.OR_ASSIGN,
		token.XOR_ASSIGN, token.AND_NOT_ASSIGN:
		return true
	}
	return false
}
