package raftlog

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestStepWorkerTells plays calls of a worker that serves replicas with different
// election timeouts.
func TestStepWorkerTells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reports [3][]bool // reports are made under the worker's lock
		replica := func(i int, limit time.Duration) *Stall {
			return &Stall{Limit: limit, Report: func(stalled bool, _ time.Duration) { reports[i] = append(reports[i], stalled) }}
		}
		var w Worker
		hasty, calm, newcomer := replica(0, time.Second), replica(1, 3*time.Second), replica(2, time.Second)
		want := func(what string, want ...[]bool) {
			t.Helper()
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			for i, got := range reports {
				if !slices.Equal(got, want[i]) {
					t.Errorf("%s: replica %d was told %v, want %v", what, i, got, want[i])
				}
			}
		}
		w.end(w.begin()) // while the worker serves nobody
		w.Serve(hasty)
		w.Serve(calm)
		for range 100 {
			call := w.begin()
			time.Sleep(time.Second / 10)
			w.end(call)
		}
		want("short calls", nil, nil, nil)

		call := w.begin()
		time.Sleep(time.Second)
		want("a call of a second", []bool{true}, nil, nil)
		w.Serve(newcomer)
		want("a replica that starts during the call", []bool{true}, nil, []bool{true})
		time.Sleep(2 * time.Second)
		want("a call of three", []bool{true}, []bool{true}, []bool{true})
		w.Dismiss(newcomer)
		other := w.begin() // a replica starts
		w.end(other)
		want("the end of another call", []bool{true}, []bool{true}, []bool{true})
		other = w.begin()
		w.end(call)
		want("the end of the call", []bool{true, false}, []bool{true, false}, []bool{true})
		time.Sleep(time.Second)
		want("another long call", []bool{true, false, true}, []bool{true, false}, []bool{true})
		w.end(other)
		want("the end of the other long call", []bool{true, false, true, false}, []bool{true, false}, []bool{true})
		time.Sleep(10 * time.Second)
		want("no calls", []bool{true, false, true, false}, []bool{true, false}, []bool{true})

		// The timer of the first call also serves the second one.
		call = w.begin()
		time.Sleep(time.Second / 2)
		other = w.begin()
		time.Sleep(700 * time.Millisecond)
		w.end(call)
		want("the end of the first of two", []bool{true, false, true, false, true, false}, []bool{true, false}, []bool{true})
		time.Sleep(time.Second)
		want("the second of two", []bool{true, false, true, false, true, false, true}, []bool{true, false}, []bool{true})
		w.end(other)
	})
}
