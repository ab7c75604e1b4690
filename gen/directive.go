package gen

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

const directivePrefix = "//mosaik:"

// directive is a //mosaik: comment above a type, or above a package clause.
type directive struct {
	verb string // one of those in arguments
	args map[string]string
	spec *ast.TypeSpec // the type below it, nil above a package clause
	pos  token.Position

	failed bool // an argument is wrong, for which there is a problem
}

// arguments lists the arguments of each verb that have a value.
var arguments = map[string][]string{
	"machine": {"name", "version", "level", "layout"},
	"command": {"name"},
	"query":   {},
	"variant": {"name"},
	"codec":   {"name"},
	"package": {"int", "uint"},
}

// flags lists the arguments of each verb that have no value.
var flags = map[string][]string{"machine": {"snapshot"}, "codec": {"module"}}

// verbs lists the directives for problems.
const verbs = directivePrefix + "machine, " + directivePrefix + "command, " + directivePrefix + "query, " + directivePrefix + "variant, " + directivePrefix + "codec and " + directivePrefix + "package"

// directives returns the directives of a file in their order.
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
				if miss := nearMiss(c.Text, above[group] != nil); miss != "" {
					problems.add(pos, "%s is an ordinary comment, not a directive; write %s", c.Text, miss)
				}
				continue
			}
			if isAllow(text) {
				continue
			}
			d, ok := parseDirective(text, pos, problems)
			if !ok {
				continue
			}
			if d.verb == "package" {
				if group.End() > file.Package {
					problems.add(pos, "%s%s is below the package clause; put it above the clause", directivePrefix, d.verb)
					continue
				}
			} else if d.spec = above[group]; d.spec == nil {
				problems.add(pos, "%s%s is not above a type; put it directly above a type declaration", directivePrefix, d.verb)
				continue
			}
			out = append(out, d)
		}
	}
	return out
}

// isAllow reports whether a directive is the comment that silences mosaik-gen vet. It may be
// anywhere.
func isAllow(text string) bool {
	verb, _, _ := strings.Cut(text, " ")
	return verb == "allow"
}

// parseDirective parses the text after the prefix. It returns false if the verb is
// unknown.
func parseDirective(text string, pos token.Position, problems *Problems) (directive, bool) {
	words := strings.Fields(text)
	if len(words) == 0 || text[0] == ' ' {
		problems.add(pos, "%s names no directive; the directives are %s", directivePrefix, verbs)
		return directive{}, false
	}
	d := directive{verb: words[0], args: make(map[string]string), pos: pos}
	if _, ok := arguments[d.verb]; !ok {
		problems.add(pos, "unknown directive %s%s; the directives are %s", directivePrefix, d.verb, verbs)
		return directive{}, false
	}
	for _, word := range words[1:] {
		d.argument(word, problems)
	}
	return d, true
}

// argument parses a word after the verb.
func (d *directive) argument(word string, problems *Problems) {
	refuse := func(format string, args ...any) {
		problems.add(d.pos, format, args...)
		d.failed = true
	}
	allowed := arguments[d.verb]
	key, value, ok := strings.Cut(word, "=")
	bare := slices.Contains(flags[d.verb], key)
	switch {
	case bare && ok:
		refuse("argument %s of %s%s takes no value; write %[1]s alone", key, directivePrefix, d.verb)
	case !bare && !slices.Contains(allowed, key):
		what := "it takes none"
		if len(allowed) > 0 {
			words := append([]string{strings.Join(allowed, "=, ") + "="}, flags[d.verb]...)
			what = "it takes " + strings.Join(words, ", ")
		}
		refuse("%s%s has no argument %q; %s", directivePrefix, d.verb, key, what)
	case !bare && (!ok || value == ""):
		refuse("argument %s of %s%s needs a value, as in %[1]s=…", key, directivePrefix, d.verb)
	case d.args[key] != "":
		refuse("argument %s of %s%s occurs twice; remove one", key, directivePrefix, d.verb)
	case bare:
		d.args[key] = key
	default:
		d.args[key] = value
	}
}

// maxName is the highest number of bytes in the name of a machine.
const maxName = 255

// machine sets m from the arguments of the directive.
func (d directive) machine(m *Machine, problems *Problems) {
	m.Name = d.args["name"]
	m.Level = 1
	switch {
	case m.Name == "" && d.failed: // there is a problem already
	case m.Name == "":
		problems.add(d.pos, "machine %s has no name; add name=…, and keep that name when the type is renamed", m.GoName)
	case len(m.Name) > maxName:
		problems.add(d.pos, "the name of machine %s is %d bytes long, at most %d are allowed; shorten it", m.GoName, len(m.Name), maxName)
	}
	version, err := strconv.ParseUint(d.args["version"], 10, 32)
	if (err != nil || version == 0) && (d.args["version"] != "" || !d.failed) {
		problems.add(d.pos, "machine %s needs version=…, a number from 1 to 4294967295; raise it whenever the behavior of the machine changes", m.GoName)
	}
	m.Version = uint32(version)
	m.Snapshot = d.args["snapshot"] != ""
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
