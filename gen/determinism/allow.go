package determinism

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// allowPrefix begins the comment that silences the analyzer.
const allowPrefix = "//mosaik:allow"

// allow is such a comment. Behind code it covers its line. In front of a statement or a
// declaration it covers all of it.
type allow struct {
	pos, end token.Pos // of the comment
	from, to token.Pos // what it covers
	reason   string
	used     bool
}

// collectAllows finds the comments of a file and what they cover.
func (u *unit) collectAllows(file *ast.File) {
	var found []*allow
	for _, group := range file.Comments {
		for _, c := range group.List {
			if nearlyAllow.MatchString(c.Text) {
				u.misspelled = append(u.misspelled, c)
			}
			rest, ok := strings.CutPrefix(c.Text, allowPrefix)
			if !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
				continue
			}
			reason, _, _ := strings.Cut(rest, "//")
			found = append(found, &allow{
				pos: c.Pos(), end: c.End(), from: group.Pos(), to: group.End(),
				reason: strings.TrimSpace(reason),
			})
		}
	}
	if len(found) == 0 {
		return
	}
	u.allows = append(u.allows, found...)
	tf := u.pass.Fset.File(file.Pos())
	behind := make(map[int]bool) // lines with code
	starts := make(map[int]ast.Node)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n.(type) {
		case nil:
			return true
		case *ast.File:
			return true
		case *ast.Comment, *ast.CommentGroup:
			return false
		}
		line := tf.Line(n.Pos())
		behind[line] = true
		behind[tf.Line(n.End())] = true
		switch n.(type) {
		case ast.Stmt, ast.Decl, ast.Spec, *ast.Field, *ast.KeyValueExpr:
			if starts[line] == nil {
				starts[line] = n
			}
		}
		return true
	})
	for _, a := range found {
		if line := tf.Line(a.pos); behind[line] {
			a.from = tf.LineStart(line)
			a.to = a.end
			continue
		}
		if n := starts[tf.Line(a.to)+1]; n != nil {
			a.from, a.to = n.Pos(), n.End()
		}
	}
}

// allowed reports whether a comment covers pos, and marks it as used.
func (u *unit) allowed(pos token.Pos) bool {
	ok := false
	for _, a := range u.allows {
		if a.from <= pos && pos < a.to && a.reason != "" {
			a.used, ok = true, true
		}
	}
	return ok
}

// nearlyAllow matches comments that are meant as such, and are ordinary comments.
var nearlyAllow = regexp.MustCompile(`^//\s*[Mm]osaik:\s+allow\b|^//(\s+[Mm]|M)osaik:allow\b`)

// reportAllows reports comments without a reason, those that silence nothing, and those that
// are misspelled.
func (u *unit) reportAllows() {
	for _, c := range u.misspelled {
		u.pass.Report(analysis.Diagnostic{
			Pos: c.Pos(), End: c.End(), Category: kindAllow,
			Message: "this comment silences nothing because of its spelling; write " + allowPrefix + " reason",
		})
	}
	for _, a := range u.allows {
		d := analysis.Diagnostic{Pos: a.pos, End: a.end, Category: kindAllow}
		switch {
		case a.reason == "":
			d.Message = allowPrefix + " has no reason; write one behind it: " + allowPrefix + " reason"
		case !a.used:
			d.Message = allowPrefix + " silences nothing; remove it"
			d.SuggestedFixes = []analysis.SuggestedFix{{
				Message:   "Remove the comment",
				TextEdits: []analysis.TextEdit{{Pos: a.pos, End: a.end}},
			}}
		default:
			continue
		}
		u.pass.Report(d)
	}
}
