package determinism

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// formatters are the functions of fmt that make text, with the index of the format or -1,
// and that of the first argument.
var formatters = map[string][2]int{
	"Sprintf": {0, 1}, "Errorf": {0, 1}, "Appendf": {1, 2}, "Fprintf": {1, 2},
	"Sprint": {-1, 0}, "Sprintln": {-1, 0}, "Append": {-1, 1}, "Appendln": {-1, 1}, "Fprint": {-1, 1}, "Fprintln": {-1, 1},
}

// inspectFormat reports text that contains an address: %p, and pointers, functions and
// channels behind %v.
func (u *unit) inspectFormat(f *function, c *ast.CallExpr, callee *types.Func) {
	if callee.Pkg().Path() != "fmt" {
		return
	}
	at, ok := formatters[callee.Name()]
	if !ok || callee.Signature().Recv() != nil || toOutput(u, c, callee) ||
		c.Ellipsis.IsValid() || len(c.Args) < at[1] {
		return
	}
	verbs := ""
	if at[0] >= 0 {
		v := u.info.Types[c.Args[at[0]]].Value
		if v == nil || v.Kind() != constant.String {
			return
		}
		if verbs, ok = verbsOf(constant.StringVal(v)); !ok {
			return
		}
	}
	for i, arg := range c.Args[at[1]:] {
		verb := byte('v')
		if at[0] >= 0 {
			if i >= len(verbs) {
				break
			}
			verb = verbs[i]
		}
		t := u.info.TypeOf(arg)
		if t == nil || !printsAddress(t, verb) || u.isLogged(f, c, 0) {
			continue
		}
		text := "the text contains an address, of " + types.ExprString(arg)
		u.foundIn(f, arg, kindAddress, text, "format the fields, or an id that the state assigns")
	}
}

// verbsOf returns the verbs of a format, '*' for a width, and false if it has explicit
// indices.
func verbsOf(format string) (string, bool) {
	var out []byte
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		for i++; i < len(format) && strings.IndexByte("+-# 0123456789.*[]", format[i]) >= 0; i++ {
			switch format[i] {
			case '[':
				return "", false
			case '*':
				out = append(out, '*')
			}
		}
		if i < len(format) && format[i] != '%' {
			out = append(out, format[i])
		}
	}
	return string(out), true
}

// printsAddress reports whether fmt prints an address for a value of type t.
func printsAddress(t types.Type, verb byte) bool {
	switch verb {
	case 'p':
		return true
	case 'v', 's', 'd', 'x', 'X':
		return holdsAddress(t, 0, nil)
	}
	return false
}

// holdsAddress is printsAddress for %v at a depth within a value. At the top, fmt follows a
// pointer to a struct, an array, a slice or a map.
func holdsAddress(t types.Type, depth int, seen []types.Type) bool {
	if depth > 4 || slices.Contains(seen, t) || printsItself(t) {
		return false
	}
	seen = append(seen, t)
	switch x := t.Underlying().(type) {
	case *types.Chan, *types.Signature:
		return true
	case *types.Basic:
		return x.Kind() == types.UnsafePointer
	case *types.Pointer:
		if depth > 0 {
			return true
		}
		switch x.Elem().Underlying().(type) {
		case *types.Struct, *types.Array, *types.Slice, *types.Map:
			return holdsAddress(x.Elem(), depth+1, seen)
		}
		return true
	case *types.Slice:
		return holdsAddress(x.Elem(), depth+1, seen)
	case *types.Array:
		return holdsAddress(x.Elem(), depth+1, seen)
	case *types.Map:
		return holdsAddress(x.Elem(), depth+1, seen) || holdsAddress(x.Key(), depth+1, seen)
	case *types.Struct:
		for field := range x.Fields() {
			if holdsAddress(field.Type(), depth+1, seen) {
				return true
			}
		}
	}
	return false
}

// printsItself reports whether fmt calls a method of the value, or the type is one of the
// standard library's whose text has no address.
func printsItself(t types.Type) bool {
	if types.IsInterface(t) {
		return true // its dynamic type is not known
	}
	if _, ok := t.(*types.TypeParam); ok {
		return true
	}
	for _, name := range []string{"Error", "String", "Format", "GoString"} {
		obj, _, _ := types.LookupFieldOrMethod(t, false, nil, name)
		if m, ok := obj.(*types.Func); ok && m != nil {
			return true
		}
	}
	return false
}

// inspectConversion reports a conversion of an address to an integer, unless it is part of
// the computation of another address.
func (u *unit) inspectConversion(f *function, c *ast.CallExpr) {
	if len(c.Args) != 1 || !isKind(u.info.TypeOf(c), types.Uintptr) || !isKind(u.info.TypeOf(c.Args[0]), types.UnsafePointer) {
		return
	}
	if isCompared(f, c) {
		return
	}
	for n := ast.Node(c); n != nil; n = f.parents[n] {
		if outer, ok := n.(*ast.CallExpr); ok && isKind(u.info.TypeOf(outer), types.UnsafePointer) {
			return
		}
		if _, ok := n.(ast.Stmt); ok {
			break
		}
	}
	u.foundIn(f, c, kindAddress, "an address differs between processes", "use an id that the state assigns")
}

func isKind(t types.Type, kind types.BasicKind) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Kind() == kind
}

// isCompared reports whether an address is only compared with others, subtracted from one, or
// checked for its alignment: the result is the same in each process.
func isCompared(f *function, n ast.Node) bool {
	for p := f.parents[n]; p != nil; p = f.parents[p] {
		switch p := p.(type) {
		case *ast.BinaryExpr:
			switch p.Op {
			case token.SUB, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ, token.AND, token.REM:
				return true
			case token.ADD:
			default:
				return false
			}
		case *ast.CallExpr, *ast.SelectorExpr, *ast.ParenExpr:
		default:
			return false
		}
	}
	return false
}
