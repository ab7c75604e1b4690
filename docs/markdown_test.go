package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the folder of the module, seen from this package.
const root = ".."

// pages returns the Markdown files of the repository as paths from its root,
// without those of testdata.
func pages(t *testing.T) []string {
	t.Helper()
	return files(t, ".md")
}

// files returns the files with the given extension, as paths from the root with
// slashes, without those in testdata and in folders that begin with a dot.
func files(t *testing.T, ext string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case !d.IsDir() && filepath.Ext(path) == ext:
			rel, err := filepath.Rel(root, path)
			out = append(out, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// read returns the content of a file, given by its path from the root.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	fences  = regexp.MustCompile("(?ms)^```.*?^```[ \t]*$")
	spans   = regexp.MustCompile("`[^`\n]*`")
	links   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
)

// TestLinks expects that the target of every relative link exists, and the
// heading that its fragment names.
func TestLinks(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		text := spans.ReplaceAllStringFunc(fences.ReplaceAllString(read(t, page), ""), func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == '(' || r == ')' {
					return '.'
				}
				return r
			}, s)
		})
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			checked++
			target, fragment, _ := strings.Cut(m[1], "#")
			path := page
			if target != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(page), target))
			}
			info, err := os.Stat(filepath.Join(root, path))
			switch {
			case err != nil:
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			case fragment != "" && info.IsDir():
				t.Errorf("%s links to a heading of the folder %s", page, m[1])
			case fragment != "" && !slices.Contains(anchors(read(t, path)), fragment):
				t.Errorf("%s links to %s, but %s has no such heading", page, m[1], path)
			}
		}
	}
	if checked < 60 {
		t.Errorf("found %d relative links, expected 60 or more", checked)
	}
}

// anchors returns the fragments by which the headings of a page are linked.
func anchors(text string) (out []string) {
	for _, m := range heading.FindAllStringSubmatch(fences.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z', r > 0x7f:
				return r
			}
			return -1
		}, strings.ToLower(m[1])))
	}
	return out
}

// TestFilesExist expects that every Go file that a page names exists. A page may
// leave out the folders before the last one: engine/sizes.go.
func TestFilesExist(t *testing.T) {
	t.Parallel()
	sources := files(t, ".go")
	named := regexp.MustCompile("`([\\w./-]+/[\\w-]+\\.go)`")
	found := 0
	for _, page := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(fences.ReplaceAllString(read(t, page), ""), -1) {
			found++
			if !slices.ContainsFunc(sources, func(s string) bool { return s == m[1] || strings.HasSuffix(s, "/"+m[1]) }) {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
	}
	if found < 60 {
		t.Errorf("found %d names of files, expected 60 or more", found)
	}
}

// TestMap expects that docs/DESIGN.md ends with the map of what to open, and
// that every file and folder in it exists.
func TestMap(t *testing.T) {
	t.Parallel()
	_, section, ok := strings.Cut(read(t, "docs/DESIGN.md"), "\n## Where to change what\n")
	if !ok || strings.Contains(section, "\n## ") {
		t.Fatal("docs/DESIGN.md does not end with the section \"Where to change what\"")
	}
	rows := 0
	for line := range strings.Lines(section) {
		topic, open, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if !ok || topic == "to change" {
			continue
		}
		rows++
		paths := regexp.MustCompile("`([\\w./-]+/[\\w./-]+)`").FindAllStringSubmatch(open, -1)
		if len(paths) == 0 {
			t.Errorf("the map names no file for %q", topic)
		}
		for _, p := range paths {
			if _, err := os.Stat(filepath.Join(root, p[1])); err != nil {
				t.Errorf("the map sends readers who want to change %q to %s, which does not exist", topic, p[1])
			}
		}
	}
	if rows < 40 {
		t.Errorf("the map has %d rows, expected 40 or more", rows)
	}
}

// TestGlossary expects that every identifier in docs/glossary.md exists, and that
// every term has one line.
func TestGlossary(t *testing.T) {
	t.Parallel()
	exported := exportedNames(read(t, "mosaik/testdata/api.txt"))
	seen := map[string]bool{}
	identifiers := 0
	for _, row := range regexp.MustCompile("(?m)^\\| ([^|]+) \\| [^|]+ \\| (?:`([^`]+)` )?\\|$").FindAllStringSubmatch(read(t, "docs/glossary.md"), -1) {
		term, identifier := row[1], row[2]
		if seen[term] {
			t.Errorf("the glossary has two lines for %q", term)
		}
		seen[term] = true
		if identifier == "" {
			continue
		}
		identifiers++
		if !exported[identifier] {
			t.Errorf("the glossary names %s for %q, which is not exported", identifier, term)
		}
	}
	if len(seen) < 60 || identifiers < 40 {
		t.Errorf("found %d terms with %d identifiers, expected 60 and 40 or more", len(seen), identifiers)
	}
}

// exportedNames returns the names in the list of what the module exports, as
// package.Name and package.Type.Member.
func exportedNames(api string) map[string]bool {
	names := map[string]bool{}
	name := regexp.MustCompile(`^(?:type|func|const|var) (\w+)`)
	member := regexp.MustCompile(`^\t(?:func \(\*?\w+(?:\[[^\]]*\])?\)\.)?(\w+)`)
	var pkg, typ string
	for line := range strings.Lines(api) {
		if path, ok := strings.CutPrefix(line, "package "); ok {
			path, _, _ = strings.Cut(path, " ")
			pkg = path[strings.LastIndex(path, "/")+1:]
		} else if m := name.FindStringSubmatch(line); m != nil {
			typ = pkg + "." + m[1]
			names[typ] = true
		} else if m := member.FindStringSubmatch(line); m != nil {
			names[typ+"."+m[1]] = true
		}
	}
	return names
}

// TestWorkflowsPinActions expects that every action of a workflow is named by a
// commit, with its version beside it.
func TestWorkflowsPinActions(t *testing.T) {
	t.Parallel()
	const workflow = ".github/workflows/ci.yml"
	uses := regexp.MustCompile(`(?m)^ *- uses: (.*)$`).FindAllStringSubmatch(read(t, workflow), -1)
	if len(uses) == 0 {
		t.Fatalf("%s uses no action", workflow)
	}
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	for _, u := range uses {
		if !pinned.MatchString(u[1]) {
			t.Errorf("%s uses %s; want owner/name@commit # version", workflow, u[1])
		}
	}
}
