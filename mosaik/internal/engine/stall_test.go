package engine

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

// hanging is a log whose saves block while one lock is held, and whose reads block while the
// other one is.
type hanging struct {
	logstore.Log
	saves, reads *sync.RWMutex
}

func (h hanging) Save(b logstore.Batch) error {
	h.saves.RLock()
	defer h.saves.RUnlock()
	return h.Log.Save(b)
}

func (h hanging) Entries(lo, hi sm.Index) iter.Seq2[logstore.Entry, error] {
	return func(yield func(logstore.Entry, error) bool) {
		h.reads.RLock()
		defer h.reads.RUnlock()
		for e, err := range h.Log.Entries(lo, hi) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// TestLogThatHangs blocks the calls of a log. It expects a report to the owner of its replica and
// to that of a replica in memory which the same worker serves, and none to that of another
// worker's replica.
func TestLogThatHangs(t *testing.T) {
	t.Parallel()
	var saves, reads sync.RWMutex
	n := cluster(t, 1)[0]
	recs := []*recorder{newRecorder(), newRecorder(), newRecorder()}
	var replicas []*Replica
	for i, rec := range recs {
		r := n.start(1, rec, true, func(c *ReplicaConfig) {
			c.Shard = shard + []uint64{0, 2 * workers.ExecShards, 1}[i]
			if i == 0 {
				c.Log = hanging{c.Log, &saves, &reads}
			}
		})
		elect(t, r, rec)
		must(t, r, "before")
		replicas = append(replicas, r)
	}
	last := func(rec *recorder, hangs bool) func() bool {
		return func() bool { return len(rec.stalls) > 0 && rec.stalls[len(rec.stalls)-1] == hangs }
	}
	for what, gate := range map[string]*sync.RWMutex{"a save": &saves, "a read": &reads} {
		gate.Lock()
		release := sync.OnceFunc(gate.Unlock)
		t.Cleanup(release)
		done := make(chan error, 1)
		go func() {
			if gate == &saves {
				done <- replicas[0].Propose(enginetest.Within(t), []byte("meanwhile"))
				return
			}
			done <- replicas[0].settle() // which the worker answers from the log
		}()
		for i, rec := range recs[:2] {
			rec.wait(t, fmt.Sprintf("replica %d to be told of %s that hangs", i, what), last(rec, true))
		}
		must(t, replicas[2], "meanwhile")
		// On a busy machine another worker may be as slow, but it continues.
		recs[2].wait(t, "the replica of another worker not to be told", func() bool { return len(recs[2].stalls) == 0 || last(recs[2], false)() })
		release()
		if err := <-done; err != nil {
			t.Errorf("%s that hung: %v", what, err)
		}
		for i, rec := range recs[:2] {
			rec.wait(t, fmt.Sprintf("replica %d to be told that %s is over", i, what), last(rec, false))
		}
		must(t, replicas[1], "after")
	}
}

// A worker of dragonboat ends the process if it answers a query of a host that was closed
// meanwhile. So Close waits for a replica that starts.
func TestCloseWaitsForAReplicaThatStarts(t *testing.T) {
	t.Parallel()
	var saves, reads sync.RWMutex
	n := cluster(t, 1)[0]
	rec := newRecorder()
	r := n.start(1, rec, true, func(c *ReplicaConfig) { c.Log = hanging{c.Log, &saves, &reads} })
	elect(t, r, rec)
	must(t, r, "before")
	reads.Lock()
	release := sync.OnceFunc(reads.Unlock)
	t.Cleanup(release)
	settled, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		if !n.engine.enter() {
			settled <- ErrClosed
			return
		}
		defer n.engine.leave()
		settled <- r.settle()
	}()
	rec.wait(t, "the worker to answer", func() bool { return len(rec.stalls) > 0 })
	go func() { closed <- n.engine.Close() }()
	<-n.engine.ctx.Done()
	select {
	case err := <-settled:
		t.Errorf("starting did not wait for the worker: %v", err)
	case <-time.After(100 * time.Millisecond): // only a test that is to fail would end it sooner
	}
	release()
	if err := errors.Join(<-settled, <-closed); err != nil {
		t.Error(err)
	}
}
