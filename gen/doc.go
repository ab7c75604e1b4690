// Package gen writes what connects a machine to mosaik: the sealed interface of
// its commands, their codec, the dispatch to their methods, the snapshots of its
// state, and its identity, which is the hash of its schema. mosaik-gen is its
// command.
//
// Packages become a model of their machines ([Load]), the model becomes a schema
// and source ([Generate]), and both are compared with what is there
// ([Result.Check]) or written ([Result.Write]).
package gen

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
	"strings"
)

// Problem is something in the user's source that stands in the way.
type Problem struct {
	Pos  token.Position
	Text string // what is wrong, and what to do instead
}

// String returns position and text, as compilers print them, or the text alone if
// the problem has no position.
func (p Problem) String() string {
	if p.Pos.Filename == "" {
		return p.Text
	}
	return fmt.Sprintf("%s: %s", p.Pos, p.Text)
}

// Problems is the error of source that code cannot be generated for: everything
// that was found in one run, sorted by position. Those without a position come
// first.
type Problems []Problem

// Error implements error: one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// add notes a problem.
func (p *Problems) add(pos token.Position, format string, args ...any) {
	*p = append(*p, Problem{Pos: pos, Text: fmt.Sprintf(format, args...)})
}

// err returns the problems as an error, nil for none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.Pos.Filename, b.Pos.Filename),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
		)
	})
	seen := make(map[string]bool)
	return slices.DeleteFunc(p, func(o Problem) bool {
		known := seen[o.String()]
		seen[o.String()] = true
		return known
	})
}
