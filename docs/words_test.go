package docs_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "remove the exceptions from testdata/words.txt that no longer occur")
	accept = flag.Bool("accept", false, "with -update: write all that occur, for files that moved; there cannot be more than maxExceptions")
)

// maxExceptions is how many lines testdata/words.txt has. The test fails unless the
// two numbers are equal, so a longer list is a larger number in the diff of this
// file. Lower it after a run with -update; do not raise it.
const maxExceptions = 2

// words are the expressions that prose avoids, by what replaces them. Words with
// several meanings (way, far, says) are here only in expressions that are nearly
// always misused.
var words = []struct{ pattern, instead string }{
	{`who(ever|soever)|whatever|whichever (of|one)`, "a peer that, any process that, the caller"},
	{`who (has|lacks|leaves|knows|fails|must|may|gives|comes|wants|reads)`, "a head noun: a peer that"},
	{`(go|goes|going|gone|went) on`, "continues, keeps running"},
	{`anew|afresh`, "again, from scratch"},
	{`any ?more\b(?: [^t]|[^ ]|$)|no more(?:[.,;:]|$)`, "no longer"},
	{`as (it|they) (is|was|are|were)[.,;:]|be (it|they)\b|(and|nor|[.,;:]) so (is|are|was|were|has|have)\b`, "rewrite the sentence"},
	{`(is|are|was|were|be) (not )?to (be|have|do|get|go|take)`, "must, must not"},
	{`under way|on (its|their|the) way`, "in flight"},
	{`(hold|holds|held|holding) up`, "blocks"},
	{`(take|takes|took|taken|taking) in\b( [^t]|[.,;:]|$)`, "accepts"},
	{`(is|are|was|were|be|been|being) told|(tell|tells|told) (of|from|so|which|how|why|whether)`, "receives, reports, learns"},
	{`(hear|hears|heard)( of| from|[.,;:]|$)`, "receives, learns"},
	{`(say|says|said|saying) (so|that|what|how|why|whether|which|who|of|nothing)`, "reports, states"},
	{`(how|too|as) (far|near)\b( [^a]|[.,;:]|$)|nearer|far (away|apart)`, "round-trip time (RTT)"},
	{`(give|gives|gave|given|giving) way`, "yields"},
	{`worth (it|the|their|its|while)|of (any|no|little|much) use|of use`, "what it saves"},
}

// avoided has an expression for each of words, and anyAvoided finds them all at once.
var avoided, anyAvoided = func() (each []*regexp.Regexp, any *regexp.Regexp) {
	var all []string
	for _, w := range words {
		each = append(each, regexp.MustCompile(`(?i)\b(?:`+w.pattern+`)`))
		all = append(all, w.pattern)
	}
	return each, regexp.MustCompile(`(?i)\b(?:` + strings.Join(all, "|") + `)`)
}()

// hit is one use of an avoided expression.
type hit struct {
	file     string
	sentence string // in which it stands, with single spaces
	found    string
	instead  string
}

func (h hit) String() string { return h.file + ": " + h.sentence }

// TestWords keeps expressions that have a better replacement out of the pages, the
// doc comments of exported names, and all text in the sources outside of tests:
// errors, log messages, manuals. Existing uses are in testdata/words.txt.
func TestWords(t *testing.T) {
	hits, texts := allHits(t)
	if texts < 2000 {
		t.Errorf("looked at %d texts, expected 2000 or more", texts)
	}
	const list = "testdata/words.txt"
	content, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if len(content) == 0 {
		known = nil
	}
	if *update {
		known = rewritten(known, hits)
		if len(known) > maxExceptions {
			t.Fatalf("there are %d exceptions, at most %d are allowed: rewrite the sentences", len(known), maxExceptions)
		}
		text := strings.Join(known, "\n")
		if text != "" {
			text += "\n"
		}
		if err := os.WriteFile(list, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	left := known
	for _, h := range hits {
		if i := slices.Index(left, h.String()); i >= 0 {
			left = slices.Delete(slices.Clone(left), i, i+1)
		} else {
			t.Errorf("%s: replace %q by %q in the sentence\n\t%s", h.file, h.found, h.instead, h.sentence)
		}
	}
	for _, line := range left {
		t.Errorf("%s has an exception that no longer occurs; run go test ./docs -run Words -update:\n\t%s", list, line)
	}
	if len(known) != maxExceptions {
		t.Errorf("%s has %d lines and maxExceptions is %d; set it to %[2]d if that is less", list, len(known), maxExceptions)
	}
}

// rewritten returns the new list of exceptions.
func rewritten(known []string, hits []hit) (out []string) {
	for _, h := range hits {
		i := slices.Index(known, h.String())
		if i >= 0 {
			known = slices.Delete(slices.Clone(known), i, i+1)
		}
		if i >= 0 || *accept {
			out = append(out, h.String())
		}
	}
	slices.Sort(out)
	return out
}

// allHits returns what is found in all pages and sources, and in how many texts it
// looked.
func allHits(t *testing.T) (hits []hit, texts int) {
	t.Helper()
	look := func(file, text string) {
		texts++
		hits = append(hits, hitsIn(file, text)...)
	}
	for _, page := range pages(t) {
		for _, text := range prose(read(t, page)) {
			look(page, text)
		}
	}
	for _, file := range files(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source := read(t, file)
		if strings.Contains(source, "\n// Code generated") || strings.HasPrefix(source, "// Code generated") {
			continue
		}
		for _, text := range sourceTexts(t, file, source) {
			look(file, text)
		}
	}
	return hits, texts
}

// hitsIn returns the sentences of a text with an avoided expression.
func hitsIn(file, text string) (hits []hit) {
	text = strings.Join(strings.Fields(text), " ")
	if !anyAvoided.MatchString(text) {
		return nil
	}
	for _, sentence := range sentences(text) {
		for i, re := range avoided {
			if found := re.FindString(sentence); found != "" {
				hits = append(hits, hit{file, sentence, strings.TrimSpace(found), words[i].instead})
				break
			}
		}
	}
	return hits
}

var sentenceEnd = regexp.MustCompile(`[.:;]( |$)`)

// sentences splits a text at the ends of its sentences and clauses.
func sentences(text string) (out []string) {
	for text != "" {
		end := len(text)
		if at := sentenceEnd.FindStringIndex(text); at != nil {
			end = at[1]
		}
		out = append(out, strings.TrimSpace(text[:end]))
		text = text[end:]
	}
	return out
}

// prose returns the paragraphs, list items and table cells of a page, without code.
func prose(page string) (out []string) {
	page = fences.ReplaceAllString(page, "")
	page = regexp.MustCompile(`(?m)^    .*$`).ReplaceAllStringFunc(page, func(line string) string {
		if strings.HasPrefix(line, "    go ") || strings.HasPrefix(line, "    cd ") || strings.HasPrefix(line, "    taskset ") {
			return ""
		}
		return line
	})
	page = spans.ReplaceAllString(page, "·")
	page = links.ReplaceAllString(page, "]")
	var paragraph strings.Builder
	flush := func() {
		if strings.TrimSpace(paragraph.String()) != "" {
			out = append(out, paragraph.String())
		}
		paragraph.Reset()
	}
	for line := range strings.Lines(page) {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "|"):
			flush()
			out = append(out, strings.Split(trimmed, "|")...)
		case trimmed == "", strings.HasPrefix(trimmed, "#"), strings.HasPrefix(trimmed, "- "):
			flush()
			paragraph.WriteString(line)
		default:
			paragraph.WriteString(line)
		}
	}
	flush()
	return out
}

// sourceTexts returns the doc comments of a file's exported names and all of its
// strings that could be prose.
func sourceTexts(t *testing.T, name, source string) (out []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil && !strings.Contains(source, "//go:build go1.") { // else its syntax may be newer than this Go
		t.Fatal(err)
	}
	add := func(exported bool, groups ...*ast.CommentGroup) {
		for _, g := range groups {
			if exported && g != nil {
				out = append(out, paragraphs(g.Text())...)
			}
		}
	}
	add(true, file.Doc)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(n.Name.IsExported(), n.Doc)
		case *ast.GenDecl:
			add(n.Lparen.IsValid() || slices.ContainsFunc(n.Specs, exportedSpec), n.Doc)
		case *ast.TypeSpec:
			add(n.Name.IsExported(), n.Doc, n.Comment)
		case *ast.ValueSpec:
			add(exportedSpec(n), n.Doc, n.Comment)
		case *ast.Field:
			add(slices.ContainsFunc(n.Names, (*ast.Ident).IsExported), n.Doc, n.Comment)
		case *ast.ImportSpec:
			return false
		case *ast.BinaryExpr:
			if text, ok := joined(n); ok {
				out = append(out, paragraphs(text)...)
				return false
			}
		case *ast.BasicLit:
			if text, ok := joined(n); ok && strings.Contains(text, " ") {
				out = append(out, paragraphs(text)...)
			}
		}
		return true
	})
	return out
}

// paragraphs splits a text at its empty lines.
func paragraphs(text string) []string { return strings.Split(text, "\n\n") }

func exportedSpec(spec ast.Spec) bool {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return s.Name.IsExported()
	case *ast.ValueSpec:
		return slices.ContainsFunc(s.Names, (*ast.Ident).IsExported)
	}
	return false
}

// joined returns the value of a string, or of a sum of strings.
func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := joined(e.X)
		right, ok2 := joined(e.Y)
		return left + right, ok && ok2 && e.Op == token.ADD
	}
	return "", false
}

// TestWordsNotices shows that what TestWords looks for is found in each kind of
// text, and that harmless text is not.
func TestWordsNotices(t *testing.T) {
	t.Parallel()
	const source = `// Package p is for whoever needs it.
package p

// F goes on
// for ever.
func F() error { return errors.New("p: open " + "log: it is told of a failure") }

// g goes on, which only readers of the source see.
func g() { slog.Info("entries are under way", "n", 1) }

type T struct {
	A int // A is to be positive.
	b int // b is to be positive.
}
`
	var found []string
	for _, text := range sourceTexts(t, filepath.Join("p", "p.go"), source) {
		for _, h := range hitsIn("p.go", text) {
			found = append(found, h.found)
		}
	}
	if want := []string{"whoever", "goes on", "is told", "under way", "is to be"}; !slices.Equal(found, want) {
		t.Errorf("found %q in a source, want %q", found, want)
	}
	found = nil
	page := "# Whatever\n\nA log is\nunder way, `under way`.\n\n- gives way\n\n| far away | [x](anew) |\n\n```\nanew\n```\n"
	for _, text := range prose(page) {
		for _, h := range hitsIn("p.md", text) {
			found = append(found, h.found)
		}
	}
	if want := []string{"Whatever", "under way", "gives way", "far away"}; !slices.Equal(found, want) {
		t.Errorf("found %q in a page, want %q", found, want)
	}
	for _, text := range []string{
		"no more than two", "takes in turn", "the way a caller says it", "as far as the log is concerned", "wants to be read",
	} {
		for _, h := range hitsIn("p.md", text) {
			t.Errorf("found %q in %q", h.found, text)
		}
	}
	for i, w := range words {
		if fmt.Sprint(w.instead) == "" || avoided[i].MatchString("") {
			t.Errorf("%q has no replacement or matches everything", w.pattern)
		}
	}
}
