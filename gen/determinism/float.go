package determinism

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"math"

	"golang.org/x/tools/go/analysis"
)

const (
	fusedText    = "the compiler may fuse this multiplication and addition on some platforms, which rounds differently"
	fusedInstead = "convert the product explicitly, as in float64(x*y) + z"
)

// inspectFloat reports x*y + z: some platforms round once and others twice.
func (u *unit) inspectFloat(f *function, b *ast.BinaryExpr) {
	if b.Op != token.ADD && b.Op != token.SUB || !isFloat(u.info.TypeOf(b)) || u.isConstant(b) {
		return
	}
	for _, operand := range []ast.Expr{b.X, b.Y} {
		if p := u.product(f, operand, 0); p != nil {
			u.foundIn(f, b, kindFloat, fusedText, fusedInstead, u.roundFix(p)...)
			return
		}
	}
}

// inspectFloatAssign reports z += x*y.
func (u *unit) inspectFloatAssign(f *function, s *ast.AssignStmt) {
	if s.Tok != token.ADD_ASSIGN && s.Tok != token.SUB_ASSIGN || !isFloat(u.info.TypeOf(s.Lhs[0])) {
		return
	}
	if p := u.product(f, s.Rhs[0], 0); p != nil {
		u.foundIn(f, s, kindFloat, fusedText, fusedInstead, u.roundFix(p)...)
	}
}

// product returns the multiplication whose unrounded result e may be, or nil. An assignment
// to a variable does not round. A multiplication by a power of two is exact.
func (u *unit) product(f *function, e ast.Expr, depth int) *ast.BinaryExpr {
	switch e := ast.Unparen(e).(type) {
	case *ast.BinaryExpr:
		if e.Op == token.MUL && !u.isConstant(e) && !u.isPowerOfTwo(e.X) && !u.isPowerOfTwo(e.Y) {
			return e
		}
	case *ast.UnaryExpr:
		if e.Op == token.SUB || e.Op == token.ADD {
			return u.product(f, e.X, depth)
		}
	case *ast.Ident:
		v, _ := u.info.Uses[e].(*types.Var)
		if values := f.values[v]; depth == 0 && len(values) == 1 && !values[0].elem && values[0].e != nil {
			return u.product(f, values[0].e, 1)
		}
	}
	return nil
}

// roundFix wraps a product in a conversion to its type.
func (u *unit) roundFix(p *ast.BinaryExpr) []analysis.SuggestedFix {
	b, ok := types.Unalias(u.info.TypeOf(p)).(*types.Basic)
	if !ok {
		return nil
	}
	return []analysis.SuggestedFix{{
		Message: "Round the product to " + b.Name(),
		TextEdits: []analysis.TextEdit{
			{Pos: p.Pos(), End: p.Pos(), NewText: []byte(b.Name() + "(")},
			{Pos: p.End(), End: p.End(), NewText: []byte(")")},
		},
	}}
}

func isFloat(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&(types.IsFloat|types.IsComplex) != 0
}

func (u *unit) isConstant(e ast.Expr) bool { return u.info.Types[e].Value != nil }

// isPowerOfTwo reports whether e is a constant 0, ±1, ±2, ±0.5 and so on.
func (u *unit) isPowerOfTwo(e ast.Expr) bool {
	v := u.info.Types[e].Value
	if v == nil {
		return false
	}
	x, _ := constant.Float64Val(constant.ToFloat(v))
	fraction, _ := math.Frexp(x)
	return x == 0 || math.Abs(fraction) == 0.5
}
