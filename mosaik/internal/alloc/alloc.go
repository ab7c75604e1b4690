// Package alloc measures how much memory decoders allocate. Only tests import it.
package alloc

import (
	"bytes"
	"runtime"
	"slices"
	"testing"
)

// tries is how often a call is measured before it counts as too expensive. Other goroutines may
// allocate during a measurement, so the least result counts.
const tries = 10

// Bytes returns how many bytes call allocates on the heap, including those that are freed: the
// least result of several calls. A test that calls it must not be parallel.
func Bytes(call func()) uint64 {
	least := measure(call)
	for range tries - 1 {
		least = min(least, measure(call))
	}
	return least
}

func measure(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Bound bounds what a decoder may allocate: Fixed bytes, and PerByte bytes for each byte of its
// input.
type Bound struct{ PerByte, Fixed int }

// Check fails the test if decode allocates more than the bound allows on one of the inputs. Under
// the race detector the bound is twice as high, because the compiler does not grow slices in
// place there. The test must not be parallel.
func (b Bound) Check(t *testing.T, decode func([]byte), inputs ...[]byte) {
	t.Helper()
	if len(inputs) == 0 {
		t.Fatal("alloc: there are no inputs")
	}
	for _, in := range inputs {
		most := slack * uint64(b.Fixed+b.PerByte*len(in))
		call := func() { decode(in) }
		got := measure(call)
		for try := 1; got > most && try < tries; try++ {
			got = min(got, measure(call))
		}
		if got > most {
			t.Errorf("decoding %d bytes allocates %d, want %d at most; they begin with % x", len(in), got, most, in[:min(len(in), 32)])
		}
	}
}

// Variants returns the seeds. For each byte of a seed it also returns copies in which the byte is
// replaced by 0x00, 0x7f and 0xff, which may announce much content, and the seed truncated there.
func Variants(seeds ...[]byte) [][]byte {
	out := slices.Clone(seeds)
	for _, seed := range seeds {
		for i := range seed {
			for _, c := range []byte{0x00, 0x7f, 0xff} {
				v := bytes.Clone(seed)
				v[i] = c
				out = append(out, v)
			}
			out = append(out, seed[:i])
		}
	}
	return out
}
