package linear

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience is how long a check may take.
const patience = 2 * time.Minute

// Check fails the test if the history is not linearizable by the model. It then writes the
// history as a page for a browser, into the test's artifact directory, and reports its path and
// the operations that do not fit. It ends the test if the check takes more than two minutes: the
// history has too many operations that overlap.
func Check[State, In, Out any](t testing.TB, h *History[In, Out], m Model[State, In, Out]) {
	t.Helper()
	h.mu.Lock()
	ops := slices.Clone(h.ops)
	h.mu.Unlock()
	if len(ops) == 0 {
		t.Fatal("linear: the history has no operations, so there is nothing to check")
	}
	p := m.porcupine()
	result, info := porcupine.CheckOperationsVerbose(p, ops, patience)
	switch result {
	case porcupine.Unknown:
		t.Fatalf("linear: %d operations could not be checked within %v; record fewer, use fewer clients, or give the model a Key", len(ops), patience)
	case porcupine.Illegal:
		t.Errorf("linear: the history of %d operations is not linearizable\n%s%s", len(ops), stuck(p, ops, info), page(t, p, info))
	}
}

// page writes the history for a browser and returns where.
func page(t testing.TB, p porcupine.Model, info porcupine.LinearizationInfo) string {
	path := filepath.Join(t.ArtifactDir(), "history.html")
	if err := porcupine.VisualizePath(p, info, path); err != nil {
		return fmt.Sprintf("the page with the history could not be written: %v", err)
	}
	return "open it in a browser: " + path + " (kept if the tests run with -artifacts)"
}

// maxShown is how many operations a report shows.
const maxShown = 12

// stuck describes the longest prefix of operations that fits, and those that follow it, in the
// part of the history that does not fit.
func stuck(p porcupine.Model, ops []porcupine.Operation, info porcupine.LinearizationInfo) string {
	parts := [][]porcupine.Operation{ops}
	if p.Partition != nil {
		parts = p.Partition(ops)
	}
	for i, longest := range info.PartialLinearizationsOperations() {
		fits := slices.MaxFunc(append(longest, nil), func(a, b []porcupine.Operation) int { return len(a) - len(b) })
		if len(fits) == len(parts[i]) {
			continue
		}
		var b strings.Builder
		show := func(title string, all []porcupine.Operation) {
			fmt.Fprintf(&b, "%s\n", title)
			for _, op := range all {
				fmt.Fprintf(&b, "  client %d: %s\n", op.ClientId, p.DescribeOperation(op.Input, op.Output))
			}
		}
		last := fits[max(0, len(fits)-maxShown):]
		show(fmt.Sprintf("the longest order that fits has %d operations; its last %d:", len(fits), len(last)), last)
		rest := without(parts[i], fits)
		slices.SortStableFunc(rest, func(a, b porcupine.Operation) int { return int(min(1, max(-1, a.Call-b.Call))) })
		show(fmt.Sprintf("none of these fits after it (%d in all):", len(rest)), rest[:min(len(rest), maxShown)])
		return b.String()
	}
	return ""
}

// without returns the operations of all that are not in some.
func without(all, some []porcupine.Operation) []porcupine.Operation {
	type id struct {
		client int
		call   int64
	}
	in := make(map[id]bool, len(some))
	for _, op := range some {
		in[id{op.ClientId, op.Call}] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(op porcupine.Operation) bool { return in[id{op.ClientId, op.Call}] })
}
