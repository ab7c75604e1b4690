package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is a file of a [Result].
type File struct {
	Path    string
	Content []byte
}

// Result is the output of a run: the files that packages must have.
type Result struct {
	// Files holds the generated files, sorted by their paths.
	Files []File
	// Orphans holds the paths of files that an earlier run wrote and that no longer
	// belong to a machine.
	Orphans []string
	// Changes describes the differences in each schema whose version or level was
	// raised, as "ledger: Deposit.Amount: i64 → i32" and
	// "ledger level 2: command Withdraw: added".
	Changes []string
}

// Generate returns the files that the configured packages must have. It writes nothing.
// Its error is of type [Problems] if there are errors in the source. Such errors are a schema that
// changed although its version and level did not, and a handwritten file in the place of a
// generated one.
func Generate(ctx context.Context, c Config) (*Result, error) {
	pkgs, problems, err := load(ctx, c)
	if err != nil {
		return nil, err
	}
	out := new(Result)
	for _, pkg := range pkgs {
		if err := out.add(pkg, &problems); err != nil {
			return nil, err
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	slices.SortFunc(out.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// add adds the files of a package.
func (r *Result) add(pkg *Package, problems *Problems) error {
	wanted := make(map[string]bool)
	want := func(path string, content []byte) {
		wanted[path] = true
		r.Files = append(r.Files, File{Path: path, Content: content})
	}
	for _, m := range pkg.Machines {
		path := m.schemaFile(pkg)
		switch {
		case wanted[path]:
			problems.add(m.pos, "%s is also the schema file of another machine; rename %s", filepath.Base(path), m.GoName)
		case pkg.failed || m.failed:
			wanted[path] = true // an incomplete model says nothing about the schema
		default:
			want(path, []byte(r.evolve(m, path, problems)))
		}
	}
	if len(pkg.Machines) > 0 {
		path := filepath.Join(pkg.Dir, pkg.Name+codeSuffix)
		if reason := foreign(path); reason != "" {
			problems.add(token.Position{Filename: path}, "the generated code of package %s belongs in this file, but %s", pkg.Name, reason)
		}
		wanted[path] = true
	}
	if len(*problems) > 0 {
		return nil // nothing will be written
	}
	if len(pkg.Machines) > 0 {
		source, err := emit(pkg)
		if err != nil {
			return err
		}
		want(filepath.Join(pkg.Dir, pkg.Name+codeSuffix), source)
	}
	return r.orphans(pkg, wanted)
}

// foreign returns why the file at path must not be replaced, or "" if it may be.
// mosaik-gen replaces only files that it wrote.
func foreign(path string) string {
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ""
	case err != nil:
		return fmt.Sprintf("it cannot be read: %v", err)
	case strings.HasSuffix(path, schemaSuffix) && (len(content) == 0 || isSchema(content)) || isOutput(path, content):
		return ""
	}
	return "mosaik-gen did not write it and does not overwrite it; rename it"
}

// orphans adds the generated files in the package's directory that are not wanted.
func (r *Result) orphans(pkg *Package, wanted map[string]bool) error {
	entries, err := os.ReadDir(pkg.Dir)
	if err != nil {
		return fmt.Errorf("gen: list the files of %s: %w", pkg.Path, err)
	}
	for _, entry := range entries {
		path := filepath.Join(pkg.Dir, entry.Name())
		code, text := strings.HasSuffix(path, codeSuffix), strings.HasSuffix(path, schemaSuffix)
		if wanted[path] || !code && !text || !entry.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("gen: read %s: %w", path, err)
		}
		if code && isOutput(path, content) || text && isSchema(content) {
			r.Orphans = append(r.Orphans, path)
		}
	}
	return nil
}

// Check compares the result with the files on disk. It returns a line for each file that differs:
// the file is missing, stale or an orphan.
func (r *Result) Check() ([]string, error) {
	var out []string
	for _, f := range r.Files {
		was, err := os.ReadFile(f.Path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			out = append(out, f.Path+": missing")
		case err != nil:
			return nil, fmt.Errorf("gen: check: %w", err)
		case !bytes.Equal(was, f.Content):
			out = append(out, f.Path+": stale"+f.difference(was))
		}
	}
	for _, path := range r.Orphans {
		out = append(out, path+": orphan, it belongs to no machine")
	}
	return out, nil
}

// difference describes where was, the content on disk, differs from f.
func (f File) difference(was []byte) string {
	if bytes.Equal(bytes.ReplaceAll(was, []byte("\r\n"), []byte("\n")), f.Content) {
		return ", its lines end with CRLF; put \"*" + codeSuffix + " text eol=lf\" into .gitattributes"
	}
	old := slices.Collect(bytes.Lines(was))
	line := 0
	for now := range bytes.Lines(f.Content) {
		if line == len(old) || !bytes.Equal(old[line], now) {
			break
		}
		line++
	}
	return fmt.Sprintf(", from line %d on", line+1)
}

// Write writes the files that differ from those on disk, each completely or not at all,
// and removes the orphans. It returns the paths of both.
func (r *Result) Write() (written []string, err error) {
	for _, f := range r.Files {
		if was, err := os.ReadFile(f.Path); err == nil && bytes.Equal(was, f.Content) {
			continue
		}
		if reason := foreign(f.Path); reason != "" {
			return written, fmt.Errorf("gen: write %s: %s", f.Path, reason)
		}
		if err := writeFile(f.Path, f.Content); err != nil {
			return written, err
		}
		written = append(written, f.Path)
	}
	for _, path := range r.Orphans {
		if err := os.Remove(path); err != nil {
			return written, fmt.Errorf("gen: remove orphan: %w", err)
		}
		written = append(written, path)
	}
	return written, nil
}

// writeFile replaces a file atomically.
func writeFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".mosaik-gen-*")
	if err != nil {
		return fmt.Errorf("gen: write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("gen: write %s: %w", path, err)
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
