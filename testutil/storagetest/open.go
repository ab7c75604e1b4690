package storagetest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

func testClose(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 5)})
	for range 2 {
		if err := log.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	_, errState := log.State()
	_, errTerm := log.Term(1)
	_, errEntries := read(log, 1, 5)
	for name, err := range map[string]error{
		"State":   errState,
		"Term":    errTerm,
		"Entries": errEntries,
		"Save":    log.Save(logstore.Batch{Entries: entries(1, 5, 6)}),
		"Prune":   log.Prune(2),
	} {
		if !errors.Is(err, logstore.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
}

// One storage opens a log of its own for each group, also concurrently.
func testGroups(t *testing.T, p *place) {
	names := []string{"one", "two", "three", "four"}
	logs := make([]logstore.Log, len(names))
	errs := make([]error, len(names))
	open := p.storage(t)
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { logs[i], errs[i] = open(p.dir, sm.ID(name)) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("open the log of group %s: %v", names[i], err)
		}
		t.Cleanup(func() { _ = logs[i].Close() })
	}
	for i, log := range logs {
		save(t, log, logstore.Batch{Entries: entries(sm.Term(i+1), 1, 5), Meta: []byte(names[i])})
	}
	for i, log := range logs {
		verify(t, log, model{state: logstore.State{Meta: []byte(names[i])}, entries: entries(sm.Term(i+1), 1, 5)})
	}
}

func testReopen(t *testing.T, p *place) {
	log := p.log(t)
	var want model
	step := func(b logstore.Batch, through sm.Index) {
		t.Helper()
		save(t, log, b)
		prune(t, log, through)
		want.save(b)
		want.prune(through)
		log = p.reopen(t, log)
		verify(t, log, want)
		log = p.reopen(t, log) // opening changes nothing
		verify(t, log, want)
	}
	step(logstore.Batch{}, 0)
	step(logstore.Batch{Entries: entries(1, 1, 500), Meta: []byte("meta")}, 0)
	step(logstore.Batch{Hard: &logstore.HardState{Term: 2, Vote: 1<<64 - 1, Commit: 3}}, 0)
	step(logstore.Batch{Entries: entries(2, 400, 450)}, 100)
	step(logstore.Batch{Truncate: 420, Snapshot: &logstore.Snapshot{Cursor: cursor(1, 300), Record: []byte("record")}}, 290)
	step(logstore.Batch{Hard: &logstore.HardState{Term: 2, Vote: 1<<64 - 1, Commit: 410}}, 1000)
	step(logstore.Batch{Reset: &sm.Cursor{Term: 3, Index: 700}, Entries: entries(3, 701, 720)}, 0)
	step(logstore.Batch{Reset: &sm.Cursor{Term: 1, Index: 10}}, 0)
	step(logstore.Batch{Clear: true}, 0)
	step(logstore.Batch{Entries: entries(7, 1, 3)}, 0)
}

// A process that is killed leaves behind what was saved, whole. What it pruned
// may come back. The copy of a directory stands for what it leaves.
func testKilled(t *testing.T, p *place) {
	log := p.log(t)
	var want model
	for i, b := range []logstore.Batch{
		{Entries: entries(1, 1, 300), Meta: []byte("meta")},
		{Hard: &logstore.HardState{Term: 2, Vote: 7, Commit: 3}},
		{Entries: entries(2, 200, 250), Hard: &logstore.HardState{Term: 2, Vote: 7, Commit: 210}},
		{Truncate: 240, Snapshot: &logstore.Snapshot{Cursor: cursor(1, 100), Record: []byte("record")}},
		{Reset: &sm.Cursor{Term: 3, Index: 700}, Entries: entries(3, 701, 720)},
		{Clear: true, Meta: []byte("another")},
	} {
		save(t, log, b)
		want.save(b)
		left := place{dir: filepath.Join(t.TempDir(), strconv.Itoa(i)), durable: true, storage: p.storage}
		if err := os.CopyFS(left.dir, os.DirFS(p.dir)); err != nil {
			t.Fatalf("copy the directory: %v", err)
		}
		after := left.log(t)
		verify(t, after, want)
		save(t, after, logstore.Batch{Meta: []byte("onwards")})
		prune(t, log, want.state.Pruned.Index+1)
		want.prune(want.state.Pruned.Index + 1)
		if err := after.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
}

// A refused batch leaves no trace behind, and opening the log again ends the refusal.
func testReopenRefused(t *testing.T, p *place) {
	log := p.log(t)
	save(t, log, logstore.Batch{Entries: entries(1, 1, 10)})
	if err := log.Save(logstore.Batch{Entries: entries(1, 12, 14), Meta: []byte("meta")}); !errors.Is(err, logstore.ErrGap) {
		t.Fatalf("Save with a gap: %v, want ErrGap", err)
	}
	log = p.reopen(t, log)
	verify(t, log, model{entries: entries(1, 1, 10)})
	save(t, log, logstore.Batch{Entries: entries(1, 10, 12)})
	verify(t, log, model{entries: entries(1, 1, 12)})
}

func testSnapshotDir(t *testing.T, p *place) {
	log := p.log(t)
	dir := log.SnapshotDir()
	if dir == "" {
		t.Fatal(`SnapshotDir = "", though the log outlives the process`)
	}
	if other := p.group(t, "other").SnapshotDir(); other == dir {
		t.Errorf("two groups share the SnapshotDir %s", dir)
	}
	if again := p.reopen(t, log).SnapshotDir(); again != dir {
		t.Errorf("SnapshotDir = %s after reopening, was %s", again, dir)
	}
}
