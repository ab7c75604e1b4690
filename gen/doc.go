// Package gen generates the code that connects a machine to mosaik: the sealed
// interface of its commands, their codec, the dispatch to their methods, snapshots
// of its state, and its signature, which is the hash of its schema. The command
// mosaik-gen is its front end and documents the directives.
//
// [Load] loads packages and builds the model of their machines. [Generate] turns the
// model into schemas and source. [Result.Check] compares these with the files on
// disk, and [Result.Write] writes them.
//
// A file of this package belongs to one of these steps by its name: load and
// directive files read source, model files build the model, schema and level files
// describe it and compare it with what was recorded, emit files write source.
package gen

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
	"strings"
)

// Problem is an error in the user's source.
type Problem struct {
	Pos  token.Position
	Text string // what is wrong, and what to do about it
}

// String returns the position and the text in the form of compilers, or the text
// alone if the problem has no position.
func (p Problem) String() string {
	if p.Pos.Filename == "" {
		return p.Text
	}
	return fmt.Sprintf("%s: %s", p.Pos, p.Text)
}

// Problems is the error of source for which no code can be generated. It holds all
// problems of one run, sorted by position. Problems without a position come first.
type Problems []Problem

// Error implements error. It returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// add adds a problem.
func (p *Problems) add(pos token.Position, format string, args ...any) {
	*p = append(*p, Problem{Pos: pos, Text: fmt.Sprintf(format, args...)})
}

// err returns the sorted problems without duplicates as an error, or nil.
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
