// Package gather lets goroutines that were woken together return together.
//
// A server of batches wakes all callers of a batch when it is done. If it begins the next batch
// at once, most of these callers just miss it: from then on they arrive in two halves that take
// turns, and each half waits for two batches. Yielding to them first costs nothing, because they
// are ready to run.
package gather

import "runtime"

// yields bounds how often Wait yields: where other work keeps the processors busy, each yield
// may take long.
const yields = 8

// Wait yields to goroutines that are ready to run until as many callers have arrived as were
// woken, or until a yield brings no new caller. count returns how many callers are waiting,
// including those that arrived while the batch was served.
func Wait(woken int, count func() int) {
	waiting := count()
	all := waiting + woken
	for range yields {
		if waiting >= all {
			return
		}
		runtime.Gosched()
		before := waiting
		if waiting = count(); waiting <= before {
			return
		}
	}
}
