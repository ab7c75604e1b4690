package storagetest

import (
	"errors"
	"math"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// The caller may use the slice of entries again.
func testCopies(t *testing.T, log logstore.Log) {
	buf := make([]logstore.Entry, 0, 8)
	for i := sm.Index(1); i < 50; i += 7 {
		buf = append(buf[:0], entries(1, i, i+7)...)
		save(t, log, logstore.Batch{Entries: buf})
		clear(buf)
	}
	verify(t, log, model{entries: entries(1, 1, 50)})
}

func testRanges(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 800)})
	prune(t, log, 9)
	for _, tt := range []struct{ lo, hi, wantLo, wantHi sm.Index }{
		{10, 11, 10, 11},
		{10, 800, 10, 800},
		{10, 801, 10, 800},
		{256, 257, 256, 257},
		{257, 513, 257, 513},
		{255, 514, 255, 514},
		{799, math.MaxUint64, 799, 800},
		{400, 400, 0, 0},
		{401, 400, 0, 0},
		{800, 900, 0, 0},
		{900, 950, 0, 0},
	} {
		seq := log.Entries(tt.lo, tt.hi)
		for range 2 { // ranging again begins again
			var got []logstore.Entry
			for e, err := range seq {
				if err != nil {
					t.Fatalf("Entries(%d, %d): %v", tt.lo, tt.hi, err)
				}
				got = append(got, e)
			}
			if diff := diff(entries(1, tt.wantLo, tt.wantHi), got); diff != "" {
				t.Fatalf("Entries(%d, %d) (-want +got):\n%s", tt.lo, tt.hi, diff)
			}
		}
	}
	for _, lo := range []sm.Index{1, 8, 9} {
		if got, err := read(log, lo, 20); !errors.Is(err, logstore.ErrCompacted) || len(got) > 0 {
			t.Errorf("Entries(%d, 20) of a log pruned through 9 = %v, %v; want ErrCompacted alone", lo, got, err)
		}
	}
	for e, err := range log.Entries(10, 800) { // stopping early is fine
		if err != nil || e.Index > 300 {
			break
		}
	}
}

// Entries that were read stay as they are, whatever happens to the log.
func testHeld(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 400)})
	held, err := read(log, 1, 400)
	if err != nil {
		t.Fatalf("Entries(1, 400): %v", err)
	}
	for _, change := range []func(){
		func() { save(t, log, logstore.Batch{Entries: entries(2, 390, 420)}) },
		func() { save(t, log, logstore.Batch{Truncate: 300}) },
		func() { save(t, log, logstore.Batch{Entries: entries(3, 300, 700)}) },
		func() { prune(t, log, 290) },
		func() { save(t, log, logstore.Batch{Reset: &sm.Cursor{}}) },
		func() { save(t, log, logstore.Batch{Entries: entries(5, 1, 400)}) },
		func() { save(t, log, logstore.Batch{Clear: true}) },
		func() {
			if err := log.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		},
	} {
		change()
		if diff := diff(entries(1, 1, 400), held); diff != "" {
			t.Fatalf("entries read earlier changed (-want +got):\n%s", diff)
		}
	}
}

// A change in the middle of an iteration neither breaks it nor mixes into one
// entry what belongs to two. The iteration may end early.
func testIterateBeside(t *testing.T, log logstore.Log) {
	for name, change := range map[string]func(){
		"append":   func() { save(t, log, logstore.Batch{Entries: entries(1, 600, 900)}) },
		"replace":  func() { save(t, log, logstore.Batch{Entries: entries(2, 20, 700)}) },
		"truncate": func() { save(t, log, logstore.Batch{Truncate: 20}) },
		"prune":    func() { prune(t, log, 590) },
		"reset":    func() { save(t, log, logstore.Batch{Reset: &sm.Cursor{Term: 3, Index: 1000}}) },
		"clear":    func() { save(t, log, logstore.Batch{Clear: true}) },
	} {
		save(t, log, logstore.Batch{Clear: true, Entries: entries(1, 1, 600)})
		next := sm.Index(1)
		for e, err := range log.Entries(1, 600) {
			if err != nil {
				if !errors.Is(err, logstore.ErrCompacted) {
					t.Errorf("%s beside an iteration: %v, want nil or ErrCompacted", name, err)
				}
				break
			}
			if e.Index != next || !sameEntry(e, entry(e.Term, e.Index)) {
				t.Fatalf("%s beside an iteration: read %v where %d comes next", name, e, next)
			}
			if next == 10 {
				change()
			}
			next++
		}
		if next < 11 {
			t.Errorf("%s beside an iteration: it ended at %d, before the change", name, next)
		}
	}
}
