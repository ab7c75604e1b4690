package linear

import (
	"fmt"
	"reflect"

	"github.com/anishathalye/porcupine"
)

// Model is what a service would do if it had a single copy of its state and made one operation
// at a time. Its functions must be deterministic and safe for concurrent use.
type Model[State, In, Out any] struct {
	// Init returns the first state.
	Init func() State
	// Step makes an operation. It returns the next state, and whether the operation can have
	// had this output. It must not change s, but return a changed copy.
	Step func(s State, in In, out Output[Out]) (next State, ok bool)
	// Key returns what the operation concerns. Operations with different keys must not
	// depend on each other. Each key has a state of its own, which makes the check much
	// faster. nil puts all operations together.
	Key func(In) string
	// Equal reports whether two states are the same, nil for [reflect.DeepEqual].
	Equal func(a, b State) bool
	// Describe describes an operation in reports, nil for the input and the output by %+v.
	Describe func(in In, out Output[Out]) string
}

func (m Model[State, In, Out]) porcupine() porcupine.Model {
	p := porcupine.Model{
		Init: func() any { return m.Init() },
		Step: func(s, in, out any) (bool, any) {
			next, ok := m.Step(s.(State), in.(In), out.(Output[Out]))
			return ok, next
		},
		Equal: func(a, b any) bool {
			if m.Equal != nil {
				return m.Equal(a.(State), b.(State))
			}
			return reflect.DeepEqual(a, b)
		},
		DescribeOperation: func(in, out any) string {
			if m.Describe != nil {
				return m.Describe(in.(In), out.(Output[Out]))
			}
			return describe(in, out.(Output[Out]))
		},
		DescribeState: func(s any) string { return fmt.Sprintf("%+v", s) },
	}
	if m.Key != nil {
		p.Partition = func(all []porcupine.Operation) [][]porcupine.Operation {
			place := make(map[string]int)
			var parts [][]porcupine.Operation
			for _, op := range all {
				key := m.Key(op.Input.(In))
				i, ok := place[key]
				if !ok {
					i = len(parts)
					place[key], parts = i, append(parts, nil)
				}
				parts[i] = append(parts[i], op)
			}
			return parts
		}
	}
	return p
}

func describe[Out any](in any, out Output[Out]) string {
	return fmt.Sprintf("%+v: %s", in, out)
}

// String returns the value, the error, or "unknown".
func (o Output[Out]) String() string {
	switch {
	case o.Unknown:
		return "unknown"
	case o.Err != nil:
		return "error: " + o.Err.Error()
	}
	return fmt.Sprintf("%+v", o.Value)
}
