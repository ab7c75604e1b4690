package linear

// CounterInput is an operation on a counter: it adds a number, which may be 0 to read the sum.
type CounterInput int64

// Counter returns the model of a counter that begins at 0. The output of an operation is the sum
// after it. An operation that was declined adds nothing.
func Counter() Model[int64, CounterInput, int64] {
	return Model[int64, CounterInput, int64]{
		Init:  func() int64 { return 0 },
		Equal: func(a, b int64) bool { return a == b },
		Step: func(sum int64, in CounterInput, out Output[int64]) (int64, bool) {
			if !out.Unknown && out.Err != nil {
				return sum, true
			}
			sum += int64(in)
			return sum, out.Unknown || out.Value == sum
		},
	}
}
