package gen

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

const directivePrefix = "//mosaik:"

// directive is a //mosaik: comment above a type.
type directive struct {
	verb string // one of those in arguments
	args map[string]string
	spec *ast.TypeSpec
	pos  token.Position
}

// arguments lists what each verb takes.
var arguments = map[string][]string{
	"machine": {"name", "version", "level", "layout"},
	"command": {"name"},
	"query":   {},
	"variant": {"name"},
	"codec":   {"name"},
}

// flags lists the arguments that have no value.
var flags = map[string][]string{"machine": {"snapshot"}}

// verbs lists the directives for a message.
const verbs = directivePrefix + "machine, " + directivePrefix + "command, " + directivePrefix + "query, " + directivePrefix + "variant and " + directivePrefix + "codec"

// directives returns the directives of a file, in its order.
func directives(fset *token.FileSet, file *ast.File, problems *Problems) []directive {
	above := make(map[*ast.CommentGroup]*ast.TypeSpec)
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.TypeSpec)
			above[spec.Doc] = spec
			if !decl.Lparen.IsValid() {
				above[decl.Doc] = spec
			}
		}
	}
	var out []directive
	for _, group := range file.Comments {
		for _, c := range group.List {
			pos := fset.Position(c.Pos())
			text, ok := strings.CutPrefix(c.Text, directivePrefix)
			if !ok {
				if above[group] != nil && isSpacedDirective(c.Text) {
					problems.add(pos, "%s is a comment like any other; remove the space behind //", c.Text)
				}
				continue
			}
			d, ok := parseDirective(text, pos, problems)
			if !ok {
				continue
			}
			if d.spec = above[group]; d.spec == nil {
				problems.add(pos, "%s%s stands above no type; put it directly above the declaration of one", directivePrefix, d.verb)
				continue
			}
			out = append(out, d)
		}
	}
	return out
}

// isSpacedDirective reports whether a comment would be a directive but for space
// behind its slashes, rather than prose that begins with the name of one.
func isSpacedDirective(comment string) bool {
	text, _ := strings.CutPrefix(comment, "//")
	words := strings.Fields(text)
	if len(words) == 0 {
		return false
	}
	verb, ok := strings.CutPrefix("//"+words[0], directivePrefix)
	isProse := func(word string) bool { return !strings.Contains(word, "=") && !slices.Contains(flags[verb], word) }
	return ok && arguments[verb] != nil && !slices.ContainsFunc(words[1:], isProse)
}

func parseDirective(text string, pos token.Position, problems *Problems) (directive, bool) {
	words := strings.Fields(text)
	if len(words) == 0 || text[0] == ' ' {
		problems.add(pos, "%s says nothing; there are %s", directivePrefix, verbs)
		return directive{}, false
	}
	d := directive{verb: words[0], args: make(map[string]string), pos: pos}
	allowed, ok := arguments[d.verb]
	if !ok {
		problems.add(pos, "unknown directive %s%s; there are %s", directivePrefix, d.verb, verbs)
		return directive{}, false
	}
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		bare := slices.Contains(flags[d.verb], key)
		switch {
		case bare && ok:
			problems.add(pos, "argument %s of %s%s takes no value", key, directivePrefix, d.verb)
			return directive{}, false
		case !bare && !slices.Contains(allowed, key):
			what := "it takes none"
			if len(allowed) > 0 {
				words := append([]string{strings.Join(allowed, "=, ") + "="}, flags[d.verb]...)
				what = "it takes " + strings.Join(words, ", ")
			}
			problems.add(pos, "%s%s has no argument %q; %s", directivePrefix, d.verb, key, what)
			return directive{}, false
		case !bare && (!ok || value == ""):
			problems.add(pos, "argument %s of %s%s needs a value, as in %[1]s=…", key, directivePrefix, d.verb)
			return directive{}, false
		case d.args[key] != "":
			problems.add(pos, "argument %s of %s%s stands there twice; remove one", key, directivePrefix, d.verb)
			return directive{}, false
		case bare:
			value = key
		}
		d.args[key] = value
	}
	return d, true
}

// maxName bounds the name of a machine, in bytes.
const maxName = 255

// machine reads the arguments of a machine's directive into m.
func (d directive) machine(m *Machine, problems *Problems) {
	m.Name = d.args["name"]
	switch {
	case m.Name == "":
		problems.add(d.pos, "machine %s has no name; add name=…, which stays what it is when the type is renamed", m.GoName)
	case len(m.Name) > maxName:
		problems.add(d.pos, "the name of machine %s is %d bytes long; at most %d are allowed", m.GoName, len(m.Name), maxName)
	}
	version, err := strconv.ParseUint(d.args["version"], 10, 32)
	if err != nil || version == 0 {
		problems.add(d.pos, "machine %s needs version=…, a number from 1 to 4294967295 that is raised when the machine behaves otherwise", m.GoName)
	}
	m.Version = uint32(version)
	m.Snapshot = d.args["snapshot"] != ""
	m.Level = 1
	if text := d.args["level"]; text != "" {
		level, err := strconv.ParseUint(text, 10, 32)
		if err != nil || level < 1 || level > maxLevel {
			problems.add(d.pos, "machine %s has level=%s; use a number from 1, the default, to %d", m.GoName, text, maxLevel)
			level = 1
		}
		m.Level = uint32(level)
	}
	switch layout := d.args["layout"]; layout {
	case "", "map":
	case "array":
		m.Array = true
	default:
		problems.add(d.pos, "machine %s has layout=%s; use layout=map, the default, or layout=array", m.GoName, layout)
	}
}
