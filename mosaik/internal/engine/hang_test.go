package engine

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
		e := &Engine{courier: newCourier()}
		defer e.courier.close()
		replica := func(election time.Duration) (*Replica, *recorder) {
			rec := newRecorder()
			return newReplica(e, ReplicaConfig{ElectionTimeout: election, Events: rec}), rec
		}
		var w stepWorker
		quick, hasty := replica(time.Second)
		slow, calm := replica(3 * time.Second)
		late, newcomer := replica(time.Second)
		want := func(what string, heard ...[]bool) {
			t.Helper()
			synctest.Wait()
			for i, rec := range []*recorder{hasty, calm, newcomer} {
				rec.mu.Lock()
				if !slices.Equal(rec.hangs, heard[i]) {
					t.Errorf("%s: replica %d was told %v, want %v", what, i, rec.hangs, heard[i])
				}
				rec.mu.Unlock()
			}
		}
		w.end(w.begin()) // of nobody
		w.serve(quick)
		w.serve(slow)
		for range 100 {
			call := w.begin()
			time.Sleep(time.Second / 10)
			w.end(call)
		}
		want("short calls", nil, nil, nil)

		call := w.begin()
		time.Sleep(time.Second)
		want("a call of a second", []bool{true}, nil, nil)
		w.serve(late)
		want("one who came while it hung", []bool{true}, nil, []bool{true})
		time.Sleep(2 * time.Second)
		want("a call of three", []bool{true}, []bool{true}, []bool{true})
		w.dismiss(late)
		other := w.begin() // a replica starts
		w.end(other)
		want("the end of another", []bool{true}, []bool{true}, []bool{true})
		other = w.begin()
		w.end(call)
		want("its end", []bool{true, false}, []bool{true, false}, []bool{true})
		time.Sleep(time.Second)
		want("another that is long", []bool{true, false, true}, []bool{true, false}, []bool{true})
		w.end(other)
		want("another that was long", []bool{true, false, true, false}, []bool{true, false}, []bool{true})
		time.Sleep(10 * time.Second)
		want("nothing", []bool{true, false, true, false}, []bool{true, false}, []bool{true})

		// Nobody looks at the second call, since somebody is to look at the first.
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
