package mosaik_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFormatsDocument compares the tables of docs/formats.md with the comments that
// they are copies of.
func TestFormatsDocument(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)From `([^`]+)`:\n\n```\n(.*?)\n```").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) < 10 {
		t.Fatalf("found %d tables, expected 10 or more", len(blocks))
	}
	for _, b := range blocks {
		source, err := os.ReadFile(filepath.Join("..", b[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(comments(string(source)), b[2]) {
			t.Errorf("the comments of %s do not contain this table of docs/formats.md:\n%s", b[1], b[2])
		}
	}
}

// TestGuaranteesNameTheirTests expects that every test and every scenario that
// docs/guarantees.md names exists.
func TestGuaranteesNameTheirTests(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)(/[-\\w]+)?`").FindAllStringSubmatch(string(doc), -1)
	if len(named) < 40 {
		t.Fatalf("found %d tests named, expected 40 or more", len(named))
	}
	for _, m := range named {
		if !tests[m[1]] {
			t.Errorf("docs/guarantees.md names %s, which does not exist", m[1])
		}
		if m[2] == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join("internal/group/testdata", m[2]+".txt")); err != nil {
			t.Errorf("docs/guarantees.md names a scenario that does not exist: %v", err)
		}
	}
}

// comments returns the text of a file's comment lines.
func comments(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		if text, ok := strings.CutPrefix(line, "//"); ok {
			b.WriteString(strings.ReplaceAll(strings.TrimPrefix(text, " "), "\t", "  "))
		}
	}
	return b.String()
}

// TestSecurityDocument expects that every test that docs/security.md names exists.
func TestSecurityDocument(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		tests.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\bTest\w+`).FindAllString(string(doc), -1)
	if len(names) < 40 {
		t.Fatalf("found %d names, expected 40 or more", len(names))
	}
	for _, name := range names {
		if !strings.Contains(tests.String(), "\nfunc "+name) {
			t.Errorf("docs/security.md names %s, which does not exist", name)
		}
	}
}
