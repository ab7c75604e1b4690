// Package gather lets goroutines that were woken together come back together.
//
// Whoever serves callers in batches wakes all callers of one when it is done. If
// it begins the next at once, most of them just miss it: from then on they come in
// two halves that take turns, and each waits for two batches. Giving way to
// them first costs them nothing, since they are ready to run.
package gather

import "runtime"

// yields bounds how often Wait gives way: where other work keeps the processors
// busy each time may take long.
const yields = 8

// Wait gives way to goroutines that are ready to run until as many came as were
// woken, or giving way brought in nobody. count tells how many are here, those
// included who came while the others were served.
func Wait(woken int, count func() int) {
	came := count()
	all := came + woken
	for range yields {
		if came >= all {
			return
		}
		runtime.Gosched()
		before := came
		if came = count(); came <= before {
			return
		}
	}
}
