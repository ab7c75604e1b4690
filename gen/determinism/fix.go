package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"strconv"

	"golang.org/x/tools/go/analysis"
)

// fixOf replaces time.Now by the method of the ApplyContext, if f has one.
func (u *unit) fixOf(f *function, whole ast.Expr, obj *types.Func) []analysis.SuggestedFix {
	c, ok := f.parents[whole].(*ast.CallExpr)
	if !ok || c.Fun != whole || obj.Pkg().Path() != "time" || obj.Name() != "Now" {
		return nil
	}
	for _, p := range f.params[1:] {
		if p != nil && p.Name() != "_" && isOurs(p.Type(), "ApplyContext") {
			return []analysis.SuggestedFix{{
				Message:   "Use the time of the command",
				TextEdits: []analysis.TextEdit{{Pos: whole.Pos(), End: whole.End(), NewText: []byte(p.Name() + ".Now")}},
			}}
		}
	}
	return nil
}

// rangeFix ranges over the sorted keys of a map.
func (u *unit) rangeFix(s *ast.RangeStmt) []analysis.SuggestedFix {
	m, ok := u.info.TypeOf(s.X).Underlying().(*types.Map)
	if !ok || s.Tok != token.DEFINE || !isPath(s.X) {
		return nil
	}
	if b, ok := m.Key().Underlying().(*types.Basic); !ok || b.Info()&types.IsOrdered == 0 {
		return nil
	}
	key, over := "key", types.ExprString(s.X)
	if id, ok := s.Key.(*ast.Ident); ok && id.Name != "_" {
		key = id.Name
	}
	edits := []analysis.TextEdit{{
		Pos: s.Key.Pos(), End: s.X.End(), NewText: []byte("_, " + key + " := range slices.Sorted(maps.Keys(" + over + "))"),
	}}
	if id, ok := s.Value.(*ast.Ident); ok && id.Name != "_" {
		edits = append(edits, analysis.TextEdit{
			Pos: s.Body.Lbrace + 1, End: s.Body.Lbrace + 1, NewText: []byte("\n" + id.Name + " := " + over + "[" + key + "]"),
		})
	}
	edits = append(edits, u.imports(s.Pos(), "maps", "slices")...)
	return []analysis.SuggestedFix{{Message: "Range over the sorted keys", TextEdits: edits}}
}

// cloneFix copies a slice or a map that is returned.
func (u *unit) cloneFix(e ast.Expr) []analysis.SuggestedFix {
	pkg := ""
	switch u.info.TypeOf(e).Underlying().(type) {
	case *types.Slice:
		pkg = "slices"
	case *types.Map:
		pkg = "maps"
	default:
		return nil
	}
	return []analysis.SuggestedFix{{
		Message: "Return a copy",
		TextEdits: append([]analysis.TextEdit{
			{Pos: e.Pos(), End: e.Pos(), NewText: []byte(pkg + ".Clone(")},
			{Pos: e.End(), End: e.End(), NewText: []byte(")")},
		}, u.imports(e.Pos(), pkg)...),
	}}
}

// isPath reports whether e is a variable or a field of one, which can be evaluated again.
func isPath(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return true
	case *ast.SelectorExpr:
		return isPath(e.X)
	}
	return false
}

// imports returns the edits that import packages in the file of a position.
func (u *unit) imports(pos token.Pos, paths ...string) []analysis.TextEdit {
	var file *ast.File
	for _, f := range u.pass.Files {
		if f.FileStart <= pos && pos < f.FileEnd {
			file = f
		}
	}
	text := ""
	for _, path := range paths {
		known := false
		for _, i := range file.Imports {
			known = known || i.Path.Value == strconv.Quote(path)
		}
		if !known {
			text += "\n\t" + strconv.Quote(path)
		}
	}
	if text == "" {
		return nil
	}
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT && g.Lparen.IsValid() {
			return []analysis.TextEdit{{Pos: g.Lparen + 1, End: g.Lparen + 1, NewText: []byte(text)}}
		}
	}
	at := file.Name.End()
	return []analysis.TextEdit{{Pos: at, End: at, NewText: []byte("\n\nimport (" + text + "\n)")}}
}
