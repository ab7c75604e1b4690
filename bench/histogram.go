package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// subBits sets a histogram's precision: a slot is at most 1/2^subBits of its
// value wide, under one per cent.
const subBits = 7

// histogram counts durations. Its methods may be called concurrently.
type histogram struct {
	slots [(64 - subBits) << subBits]atomic.Uint64
}

// slotOf returns the slot of a duration of n nanoseconds.
func slotOf(n uint64) int {
	shift := max(0, bits.Len64(n)-subBits-1)
	return shift<<subBits + int(n>>shift)
}

// middle returns the middle of a slot.
func middle(slot int) time.Duration {
	shift := max(0, slot>>subBits-1)
	low := uint64(slot-shift<<subBits) << shift
	return time.Duration(low + (1<<shift)/2)
}

// add counts a duration.
func (h *histogram) add(d time.Duration) { h.slots[slotOf(uint64(max(0, d)))].Add(1) }

// count returns how many durations were counted.
func (h *histogram) count() (n uint64) {
	for i := range h.slots {
		n += h.slots[i].Load()
	}
	return n
}

// quantile returns the duration that a share q, 0 to 1, of all do not exceed, 0
// when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rest := uint64(q * float64(h.count()))
	last := 0
	for i := range h.slots {
		n := h.slots[i].Load()
		if n == 0 {
			continue
		}
		if last = i; rest < n {
			break
		}
		rest -= n
	}
	return middle(last)
}
