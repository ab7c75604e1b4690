package raftlog

import (
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

var errDisk = errors.New("the disk is gone")

// faultyLog is a log that fails in one of many ways, and counts the calls that
// follow its failure.
type faultyLog struct {
	logstore.Log
	fault  func(call string, n int) error // n counts the calls of that name from 1
	calls  map[string]int
	broken atomic.Bool
	after  atomic.Int64
}

func newFaultyLog(t testing.TB, fault func(call string, n int) error) *faultyLog {
	return &faultyLog{Log: enginetest.MemoryLog(t), fault: fault, calls: map[string]int{}}
}

func (f *faultyLog) fail(call string) error {
	if f.broken.Load() {
		f.after.Add(1)
	}
	f.calls[call]++
	f.broken.Store(true) // unless the call comes back well
	err := f.fault(call, f.calls[call])
	f.broken.Store(err != nil)
	return err
}

func (f *faultyLog) Save(b logstore.Batch) error {
	if err := f.fail("save"); err != nil {
		return err
	}
	return f.Log.Save(b)
}

func (f *faultyLog) Prune(through sm.Index) error {
	if err := f.fail("prune"); err != nil {
		return err
	}
	return f.Log.Prune(through)
}

var errShort, errSkip = errors.New("end early"), errors.New("leave one out")

func (f *faultyLog) Entries(lo, hi sm.Index) iter.Seq2[logstore.Entry, error] {
	err := f.fail("entries")
	return func(yield func(logstore.Entry, error) bool) {
		for e, e2 := range f.Log.Entries(lo, hi) {
			if err != nil && e.Index >= lo+2 {
				switch {
				case errors.Is(err, errShort):
				case errors.Is(err, errSkip):
					e.Index++
					yield(e, nil)
				default:
					yield(logstore.Entry{}, err)
				}
				return
			}
			if !yield(e, e2) {
				return
			}
		}
	}
}

func TestFailedLogIsFenced(t *testing.T) {
	t.Parallel()
	failing := func(call string, n int, err error) func(string, int) error {
		return func(c string, m int) error {
			if c == call && m == n {
				return err
			}
			return nil
		}
	}
	panicking := func(call string, n int) func(string, int) error {
		return func(c string, m int) error {
			if c == call && m == n {
				panic("the log is confused")
			}
			return nil
		}
	}
	for name, tt := range map[string]struct {
		fault func(string, int) error
		want  string
	}{
		"bootstrap fails":   {failing("save", 1, errDisk), "save bootstrap info to the log"},
		"first save fails":  {failing("save", 2, errDisk), "save to the log"},
		"second save fails": {failing("save", 3, errDisk), "save to the log"},
		"snapshot fails":    {failing("save", 4, errDisk), "save a snapshot's record to the log"},
		"save panics":       {panicking("save", 3), "save to the log"},
		"prune fails":       {failing("prune", 1, errDisk), "prune the log"},
		"prune panics":      {panicking("prune", 1), "prune the log"},
		"reading fails":     {failing("entries", 1, errDisk), "read from the log"},
		"reading panics":    {panicking("entries", 1), "read from the log"},
		"reading is short":  {failing("entries", 1, errShort), "yielded no entry at 5"},
		"reading skips":     {failing("entries", 1, errSkip), "yielded entry 6 where 5 comes next"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := newFaultyLog(t, tt.fault)
			var failures []error
			r := newTestRouter(t, log, func(err error) { failures = append(failures, err) })
			tour(t, r)
			if len(failures) != 1 || !strings.Contains(failures[0].Error(), tt.want) {
				t.Fatalf("failed was called with %v, want once, saying %q", failures, tt.want)
			}
			if !r.Find(routerShard, routerReplica).Fenced() {
				t.Error("the replica is not fenced")
			}
			if n := log.after.Load(); n > 0 {
				t.Errorf("the log was touched %d times after it had failed", n)
			}
			r.Unregister(routerShard, routerReplica)
			if !r.Find(routerShard, routerReplica).Fenced() {
				t.Error("the replica is not fenced once it is unregistered")
			}
		})
	}
	t.Run("nothing fails", func(t *testing.T) {
		t.Parallel()
		r := newTestRouter(t, newFaultyLog(t, failing("", 0, nil)), noFailure(t))
		tour(t, r)
		if r.Find(routerShard, routerReplica).Fenced() {
			t.Error("the replica is fenced")
		}
	})
}

// tour makes every call that dragonboat makes for a replica. It fails the test where dragonboat
// would panic: over errors, and over reads that do not match what was saved.
func tour(t *testing.T, r *Router) {
	t.Helper()
	saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(1, 1, 11), State: pb.State{Term: 1, Commit: 8}})
	saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(2, 9, 21), State: pb.State{Term: 2, Commit: 12}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, index := range []uint64{6, 12} {
		must(r.SaveSnapshots([]pb.Update{{ShardID: routerShard, ReplicaID: routerReplica, Snapshot: pb.Snapshot{Index: index, Term: 2}}}))
		s, err := r.GetSnapshot(routerShard, routerReplica)
		must(err)
		if s.Index != index {
			t.Fatalf("GetSnapshot = %d after saving that at %d", s.Index, index)
		}
	}
	wantTerms(t, r, 3, 8, 1)
	wantTerms(t, r, 9, 20, 2)
	must(r.RemoveEntriesTo(routerShard, routerReplica, 7))
	wantTerms(t, r, 8, 8, 1)
	saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(3, 21, 400), State: pb.State{Term: 3, Vote: 1, Commit: 15}})
	wantTerms(t, r, 21, 399, 3)
	st, err := r.ReadRaftState(routerShard, routerReplica, 12)
	must(err)
	if want := (pb.State{Term: 3, Vote: 1, Commit: 15}); st.State != want || st.FirstIndex != 13 || st.EntryCount != 387 {
		t.Fatalf("ReadRaftState = %+v, want %+v and the entries [13, 400)", st, want)
	}
	saveRaft(t, r, pb.Update{Snapshot: pb.Snapshot{Index: 500, Term: 4}, State: pb.State{Term: 4, Commit: 500}})
	saveRaft(t, r, pb.Update{EntriesToSave: raftEntries(4, 501, 503)})
	wantTerms(t, r, 501, 502, 4)
	if _, err := r.GetBootstrapInfo(routerShard, routerReplica); err != nil {
		t.Fatalf("GetBootstrapInfo: %v", err)
	}
}

// wantTerms checks that each of the entries from lo through hi can be read, alone and among the
// others, and has that term.
func wantTerms(t *testing.T, r *Router, lo, hi, term uint64) {
	t.Helper()
	all, _, err := r.IterateEntries(nil, 0, routerShard, routerReplica, lo, hi+1, 0)
	if err != nil || uint64(len(all)) != hi+1-lo {
		t.Fatalf("IterateEntries(%d, %d): %d entries, %v", lo, hi+1, len(all), err)
	}
	for i := lo; i <= hi; i++ {
		one, size, err := r.IterateEntries(nil, 0, routerShard, routerReplica, i, i+1, 1)
		if err != nil || len(one) != 1 || size < 1 {
			t.Fatalf("IterateEntries(%d, %d): %d entries, %v", i, i+1, len(one), err)
		}
		for _, e := range []pb.Entry{one[0], all[i-lo]} {
			if e.Index != i || e.Term != term {
				t.Fatalf("entry %d of term %d came back as %d of term %d", i, term, e.Index, e.Term)
			}
		}
		if got := r.Find(routerShard, routerReplica).TermAt(sm.Index(i)); uint64(got) != term {
			t.Fatalf("termOf(%d) = %d, want %d", i, got, term)
		}
	}
}

// Entries that could not be restored exactly are not saved.
func TestForeignEntriesFenceTheLog(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]pb.Entry{
		"client":    {Index: 1, Term: 1, Type: pb.EncodedEntry, Key: 1, ClientID: 5, Cmd: []byte{0, 1}},
		"series":    {Index: 1, Term: 1, Type: pb.EncodedEntry, Key: 1, ClientID: wire.ProposalClient, SeriesID: 1, Cmd: []byte{0, 1}},
		"responded": {Index: 1, Term: 1, Type: pb.EncodedEntry, Key: 1, ClientID: wire.ProposalClient, RespondedTo: 1, Cmd: []byte{0, 1}},
		"type":      {Index: 1, Term: 1, Type: 4, Key: 1},
		"wide type": {Index: 1, Term: 1, Type: 256, Key: 1},
	} {
		var failures []error
		log := enginetest.MemoryLog(t)
		r := newTestRouter(t, log, func(err error) { failures = append(failures, err) })
		saveRaft(t, r, pb.Update{EntriesToSave: []pb.Entry{e}, State: pb.State{Term: 1}})
		if st, err := log.State(); len(failures) != 1 || !r.Find(routerShard, routerReplica).Fenced() || err != nil || st.Last.Index != 0 {
			t.Errorf("%s: failures %v, log state %+v, %v; want one failure and nothing saved", name, failures, st, err)
		}
	}
}

// An import returns the failure of the storage.
func TestRouterImportFails(t *testing.T) {
	t.Parallel()
	log := newFaultyLog(t, func(call string, n int) error {
		if n == 2 {
			return errDisk
		}
		return nil
	})
	failures := 0
	r := newTestRouter(t, log, func(error) { failures++ })
	s := pb.Snapshot{ShardID: routerShard, Index: 5, Term: 1}
	if err := r.ImportSnapshot(s, routerReplica); !errors.Is(err, errDisk) {
		t.Errorf("ImportSnapshot: %v, want %v", err, errDisk)
	}
	if err := r.ImportSnapshot(s, routerReplica); err == nil {
		t.Error("ImportSnapshot into a failed log succeeded")
	}
	if failures != 1 {
		t.Errorf("failed was called %d times, want once", failures)
	}
}
