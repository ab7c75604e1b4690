package gen

import (
	"regexp"
	"slices"
	"strings"
)

// nearly matches a line that may be meant as a directive: a word that resembles mosaik
// in any case, such as mosaic or mosiak, then a separator, then a word.
var nearly = regexp.MustCompile(`^(\s*)(?i:mosa?ia?[kc])(\s*[-:.=_/ \t]\s*)([A-Za-z]+)(.*)$`)

// nearMiss returns the directive that a comment was probably meant to be, or "" for
// prose. A comment in the form of a tool's directive, such as //Mosaik:, may be
// anywhere; any other is a near miss only above a type.
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
		// A colon and no space: gofmt treats such a comment as a directive.
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

// isArguments reports whether text may be the arguments of a verb, and not prose.
func isArguments(verb, text string) bool {
	if text != "" && text[0] != ' ' && text[0] != '\t' {
		return false
	}
	isProse := func(word string) bool {
		return !strings.Contains(word, "=") && !slices.Contains(flags[verb], word)
	}
	return !slices.ContainsFunc(strings.Fields(text), isProse)
}
