package linear

import "fmt"

// RegisterInput is an operation on a register. [Read], [Write] and [Swap] make one.
type RegisterInput[V comparable] struct {
	Op       string // "read", "write" or "swap"
	Old, New V      // New of write and swap, Old of swap
}

// Read returns the value.
func Read[V comparable]() RegisterInput[V] { return RegisterInput[V]{Op: "read"} }

// Write sets the value. Its output is not checked.
func Write[V comparable](value V) RegisterInput[V] { return RegisterInput[V]{Op: "write", New: value} }

// Swap sets the value to new if it is old. Its output is the value before the operation.
func Swap[V comparable](old, new V) RegisterInput[V] {
	return RegisterInput[V]{Op: "swap", Old: old, New: new}
}

// Register returns the model of a register that holds first at first.
func Register[V comparable](first V) Model[V, RegisterInput[V], V] {
	return Model[V, RegisterInput[V], V]{
		Init:  func() V { return first },
		Equal: func(a, b V) bool { return a == b },
		Step: func(held V, in RegisterInput[V], out Output[V]) (V, bool) {
			if !out.Unknown && out.Err != nil {
				return held, true // declined, so nothing changed
			}
			switch in.Op {
			case "read":
				return held, out.Unknown || out.Value == held
			case "write":
				return in.New, true
			case "swap":
				next := held
				if held == in.Old {
					next = in.New
				}
				return next, out.Unknown || out.Value == held
			}
			panic(fmt.Sprintf("linear: RegisterInput.Op is %q; use Read, Write or Swap", in.Op))
		},
	}
}
