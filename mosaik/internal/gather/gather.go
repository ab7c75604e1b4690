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

// Wait gives way to goroutines that are ready to run until count, which tells how
// many have come, is as large as want, or giving way brought in nobody.
func Wait(want int, count func() int) {
	came := count()
	for range yields {
		if came >= want {
			return
		}
		runtime.Gosched()
		before := came
		if came = count(); came <= before {
			return
		}
	}
}
