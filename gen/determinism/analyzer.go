// Package determinism is an analyzer for the code of replicated state machines. It reports
// what makes a machine not deterministic: clocks, random numbers, the order of maps, and
// other things that differ between members that apply the same commands.
//
// [Analyzer] is a go/analysis analyzer. The command mosaik-gen vet runs it, and go vet does
// with -vettool. It finds the methods of machines by their types, and follows the calls that
// they make, also into other packages. docs/determinism.md describes what it checks, and
// what it cannot see.
package determinism

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const doc = `report what makes a replicated state machine not deterministic

A machine of mosaik must reach the same state and return the same results on every member.
The analyzer follows the calls of ApplyTo, Apply, ApplyBatch, Restore, Upgrade and
AfterRestore, also into other packages, and reports clocks, random numbers, the environment,
I/O, goroutines, channels, the order of maps, addresses, floating point that differs between
platforms, package variables, results that share memory with the state, and calls of the own
group, with the chain of calls and a replacement. A Query must not write to the state.

A comment //mosaik:allow with a reason silences a line, a statement or a function.`

// Analyzer reports code of state machines that is not deterministic.
//
// Its flag -entry is a regular expression. Functions whose names match it, such as
// (*example.com/store.Machine).Update, are checked like the methods of machines.
var Analyzer = &analysis.Analyzer{
	Name:      "determinism",
	Doc:       doc,
	URL:       "https://pkg.go.dev/github.com/mosaik-go/mosaik/gen/determinism",
	Run:       run,
	FactTypes: []analysis.Fact{new(behavior)},
}

// entryPattern is the value of the flag -entry.
var entryPattern pattern

func init() {
	Analyzer.Flags.Var(&entryPattern, "entry", "also check functions whose full name matches this regular `expression`")
}

// pattern is a regular expression as a flag.
type pattern struct{ *regexp.Regexp }

// String implements flag.Value.
func (p *pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

// Set implements flag.Value.
func (p *pattern) Set(text string) (err error) {
	p.Regexp = nil
	if text != "" {
		p.Regexp, err = regexp.Compile(text)
	}
	return err
}

// run analyzes one package. It exports what other packages need to know about its functions,
// and reports what the package's entry points reach.
func run(pass *analysis.Pass) (any, error) {
	path := pass.Pkg.Path()
	if len(pass.Files) == 0 || isStandard(pass) || isTrusted(path) || isOpaque(path) {
		return nil, nil
	}
	u := newUnit(pass)
	u.collect()
	u.summarize()
	for _, f := range u.funcs {
		u.inspect(f)
	}
	u.propagate()
	u.export()
	entries := u.entries()
	for _, e := range entries {
		u.check(e)
	}
	u.report()
	return nil, nil
}

// unit is a package while it is analyzed.
type unit struct {
	pass       *analysis.Pass
	info       *types.Info
	funcs      []*function // in the order of the source
	byObj      map[*types.Func]*function
	held       map[*types.Var][]target     // functions that fields and package variables hold
	seeded     map[*types.Var]reason       // package variables whose values differ between processes
	written    map[*types.Var]token.Pos    // package variables that are written after initialization
	initial    map[*function]bool          // functions that run before any machine
	caches     map[*types.Var]bool         // package variables that are filled lazily
	classes    map[*types.Func][]*function // the methods behind an interface's method
	allows     []*allow
	misspelled []*ast.Comment
	found      map[token.Pos]reported // what to report, by position
}

// reported is what an entry point reaches at a position.
type reported struct {
	entry  string
	reason reason
}

func newUnit(pass *analysis.Pass) *unit {
	return &unit{
		pass:    pass,
		info:    pass.TypesInfo,
		byObj:   make(map[*types.Func]*function),
		held:    make(map[*types.Var][]target),
		seeded:  make(map[*types.Var]reason),
		written: make(map[*types.Var]token.Pos),
		initial: make(map[*function]bool),
		caches:  make(map[*types.Var]bool),
		classes: make(map[*types.Func][]*function),
		found:   make(map[token.Pos]reported),
	}
}

// add notes a reason that an entry point reaches. Of several at one position, the one with
// the shortest chain counts.
func (u *unit) add(entry string, r reason) {
	old, ok := u.found[r.pos]
	if !ok || len(r.Chain) < len(old.reason.Chain) {
		u.found[r.pos] = reported{entry, r}
	}
}

// report reports what was noted, and the mistakes in comments.
func (u *unit) report() {
	positions := make([]token.Pos, 0, len(u.found))
	for pos := range u.found {
		positions = append(positions, pos)
	}
	slices.Sort(positions)
	for _, pos := range positions {
		f := u.found[pos]
		u.pass.Report(analysis.Diagnostic{
			Pos:            f.reason.pos,
			End:            f.reason.end,
			Category:       f.reason.Kind,
			Message:        message(f.entry, f.reason),
			SuggestedFixes: f.reason.fixes,
		})
	}
	u.reportAllows()
}

// message returns the text of a diagnostic: what is wrong, what to do, and the calls that
// lead there.
func message(entry string, r reason) string {
	chain := strings.Join(append([]string{entry}, r.Chain...), " → ")
	if r.Where != "" {
		chain += " at " + r.Where
	}
	return fmt.Sprintf("%s; %s (in %s)", r.Text, r.Instead, chain)
}

// isStandard reports whether the package belongs to the standard library, whose functions
// are listed in the rules and not analyzed.
func isStandard(pass *analysis.Pass) bool {
	if m := pass.Module; m != nil && m.Path != "" {
		return m.Path == "std" || m.Path == "cmd"
	}
	return isStandardPath(pass.Pkg.Path())
}

// isStandardPath reports whether an import path looks like one of the standard library: its
// first element has no dot.
func isStandardPath(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

const modulePath = "github.com/mosaik-go/mosaik"

const (
	smPath     = modulePath + "/sm"
	mosaikPath = modulePath + "/mosaik"
)

// isTrusted reports whether a package is part of the library. Its own tests check that it is
// deterministic where machines call it.
func isTrusted(path string) bool {
	rest, ours := strings.CutPrefix(path, modulePath+"/")
	if !ours || strings.Contains(rest, "/testdata/") {
		return false
	}
	first, _, _ := strings.Cut(rest, "/")
	return slices.Contains([]string{"sm", "codec", "mosaik", "logstore", "testutil", "gen", "cmd"}, first)
}

// byPos orders reasons by their positions.
func byPos(a, b reason) int { return cmp.Compare(a.pos, b.pos) }
