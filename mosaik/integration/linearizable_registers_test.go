package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mosaik-go/mosaik/sm"
)

// registers is a map of registers that remembers the numbers of its commands.
type registers struct {
	Values map[string]string
	Done   []int64
	slow   *atomic.Int64 // how many nanoseconds a command takes, nil for none
}

func newRegisters() *registers { return &registers{Values: map[string]string{}} }

// assign is every command of the registers: set, append, or swap from Old. In a
// ledger there are also reads.
type assign struct {
	Verb, Key, Value, Old string
	Number                int64
}

func (*registers) Spec() sm.Spec[assign] { return sm.Define[assign]("registers", 1) }

// Apply returns the new value of the register.
func (r *registers) Apply(_ sm.ApplyContext, a assign) (any, error) {
	if r.slow != nil {
		time.Sleep(time.Duration(r.slow.Load()))
	}
	r.Done = append(r.Done, a.Number)
	r.Values[a.Key] = a.after(r.Values[a.Key])
	return r.Values[a.Key], nil
}

func (r *registers) Snapshot(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
func (r *registers) Restore(from io.Reader) error {
	*r = registers{slow: r.slow}
	return json.NewDecoder(from).Decode(r)
}

// after returns what an operation makes of a register's value.
func (a assign) after(value string) string {
	switch {
	case a.Verb == "set", a.Verb == "swap" && value == a.Old:
		return a.Value
	case a.Verb == "append":
		return value + a.Value
	}
	return value
}

// registersModel is what one register does. An operation whose output was not
// told may have had any.
var registersModel = porcupine.Model{
	Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range ops {
			key := op.Input.(assign).Key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, key := range slices.Sorted(maps.Keys(byKey)) {
			parts = append(parts, byKey[key])
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		after := input.(assign).after(state.(string))
		return output == nil || output == after, after
	},
	DescribeOperation: func(input, output any) string {
		a := input.(assign)
		switch {
		case a.Verb == "read":
			return fmt.Sprintf("read %s: %q", a.Key, output)
		case output == nil:
			output = "not told"
		}
		if a.Verb == "swap" {
			return fmt.Sprintf("swap %s from %q to %q: %q", a.Key, a.Old, a.Value, output)
		}
		return fmt.Sprintf("%s %s %q: %q", a.Verb, a.Key, a.Value, output)
	},
}
