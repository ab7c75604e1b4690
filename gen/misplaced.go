package gen

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"
)

// This file finds what would make a run succeed without effect: packages that cannot be
// read, and output that the compiler would ignore.

// blocked reports whether the go command could not list p, or its files could not be
// parsed. It adds the reasons to the problems.
func (m *modeler) blocked(p *packages.Package) bool {
	found := false
	for _, e := range p.Errors {
		if !blocking(e) {
			continue
		}
		found = true
		pos, text := goPosition(e.Pos), e.Msg
		if pos.Filename == "" {
			text = "gen: load packages: " + text
		}
		m.problems.add(pos, "%s", text)
	}
	return found
}

// goPosition parses the position in an error of the go command. It has the form
// file:line:column, but the column, the line or all of it may be missing.
func goPosition(text string) (pos token.Position) {
	if text == "" || text == "-" {
		return pos
	}
	pos.Filename = text
	var numbers []int
	for len(numbers) < 2 {
		i := strings.LastIndexByte(pos.Filename, ':')
		n, err := strconv.Atoi(pos.Filename[i+1:])
		if i < 0 || err != nil {
			break
		}
		numbers = append(numbers, n)
		pos.Filename = pos.Filename[:i]
	}
	switch len(numbers) {
	case 2:
		pos.Line, pos.Column = numbers[1], numbers[0]
	case 1:
		pos.Line = numbers[0]
	}
	return pos
}

// misnamed adds a problem if the go command would ignore the generated file of p.
func (m *modeler) misnamed(p *packages.Package) {
	if strings.HasPrefix(p.Name, "_") {
		m.problems.add(m.fset.Position(p.Syntax[0].Name.Pos()), "the generated file of package %s would be named %[1]s%s, and the go command ignores files whose names start with _; rename the package", p.Name, codeSuffix)
	}
}

// unimported reports whether the import of package sm fails in p, and adds a problem
// then. Without it, every method would seem to have the wrong form.
func (m *modeler) unimported(p *packages.Package) bool {
	for _, e := range p.TypeErrors {
		reason, ok := strings.CutPrefix(e.Msg, "could not import "+smPath+" (")
		if !ok {
			continue
		}
		why := strings.TrimSuffix(reason, ")") + "; run go mod tidy"
		if p.Module != nil {
			if file, err := os.ReadFile(p.Module.GoMod); err == nil && !slices.Contains(strings.Fields(string(file)), modulePath) {
				why = fmt.Sprintf("%s does not require the module %s; run go get %[2]s", filepath.Base(p.Module.GoMod), modulePath)
			}
		}
		m.problems.add(m.fset.Position(e.Pos), "package %s cannot be loaded: %s", smPath, why)
		return true
	}
	return false
}

// testDirectives adds a problem for each directive in a _test.go file of p. Generated
// code is not part of tests, so it cannot refer to their types.
func (m *modeler) testDirectives(p *packages.Package) {
	files, _ := filepath.Glob(filepath.Join(dirOf(p), "*_test.go"))
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(src, []byte(directivePrefix)) {
			continue
		}
		file, err := parser.ParseFile(m.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue // the go command reports it when the tests are run
		}
		for _, c := range slices.Concat(comments(file)...) {
			text, ok := strings.CutPrefix(c.Text, directivePrefix)
			if verb, _, _ := strings.Cut(text, " "); ok && arguments[verb] != nil {
				m.problems.add(m.fset.Position(c.Pos()), "%s%s is in a _test.go file, for which mosaik-gen generates nothing; move the type to another file", directivePrefix, verb)
			}
		}
	}
}

// comments returns the comments of each group in a file.
func comments(file *ast.File) [][]*ast.Comment {
	out := make([][]*ast.Comment, len(file.Comments))
	for i, group := range file.Comments {
		out[i] = group.List
	}
	return out
}
