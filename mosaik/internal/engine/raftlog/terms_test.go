package raftlog

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

func TestRouterTermsUnderTruncation(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	want := func(terms ...sm.Term) {
		t.Helper()
		for i, term := range terms {
			if got := r.Find(routerShard, routerReplica).TermAt(sm.Index(i)); got != term {
				t.Fatalf("termOf(%d) = %d, want %d", i, got, term)
			}
		}
	}
	save := func(term, lo, hi uint64) {
		saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(term, lo, hi), State: pb.State{Term: term}})
	}
	want(0, 0)
	save(1, 1, 5)
	want(0, 1, 1, 1, 1, 0)
	save(3, 3, 4)
	want(0, 1, 1, 3, 0, 0)
	save(4, 4, 7)
	save(5, 5, 6)
	want(0, 1, 1, 3, 4, 5, 0, 0)
	saveRaft(t, r, pb.Update{
		EntriesToSave: append(raftEntries(5, 6, 8), raftEntries(8, 8, 9)...),
		State:         pb.State{Term: 8},
	})
	want(0, 1, 1, 3, 4, 5, 5, 5, 8, 0)
}

// An entry that was committed before a snapshot arrived may be applied after that.
func TestRouterTermsAcrossASnapshot(t *testing.T) {
	t.Parallel()
	log := enginetest.MemoryLog(t)
	r := newTestRouter(t, log, noFailure(t))
	saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(1, 1, 6), State: pb.State{Term: 1, Commit: 5}})
	saveRaft(t, r, pb.Update{
		Snapshot:      pb.Snapshot{Index: 20, Term: 3},
		EntriesToSave: raftEntries(3, 21, 23),
		State:         pb.State{Term: 3, Commit: 22},
	})
	check := func(i sm.Index, want sm.Term) {
		t.Helper()
		if got := r.Find(routerShard, routerReplica).TermAt(i); got != want {
			t.Fatalf("termOf(%d) = %d, want %d", i, got, want)
		}
	}
	check(5, 1)
	check(6, 0)
	check(19, 0)
	check(20, 3)
	check(22, 3)
	check(23, 0)
	r.Unregister(routerShard, routerReplica)
	check(20, 0)
	if _, err := r.Register(routerShard, routerReplica, log, nil, noFailure(t)); err != nil {
		t.Fatalf("register again: %v", err)
	}
	check(19, 0)
	check(20, 3)
	check(21, 3)
}

// TestTermTable compares a table with a map over random changes, and with one
// that is loaded from a log of the same changes.
func TestTermTable(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			log := enginetest.MemoryLog(t)
			var table termTable
			table.clear()
			want := map[sm.Index]sm.Term{}
			first, last := sm.Index(1), sm.Index(0) // of the log's entries
			term := uint64(1)
			for step := range 200 {
				switch op := rng.IntN(20); {
				case op == 0: // a snapshot within the log or beyond
					c := sm.Cursor{Index: first + sm.Index(rng.IntN(int(last-first)+20)), Term: sm.Term(term)}
					table.restart(c)
					mustSave(t, log, logstore.Batch{Reset: &c})
					for i := c.Index; i <= last; i++ {
						delete(want, i)
					}
					want[c.Index], first, last = c.Term, c.Index+1, c.Index
				case op < 4: // prune, also outside
					through := first + sm.Index(rng.IntN(int(last-first)+4)) - min(first, 2)
					table.prune(through)
					if err := log.Prune(through); err != nil {
						t.Fatalf("Prune: %v", err)
					}
					if through = min(through, last); through >= first {
						first = through + 1
						for i := range want {
							if i < through {
								delete(want, i)
							}
						}
					}
				default: // append, perhaps over a suffix
					lo := last + 1
					if rng.IntN(3) == 0 && last >= first {
						lo = first + sm.Index(rng.IntN(int(last-first)+1))
						term = max(uint64(want[lo-1]), 1)
					}
					term += uint64(rng.IntN(3) / 2)
					var entries []pb.Entry
					var batch logstore.Batch
					for range 1 + rng.IntN(5) {
						entries = append(entries, pb.Entry{Index: uint64(lo) + uint64(len(entries)), Term: term})
						batch.Entries = append(batch.Entries, logstore.Entry{Index: lo + sm.Index(len(batch.Entries)), Term: sm.Term(term)})
						term += uint64(rng.IntN(4) / 3)
					}
					table.append(entries)
					mustSave(t, log, batch)
					for i := lo; i <= last; i++ {
						delete(want, i)
					}
					for _, e := range batch.Entries {
						want[e.Index], last = e.Term, e.Index
					}
				}
				var loaded termTable
				st, err := log.State()
				if err != nil {
					t.Fatalf("State: %v", err)
				}
				if err := loaded.load(log, st); err != nil {
					t.Fatalf("load: %v", err)
				}
				if f, l := table.span(); f != first || l != last {
					t.Fatalf("step %d: span = [%d, %d], want [%d, %d]", step, f, l, first, last)
				}
				for i := first - 1; i <= last+1; i++ {
					if got := table.at(i); got != want[i] {
						t.Fatalf("step %d: at(%d) = %d, want %d", step, i, got, want[i])
					}
					if got := loaded.at(i); got != want[i] {
						t.Fatalf("step %d: at(%d) of the loaded table = %d, want %d", step, i, got, want[i])
					}
				}
			}
		})
	}
}

// The table stays small for a log of any length.
func TestTermTableSize(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	next := uint64(1)
	for term := uint64(1); term <= 300; term++ {
		saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(term, next, next+20), State: pb.State{Term: term, Commit: next}})
		next += 20
		if err := r.RemoveEntriesTo(routerShard, routerReplica, next-50); next > 50 && err != nil {
			t.Fatalf("RemoveEntriesTo: %v", err)
		}
	}
	if n := len(r.Find(routerShard, routerReplica).terms.bounds); n > 4 {
		t.Errorf("the table holds %d bounds for the last 50 entries, want 4 at most", n)
	}
}

// One goroutine saves entries while another one asks for their terms.
func TestTermTableConcurrent(t *testing.T) {
	t.Parallel()
	r := newTestRouter(t, enginetest.MemoryLog(t), noFailure(t))
	saved := make(chan sm.Index)
	var applying sync.WaitGroup
	applying.Go(func() {
		for i := range saved {
			if got, want := r.Find(routerShard, routerReplica).TermAt(i), sm.Term(i/10+1); got != want {
				t.Errorf("termOf(%d) = %d, want %d", i, got, want)
			}
			r.Find(routerShard, routerReplica).Fenced()
		}
	})
	for i := uint64(1); i <= 1000; i++ {
		term := i/10 + 1
		saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(term, i, i+1), State: pb.State{Term: term, Commit: i}})
		saved <- sm.Index(i)
		if i > 20 {
			if err := r.RemoveEntriesTo(routerShard, routerReplica, i-10); err != nil {
				t.Fatalf("RemoveEntriesTo: %v", err)
			}
		}
	}
	close(saved)
	applying.Wait()
}

func mustSave(t *testing.T, log logstore.Log, b logstore.Batch) {
	t.Helper()
	if err := log.Save(b); err != nil {
		t.Fatalf("Save: %v", err)
	}
}
