package storagetest

import (
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// testConcurrent reads beside a writer: every answer must be one that the log
// could have given at some moment.
func testConcurrent(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 300)})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for _, check := range []func(*testing.T, logstore.Log) bool{checkEntries, checkTerms, checkState, checkEntries} {
		readers.Go(func() {
			for check(t, log) {
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	next := sm.Index(300)
	for round := range 150 {
		term := sm.Term(round + 2)
		save(t, log, logstore.Batch{Entries: entries(term, next-5, next+12)})
		next += 12
		if round%3 == 0 {
			prune(t, log, next-250)
		}
	}
	close(done)
	readers.Wait()
	verifyReadable(t, log)
}

// The checks report false once they have failed.

func checkEntries(t *testing.T, log logstore.Log) bool {
	st, err := log.State()
	if err != nil {
		t.Errorf("State beside Save: %v", err)
		return false
	}
	next := st.Pruned.Index + 1
	for e, err := range log.Entries(next, math.MaxUint64) {
		if errors.Is(err, logstore.ErrCompacted) {
			return true
		}
		if err != nil || e.Index != next || !sameEntry(e, entry(e.Term, e.Index)) {
			t.Errorf("Entries beside Save: %v, %v where %d comes next", e, err, next)
			return false
		}
		next++
	}
	return true
}

func checkTerms(t *testing.T, log logstore.Log) bool {
	st, err := log.State()
	if err != nil {
		t.Errorf("State beside Save: %v", err)
		return false
	}
	for i := st.Pruned.Index; i <= st.Last.Index; i++ {
		_, err := log.Term(i)
		if err != nil && !errors.Is(err, logstore.ErrCompacted) {
			t.Errorf("Term(%d) beside Save: %v", i, err)
			return false
		}
	}
	return true
}

func checkState(t *testing.T, log logstore.Log) bool {
	st, err := log.State()
	if err != nil || st.Pruned.Index > st.Last.Index || st.Last.Index < 299 {
		t.Errorf("State beside Save: %+v, %v", st, err)
		return false
	}
	return true
}

// verifyReadable checks that the log holds together once nobody writes any more.
func verifyReadable(t *testing.T, log logstore.Log) {
	t.Helper()
	st := state(t, log)
	got, err := read(log, st.Pruned.Index+1, math.MaxUint64)
	if err != nil || len(got) != int(st.Last.Index-st.Pruned.Index) {
		t.Fatalf("after concurrent use: %d entries, %v; want %d", len(got), err, st.Last.Index-st.Pruned.Index)
	}
}
