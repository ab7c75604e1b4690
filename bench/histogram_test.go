package main

import (
	"math"
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	t.Parallel()
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v, want 0", got)
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	if h.count() != 1000 {
		t.Errorf("counted %d, want 1000", h.count())
	}
	for q, want := range map[float64]time.Duration{
		0: time.Microsecond, 0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond, 1: time.Millisecond,
	} {
		if got := h.quantile(q); math.Abs(float64(got-want)) > 0.01*float64(want) {
			t.Errorf("quantile %v is %v, want %v within 1%%", q, got, want)
		}
	}
}

// TestHistogramPrecision checks that the middle of a value's slot is close to
// the value, over the whole range, and that slots grow with values.
func TestHistogramPrecision(t *testing.T) {
	t.Parallel()
	last := -1
	for n := uint64(1); n < math.MaxInt64/2; n += n/100 + 1 {
		slot := slotOf(n)
		if slot < last {
			t.Fatalf("the slot of %d is %d, below that of a smaller value, %d", n, slot, last)
		}
		last = slot
		if got := middle(slot); math.Abs(float64(got)-float64(n)) > float64(n)/128 {
			t.Fatalf("the middle of the slot of %d is %d", n, got)
		}
	}
	var h histogram
	h.add(-1)
	h.add(math.MaxInt64)
	if h.count() != 2 {
		t.Errorf("counted %d, want 2", h.count())
	}
}
