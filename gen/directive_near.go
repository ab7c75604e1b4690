package gen

import (
	"regexp"
	"slices"
	"strings"
)

// nearly matches what may be meant as a directive: a name like mosaik in any case,
// whatever stands in place of the colon, and a word. The name is known by its
// sound, so that mosaic and mosiak are found too.
var nearly = regexp.MustCompile(`^(\s*)(?i:mosa?ia?[kc])(\s*[-:.=_/ \t]\s*)([A-Za-z]+)(.*)$`)

// nearMiss returns the directive that a comment would be if it were written as
// one, "" for prose. Comments other than directives are taken for one above a type
// alone, unless their form is that of a directive of some tool, as in //Mosaik:.
func nearMiss(comment string, aboveType bool) string {
	text, isLine := strings.CutPrefix(comment, "//")
	if !isLine {
		text = strings.TrimSuffix(strings.TrimPrefix(comment, "/*"), "*/")
	}
	for line := range strings.Lines(text) {
		found := nearly.FindStringSubmatch(strings.TrimRight(line, " \t\r\n"))
		if found == nil {
			continue
		}
		space, between, verb, rest := found[1], found[2], strings.ToLower(found[3]), found[4]
		// gofmt leaves alone what looks like a directive: a colon, and no space.
		isForm := isLine && space == "" && between == ":"
		isLoose := !isLine || space != ""
		switch {
		case isForm && arguments[verb] == nil:
			return directivePrefix + verb
		case arguments[verb] == nil || isLoose && (!aboveType || strings.TrimSpace(between) == ""):
			continue
		case isForm || isArguments(verb, rest):
			return directivePrefix + verb + rest
		}
	}
	return ""
}

// isArguments reports whether text is what may follow a verb, rather than prose.
func isArguments(verb, text string) bool {
	if text != "" && text[0] != ' ' && text[0] != '\t' {
		return false
	}
	isProse := func(word string) bool {
		return !strings.Contains(word, "=") && !slices.Contains(flags[verb], word)
	}
	return !slices.ContainsFunc(strings.Fields(text), isProse)
}
