package determinism

import (
	"go/token"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// The kinds of reasons. They are the categories of diagnostics.
const (
	kindClock       = "clock"
	kindRandom      = "random"
	kindEnvironment = "environment"
	kindIO          = "io"
	kindConcurrency = "concurrency"
	kindMapOrder    = "maporder"
	kindAddress     = "address"
	kindFloat       = "float"
	kindGlobal      = "global"
	kindAlias       = "alias"
	kindGroup       = "group"
	kindQueryWrites = "querywrites"
	kindAllow       = "allow"
)

// kinds orders the kinds: of several reasons in one call, the first is reported.
var kinds = []string{
	kindClock, kindRandom, kindGroup, kindIO, kindEnvironment, kindMapOrder, kindAddress,
	kindConcurrency, kindGlobal, kindFloat,
}

// maxReasons is how many reasons are kept for each function.
const maxReasons = 8

// reason is one reason why a function is not deterministic.
type reason struct {
	Kind    string
	Text    string   // what is wrong
	Instead string   // what to do
	Chain   []string // the functions that lead there, without the first
	Where   string   // file and line, in another package

	pos, end token.Pos // in this package
	site     string    // identifies the offending place
	fixes    []analysis.SuggestedFix
}

// behavior is what is known about a function of another package.
type behavior struct {
	Why       []reason
	Writes    uint64 // the parameters whose memory it changes; bit 0 is the receiver's
	Ordered   bool   // the order of such changes counts
	Shares    uint64 // the parameters with whose memory the results are shared
	Unordered bool   // it yields or returns elements in the order of a map
}

// AFact implements analysis.Fact.
func (*behavior) AFact() {}

// String returns the chains, for tests of facts.
func (b *behavior) String() string {
	var out []string
	for _, r := range b.Why {
		out = append(out, strings.Join(append(slices.Clone(r.Chain), r.Text), " → "))
	}
	return strings.Join(out, "; ")
}

// isZero reports whether there is nothing to know.
func (b *behavior) isZero() bool {
	return len(b.Why) == 0 && b.Writes == 0 && b.Shares == 0 && !b.Unordered
}

// export exports the behavior of the package's functions.
func (u *unit) export() {
	for _, f := range u.funcs {
		if f.obj == nil {
			continue
		}
		b := behavior{Writes: f.writes, Ordered: f.ordered, Shares: f.shares, Unordered: f.unordered}
		for _, r := range f.all {
			if r.Where == "" {
				r.Where = u.where(r.pos)
			}
			b.Why = append(b.Why, r)
		}
		if !b.isZero() {
			u.pass.ExportObjectFact(f.obj, &b)
		}
	}
}

// where returns the file and line of a position.
func (u *unit) where(pos token.Pos) string {
	p := u.pass.Fset.Position(pos)
	name := p.Filename[strings.LastIndexAny(p.Filename, `/\`)+1:]
	return name + ":" + strconv.Itoa(p.Line)
}
