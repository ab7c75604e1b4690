package determinism

import (
	"bytes"
	"fmt"
	"strings"
)

// Difference is a reason why a machine cannot be replicated.
type Difference struct {
	Command int    // the position of the command after which it shows
	What    string // some lines that describe it
}

// Compare returns the first difference between executions of one script, or nil.
func Compare(all []Execution) *Difference {
	for i := range all {
		if d := alone(&all[i]); d != nil {
			return d
		}
	}
	var first *Difference
	for i := 1; i < len(all); i++ {
		if d := pair(&all[0], &all[i]); d != nil && (first == nil || d.Command < first.Command) {
			first = d
		}
	}
	return first
}

// alone returns what is wrong with an execution by itself.
func alone(x *Execution) *Difference {
	last := len(x.Outcomes) - 1
	switch {
	case x.Panicked:
		return &Difference{last, fmt.Sprintf("the machine panicked (%s):\n%s", x.where(), indent(x.Outcomes[last]))}
	case x.Failed != "":
		return &Difference{last, fmt.Sprintf("a snapshot failed (%s):\n%s", x.where(), indent(x.Failed))}
	case x.Aliased >= 0:
		return &Difference{last, fmt.Sprintf(
			"the result of command %d was changed by a later command: it aliases the state; return a copy\n  when returned:\n%s  at the end:\n%s",
			x.Aliased+1, indent(x.Outcomes[x.Aliased]), indent(x.Now))}
	}
	return nil
}

// pair returns the first difference between two executions.
func pair(a, b *Execution) *Difference {
	for i := range min(len(a.Outcomes), len(b.Outcomes)) {
		if a.Outcomes[i] != b.Outcomes[i] {
			return &Difference{i, "the results differ:\n" + a.diff(b, a.Outcomes[i], b.Outcomes[i])}
		}
	}
	last := len(a.Outcomes) - 1
	switch {
	case a.Saved && b.Saved && bytes.Equal(a.State, b.State):
		return nil
	case a.Dump != b.Dump:
		return &Difference{last, "the states differ:\n" + a.diff(b, a.Dump, b.Dump)}
	case !a.Saved:
		return nil
	default:
		at := 0
		for at < min(len(a.State), len(b.State)) && a.State[at] == b.State[at] {
			at++
		}
		return &Difference{last, fmt.Sprintf(
			"snapshots of equal states differ from byte %d on (%d and %d bytes); write maps in the order of their keys\n  %s\n  %s\n",
			at, len(a.State), len(b.State), a.where(), b.where())}
	}
}

func (x *Execution) where() string { return x.Process + ", " + x.How }

// maxDiff is how many lines of a difference are shown.
const maxDiff = 20

// diff returns the lines in which two texts differ, with where they are from.
func (x *Execution) diff(o *Execution, mine, theirs string) string {
	var b strings.Builder
	left, right := lines(mine), lines(theirs)
	missing := func(name string, all []string, in map[string]int) {
		fmt.Fprintf(&b, "  %s:\n", name)
		shown := 0
		for _, line := range all {
			if in[line] > 0 {
				in[line]--
				continue
			}
			if shown++; shown > maxDiff {
				continue
			}
			fmt.Fprintf(&b, "    %s\n", line)
		}
		switch {
		case shown == 0:
			b.WriteString("    the same lines in another order\n")
		case shown > maxDiff:
			fmt.Fprintf(&b, "    … and %d more lines\n", shown-maxDiff)
		}
	}
	missing(x.where(), left, count(right))
	missing(o.where(), right, count(left))
	return b.String()
}

func lines(text string) []string {
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func count(lines []string) map[string]int {
	n := make(map[string]int, len(lines))
	for _, l := range lines {
		n[l]++
	}
	return n
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}
