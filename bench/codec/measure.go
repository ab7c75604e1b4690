package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"
)

// figures are what one operation of one codec costs on one command.
type figures struct {
	times  []float64 // nanoseconds per call, of each round
	bytes  float64   // allocated per call
	allocs float64   // per call
}

// result is what a codec costs on one command.
type result struct {
	encoded        int // bytes
	encode, decode figures
}

// entry is something to measure.
type entry struct {
	call  func(n int) error
	n     int // calls in a run
	into  *figures
	label string
}

// ballast is what the process holds while it is measured, in bytes. Without it
// the garbage collector would run every few milliseconds, for a heap as small as
// no process with a state to replicate has.
const ballast = 64 << 20

// measure returns a result for each peer and command.
func measure(peers []peer, rounds int, span time.Duration) ([][len(commandNames)]result, error) {
	results := make([][len(commandNames)]result, len(peers))
	var entries []entry
	// All codecs of one operation follow each other.
	for i, command := range commandNames {
		for p := range peers {
			encoded, _, err := peers[p].tasks[i].once()
			if err != nil {
				return nil, fmt.Errorf("codec: %s: %s: %w", peers[p].name, command, err)
			}
			results[p][i].encoded = len(encoded)
			entries = append(entries, entry{call: peers[p].tasks[i].encode, into: &results[p][i].encode, label: peers[p].name + ": encode " + command})
		}
		for p := range peers {
			entries = append(entries, entry{call: peers[p].tasks[i].decode, into: &results[p][i].decode, label: peers[p].name + ": decode " + command})
		}
	}
	held := make([]byte, ballast)
	defer runtime.KeepAlive(held)
	for i := range entries {
		if err := entries[i].prepare(span); err != nil {
			return nil, err
		}
	}
	for round := range rounds {
		// Each round begins elsewhere, so that none always follows the same rest.
		runtime.GC()
		at := round * len(entries) / rounds
		for _, e := range slices.Concat(entries[at:], entries[:at]) {
			start := time.Now()
			if err := e.call(e.n); err != nil {
				return nil, fmt.Errorf("codec: %s: %w", e.label, err)
			}
			e.into.times = append(e.into.times, float64(time.Since(start).Nanoseconds())/float64(e.n))
		}
	}
	return results, nil
}

// prepare finds how many calls take about span, and what one allocates.
func (e *entry) prepare(span time.Duration) error {
	for e.n = 16; ; e.n *= 2 {
		took := time.Duration(math.MaxInt64)
		for range 3 { // the fastest, lest a pause make all runs too short
			start := time.Now()
			if err := e.call(e.n); err != nil {
				return fmt.Errorf("codec: %s: %w", e.label, err)
			}
			took = min(took, time.Since(start))
		}
		if took >= span/4 {
			e.n = max(1, int(float64(e.n)*float64(span)/float64(took)))
			break
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // nothing else allocates meanwhile
	const calls = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := e.call(calls); err != nil {
		return fmt.Errorf("codec: %s: %w", e.label, err)
	}
	runtime.ReadMemStats(&after)
	e.into.allocs = float64((after.Mallocs - before.Mallocs) / calls)
	e.into.bytes = float64((after.TotalAlloc - before.TotalAlloc) / calls)
	return nil
}

// median returns the middle of the values, of which there is one at least.
func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
