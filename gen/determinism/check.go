package determinism

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/token"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

// Config selects the packages that [Check] checks.
type Config struct {
	Dir      string   // the directory in which patterns are resolved; "" is the current one
	Patterns []string // patterns of packages, as of the go command; none means "."
	Tags     string   // build tags, separated by commas
	Env      []string // the environment of the go command; nil is that of the process
}

// Finding is a diagnostic of [Analyzer].
type Finding struct {
	Package  string // import path
	Pos      token.Position
	End      token.Position
	Category string // clock, random, maporder and so on
	Message  string
}

// Check loads the packages, runs [Analyzer] on them and on what they import, and returns what
// it reports in the packages, by position. The packages must compile.
//
// Modules that the packages import are analyzed from source. The standard library and package
// mosaik are not: what is known about them is part of the analyzer.
func Check(ctx context.Context, c Config) ([]Finding, error) {
	graph, err := analyze(ctx, c)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, act := range graph.Roots {
		for _, d := range act.Diagnostics {
			out = append(out, Finding{
				Package: act.Package.PkgPath, Category: d.Category, Message: d.Message,
				Pos: act.Package.Fset.Position(d.Pos), End: act.Package.Fset.Position(d.End),
			})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Filename, b.Pos.Filename),
			cmp.Compare(a.Pos.Offset, b.Pos.Offset),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(out), nil
}

// analyze runs the analyzer.
func analyze(ctx context.Context, c Config) (*checker.Graph, error) {
	roots, err := load(ctx, c)
	if err != nil {
		return nil, err
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{Analyzer}, roots, nil)
	if err != nil {
		return nil, fmt.Errorf("determinism: %w", err)
	}
	for act := range graph.All() {
		if act.Err != nil {
			return nil, fmt.Errorf("determinism: package %s: %w", act.Package.PkgPath, act.Err)
		}
	}
	return graph, nil
}

// load loads the packages and what they import: from source where the analyzer needs it, and
// else from what the compiler has exported, which is much faster.
func load(ctx context.Context, c Config) ([]*packages.Package, error) {
	if len(c.Patterns) == 0 {
		c.Patterns = []string{"."}
	}
	config := packages.Config{
		Context: ctx, Dir: c.Dir, Env: c.Env, Fset: token.NewFileSet(),
		Mode: packages.NeedName | packages.NeedImports | packages.NeedDeps | packages.NeedModule,
	}
	if c.Tags != "" {
		config.BuildFlags = []string{"-tags=" + c.Tags}
	}
	listed, err := packages.Load(&config, c.Patterns...)
	if err != nil {
		return nil, fmt.Errorf("determinism: load packages: %w", err)
	}
	if len(listed) == 0 {
		return nil, fmt.Errorf("determinism: load packages: no package matches %v", c.Patterns)
	}
	asked := make(map[string]bool)
	paths := make(map[string]bool)
	var walk func(p *packages.Package)
	walk = func(p *packages.Package) {
		if paths[p.PkgPath] {
			return
		}
		paths[p.PkgPath] = true
		for _, i := range p.Imports {
			if i.Module != nil && !isTrusted(i.PkgPath) && !isOpaque(i.PkgPath) {
				walk(i)
			}
		}
	}
	for _, p := range listed {
		if len(p.Errors) > 0 {
			return nil, errorsOf(p)
		}
		asked[p.PkgPath] = true
		walk(p)
	}
	config.Mode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles |
		packages.NeedImports | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax |
		packages.NeedTypesInfo | packages.NeedModule
	all := make([]string, 0, len(paths))
	for path := range paths {
		all = append(all, path)
	}
	slices.Sort(all)
	loaded, err := packages.Load(&config, all...)
	if err != nil {
		return nil, fmt.Errorf("determinism: load packages: %w", err)
	}
	var roots []*packages.Package
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			return nil, errorsOf(p)
		}
		if asked[p.PkgPath] {
			roots = append(roots, p)
		}
	}
	return roots, nil
}

// errorsOf returns the errors of a package that cannot be loaded.
func errorsOf(p *packages.Package) error {
	all := make([]error, 0, len(p.Errors))
	for _, e := range p.Errors {
		if !strings.HasPrefix(e.Msg, "# ") { // the compiler's report of the same errors
			all = append(all, e)
		}
	}
	return errors.Join(all...)
}
