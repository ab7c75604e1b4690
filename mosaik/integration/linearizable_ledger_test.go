package integration_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// ledger is a history of operations on registers.
type ledger struct {
	mu  sync.Mutex
	ops []porcupine.Operation
}

// never is the end of an operation whose outcome is not known.
const never = math.MaxInt64

// add notes an operation and the value that the register had after it, nil if
// that was not told.
func (l *ledger) add(client int64, a assign, called, ended int64, value any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, porcupine.Operation{ClientId: int(client), Input: a, Call: called, Return: ended, Output: value})
}

// checkPatience bounds the search for an order.
const checkPatience = time.Minute

// check fails the test unless there is an order of all operations that explains
// what was told, each within the time that it took, and unless every value holds
// what each client appended once and in its order.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	open := 0
	for _, op := range l.ops {
		if op.Return == never {
			open++
		}
		if value, told := op.Output.(string); told {
			checkValue(t, value)
		}
	}
	t.Logf("%d operations in the history, %d of them with an unknown outcome", len(l.ops), open)
	result, info := porcupine.CheckOperationsVerbose(registersModel, deduced(l.ops), checkPatience)
	switch result {
	case porcupine.Unknown:
		t.Errorf("no order was found, nor that there is none, in %v: raise checkPatience, or lower -ops", checkPatience)
	case porcupine.Illegal:
		page, err := os.CreateTemp("", "mosaik-history-*.html")
		if err != nil {
			t.Fatal(err)
		}
		defer page.Close()
		if err := porcupine.Visualize(registersModel, info, page); err != nil {
			t.Error(err)
		}
		t.Errorf("the history is not linearizable; see %s", page.Name())
	}
}

// deduced returns operations that have an order if and only if ops have one, with
// what answers tell about commands whose own answer did not come; a checker would
// try those everywhere. A value that holds a command's token begins with what the
// register held right after the command, which came before that answer ended. A
// command whose token nobody saw may come after everything else, unless it has an
// end: whatever it did earlier, a set undid it before anybody looked.
func deduced(ops []porcupine.Operation) (all []porcupine.Operation) {
	type sight struct {
		value string
		ended int64
	}
	seen := map[string]sight{} // by token
	for _, op := range ops {
		value, _ := op.Output.(string)
		end := 0
		for token := range strings.SplitAfterSeq(value, " ") {
			end += len(token)
			if s, known := seen[token]; !known || op.Return < s.ended {
				seen[token] = sight{value[:end], op.Return}
			}
		}
	}
	for _, op := range ops {
		if op.Output == nil {
			s, known := seen[op.Input.(assign).Value]
			if !known && op.Return == never {
				continue
			}
			if known {
				op.Output, op.Return = s.value, max(op.Call, min(op.Return, s.ended))
			}
		}
		all = append(all, op)
	}
	return all
}

// checkValue fails the test unless what a register holds is in the order of each
// client's commands, and nothing twice.
func checkValue(t *testing.T, value string) {
	t.Helper()
	last := map[int64]int64{}
	for _, token := range strings.Fields(value) {
		var client, number int64
		if _, err := fmt.Sscanf(token, "%d/%d", &client, &number); err != nil {
			t.Errorf("the value %q holds what nobody wrote: %v", value, err)
		}
		switch {
		case number == last[client]:
			t.Errorf("the value %q holds %s twice", value, token)
		case number < last[client]:
			t.Errorf("the value %q holds %s after %d/%d", value, token, client, last[client])
		}
		last[client] = number
	}
}

// TestLedger checks histories that no group is needed for.
func TestLedger(t *testing.T) {
	t.Parallel()
	set := func(value string) assign { return assign{Verb: "set", Key: "a", Value: value} }
	add := func(value string) assign { return assign{Verb: "append", Key: "a", Value: value} }
	swap := func(old, value string) assign { return assign{Verb: "swap", Key: "a", Old: old, Value: value} }
	read := assign{Verb: "read", Key: "a"}
	op := func(a assign, called, ended int64, told any) porcupine.Operation {
		return porcupine.Operation{Input: a, Call: called, Return: ended, Output: told}
	}
	for name, test := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"one after the other":         {[]porcupine.Operation{op(set("x "), 1, 2, "x "), op(add("y "), 3, 4, "x y "), op(read, 5, 6, "x y ")}, true},
		"a swap that did":             {[]porcupine.Operation{op(set("x "), 1, 2, "x "), op(swap("x ", "y "), 3, 4, "y ")}, true},
		"a swap that did not":         {[]porcupine.Operation{op(set("x "), 1, 2, "x "), op(swap("z ", "y "), 3, 4, "x ")}, true},
		"a swap that should not":      {[]porcupine.Operation{op(set("x "), 1, 2, "x "), op(swap("z ", "y "), 3, 4, "y ")}, false},
		"a read beside":               {[]porcupine.Operation{op(set("x "), 1, 4, "x "), op(read, 2, 3, "")}, true},
		"a stale read":                {[]porcupine.Operation{op(set("x "), 1, 2, "x "), op(read, 3, 4, "")}, false},
		"a read that goes back":       {[]porcupine.Operation{op(set("x "), 1, 9, "x "), op(read, 2, 3, "x "), op(read, 4, 5, "")}, false},
		"applied twice":               {[]porcupine.Operation{op(add("x "), 1, 2, "x "), op(add("y "), 3, 4, "x x y ")}, false},
		"lost":                        {[]porcupine.Operation{op(add("x "), 1, 2, "x "), op(add("y "), 3, 4, "y ")}, false},
		"applied without a result":    {[]porcupine.Operation{op(add("x "), 1, 2, nil), op(read, 3, 4, "x ")}, true},
		"lost without a result":       {[]porcupine.Operation{op(add("x "), 1, 2, nil), op(read, 3, 4, "")}, false},
		"unknown, never seen":         {[]porcupine.Operation{op(add("x "), 1, never, nil), op(read, 3, 4, "")}, true},
		"unknown, seen late":          {[]porcupine.Operation{op(add("x "), 1, never, nil), op(read, 3, 4, ""), op(read, 5, 6, "x ")}, true},
		"unknown, seen and undone":    {[]porcupine.Operation{op(add("x "), 1, never, nil), op(read, 3, 4, "x "), op(read, 5, 6, "")}, false},
		"unknown, seen before":        {[]porcupine.Operation{op(read, 1, 2, "x "), op(add("x "), 3, never, nil)}, false},
		"unknown, overwritten":        {[]porcupine.Operation{op(add("x "), 1, never, nil), op(set("y "), 3, 4, "y "), op(add("z "), 5, 6, "y z ")}, true},
		"unknown, in the other order": {[]porcupine.Operation{op(add("x "), 1, never, nil), op(add("y "), 2, never, nil), op(read, 3, 4, "y x ")}, true},
		"what nobody wrote":           {[]porcupine.Operation{op(read, 1, 2, "x ")}, false},
	} {
		got := porcupine.CheckOperations(registersModel, deduced(test.ops))
		if got != test.want {
			t.Errorf("%s: an order was found: %t, want %t", name, got, test.want)
		}
		if got := porcupine.CheckOperations(registersModel, test.ops); got != test.want {
			t.Errorf("%s, as it is: an order was found: %t, want %t", name, got, test.want)
		}
	}
}
