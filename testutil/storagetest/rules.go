package storagetest

import (
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

func testEmpty(t *testing.T, log logstore.Log) {
	verify(t, log, model{})
	save(t, log, logstore.Batch{})
	prune(t, log, 7)
	verify(t, log, model{})
}

func testAppend(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 2)})
	verify(t, log, model{entries: entries(1, 1, 2)})
	save(t, log, logstore.Batch{Entries: entries(1, 2, 6)})
	save(t, log, logstore.Batch{Entries: append(entries(1, 6, 8), entries(4, 8, 10)...)})
	verify(t, log, model{entries: append(entries(1, 1, 8), entries(4, 8, 10)...)})
}

func testAppendLarge(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 3000)})
	save(t, log, logstore.Batch{Entries: entries(2, 3000, 3700)})
	verify(t, log, model{entries: append(entries(1, 1, 3000), entries(2, 3000, 3700)...)})
	big := logstore.Entry{Index: 3700, Term: 2, Data: make([]byte, 1<<20)}
	save(t, log, logstore.Batch{Entries: []logstore.Entry{big}})
	verify(t, log, model{entries: append(append(entries(1, 1, 3000), entries(2, 3000, 3700)...), big)})
}

// The first entry replaces what the log holds from its index on.
func testReplace(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 1000)})
	for _, tt := range []struct {
		term   sm.Term
		lo, hi sm.Index
	}{{2, 999, 1000}, {3, 700, 800}, {4, 513, 514}, {5, 512, 1100}, {6, 257, 258}, {7, 256, 260}, {8, 1, 5}} {
		save(t, log, logstore.Batch{Entries: entries(tt.term, tt.lo, tt.hi)})
		want, err := read(log, 1, tt.lo)
		if err != nil {
			t.Fatalf("Entries(1, %d): %v", tt.lo, err)
		}
		if len(want) != int(tt.lo)-1 {
			t.Fatalf("replacing from %d kept %d entries, want %d", tt.lo, len(want), tt.lo-1)
		}
		verify(t, log, model{entries: append(want, entries(tt.term, tt.lo, tt.hi)...)})
	}
}

func testTruncate(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 600)})
	for _, from := range []sm.Index{700, 600, 599, 514, 513, 512, 257, 256, 255, 100} {
		save(t, log, logstore.Batch{Truncate: from})
		verify(t, log, model{entries: entries(1, 1, min(from, 600))})
	}
	prune(t, log, 50)
	pruned := logstore.State{Pruned: cursor(1, 50)}
	verify(t, log, model{state: pruned, entries: entries(1, 51, 100)})
	save(t, log, logstore.Batch{Truncate: 52})
	verify(t, log, model{state: pruned, entries: entries(1, 51, 52)})
	save(t, log, logstore.Batch{Truncate: 51})
	verify(t, log, model{state: pruned})
	for _, from := range []sm.Index{50, 1} {
		save(t, log, logstore.Batch{Entries: entries(1, 51, 60)})
		save(t, log, logstore.Batch{Truncate: from})
		verify(t, log, model{state: pruned})
	}
	save(t, log, logstore.Batch{Entries: entries(3, 51, 53)})
	verify(t, log, model{state: pruned, entries: entries(3, 51, 53)})
}

func testPrune(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: append(entries(1, 1, 300), entries(2, 300, 900)...)})
	want := model{entries: append(entries(1, 1, 300), entries(2, 300, 900)...)}
	for _, through := range []sm.Index{0, 1, 2, 255, 256, 257, 299, 300, 299, 5, 0, 600, 898} {
		prune(t, log, through)
		want.prune(through)
		verify(t, log, want)
		prune(t, log, through)
		verify(t, log, want)
	}
	prune(t, log, 5000)
	verify(t, log, model{state: logstore.State{Pruned: cursor(2, 899)}})
	prune(t, log, 899)
	prune(t, log, 900)
	verify(t, log, model{state: logstore.State{Pruned: cursor(2, 899)}})
}

// Appending goes on where a log was pruned, also where it was pruned empty.
func testPruneContinue(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(2, 1, 300)})
	prune(t, log, 290)
	save(t, log, logstore.Batch{Entries: entries(3, 295, 700)})
	want := model{state: logstore.State{Pruned: cursor(2, 290)}, entries: append(entries(2, 291, 295), entries(3, 295, 700)...)}
	verify(t, log, want)
	prune(t, log, 699)
	save(t, log, logstore.Batch{Entries: entries(3, 700, 703)})
	verify(t, log, model{state: logstore.State{Pruned: cursor(3, 699)}, entries: entries(3, 700, 703)})
}

func testResetForward(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 10), Hard: &logstore.HardState{Term: 2, Vote: 7, Commit: 4}, Meta: []byte("meta")})
	to := cursor(3, 500)
	save(t, log, logstore.Batch{Reset: &to})
	want := model{state: logstore.State{Pruned: to, Hard: logstore.HardState{Term: 2, Vote: 7, Commit: 4}, Meta: []byte("meta")}}
	verify(t, log, want)
	save(t, log, logstore.Batch{Entries: entries(3, 501, 503)})
	want.entries = entries(3, 501, 503)
	verify(t, log, want)
}

func testResetBack(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(4, 1, 600)})
	prune(t, log, 300)
	for _, to := range []sm.Cursor{cursor(2, 400), cursor(2, 100), {}} {
		save(t, log, logstore.Batch{Reset: &to})
		verify(t, log, model{state: logstore.State{Pruned: to}})
		save(t, log, logstore.Batch{Entries: entries(5, to.Index+1, to.Index+4)})
		verify(t, log, model{state: logstore.State{Pruned: to}, entries: entries(5, to.Index+1, to.Index+4)})
	}
}

func testClear(t *testing.T, log logstore.Log) {
	fill := logstore.Batch{
		Entries:  entries(1, 1, 20),
		Hard:     &logstore.HardState{Term: 2, Vote: 7, Commit: 4},
		Snapshot: &logstore.Snapshot{Cursor: cursor(1, 3), Record: []byte("record")},
		Meta:     []byte("meta"),
	}
	save(t, log, fill)
	prune(t, log, 3)
	save(t, log, logstore.Batch{Clear: true})
	verify(t, log, model{})
	save(t, log, fill)
	save(t, log, logstore.Batch{Clear: true, Entries: entries(9, 1, 3), Meta: []byte("other")})
	verify(t, log, model{state: logstore.State{Meta: []byte("other")}, entries: entries(9, 1, 3)})
}

// The parts of a batch take effect in the order of its fields.
func testOrder(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 20), Meta: []byte("meta")})
	to := cursor(4, 7)
	save(t, log, logstore.Batch{
		Clear:    true,
		Reset:    &to,
		Truncate: 9,
		Entries:  entries(5, 8, 12),
		Hard:     &logstore.HardState{Term: 5, Commit: 8},
		Snapshot: &logstore.Snapshot{Cursor: to, Record: []byte("record")},
	})
	verify(t, log, model{
		state: logstore.State{
			Pruned:   to,
			Hard:     logstore.HardState{Term: 5, Commit: 8},
			Snapshot: logstore.Snapshot{Cursor: to, Record: []byte("record")},
		},
		entries: entries(5, 8, 12),
	})
	save(t, log, logstore.Batch{Truncate: 10, Entries: entries(6, 10, 11)})
	got, err := read(log, 8, 100)
	if err != nil || len(got) != 3 || got[2].Term != 6 {
		t.Fatalf("after Truncate and Entries in one batch: %v, %v; want 8, 9 and 10", got, err)
	}
}

func testHard(t *testing.T, log logstore.Log) {
	for _, hard := range []logstore.HardState{{Term: 1, Vote: 1<<64 - 1}, {Term: 1, Vote: 1<<64 - 1, Commit: 9}, {Term: 7}, {}} {
		save(t, log, logstore.Batch{Hard: &hard})
		verify(t, log, model{state: logstore.State{Hard: hard}})
		save(t, log, logstore.Batch{})
		verify(t, log, model{state: logstore.State{Hard: hard}})
	}
}

// A snapshot record leaves the log alone; the zero Snapshot is none.
func testSnapshot(t *testing.T, log logstore.Log) {
	save(t, log, logstore.Batch{Entries: entries(1, 1, 20)})
	for _, ss := range []logstore.Snapshot{
		{Cursor: cursor(1, 5), Record: []byte("first")},
		{Cursor: cursor(1, 9), Record: make([]byte, 1<<16)},
		{Cursor: cursor(1, 2)},
		{},
	} {
		save(t, log, logstore.Batch{Snapshot: &ss})
		verify(t, log, model{state: logstore.State{Snapshot: ss}, entries: entries(1, 1, 20)})
	}
}

func testMeta(t *testing.T, log logstore.Log) {
	for _, meta := range [][]byte{[]byte("first"), make([]byte, 1<<16), []byte("x")} {
		save(t, log, logstore.Batch{Meta: meta})
		save(t, log, logstore.Batch{})
		verify(t, log, model{state: logstore.State{Meta: meta}})
	}
}

// A batch that does not continue the log is refused whole, and ends all writing.
func testRefuse(t *testing.T, p *place) {
	base := model{state: logstore.State{Pruned: cursor(3, 5)}, entries: entries(3, 6, 10)}
	for name, tt := range map[string]struct {
		entries []logstore.Entry
		want    error
	}{
		"hole before":       {entries(4, 11, 13), logstore.ErrGap},
		"hole between":      {append(entries(4, 10, 12), entry(4, 13)), logstore.ErrGap},
		"doubled":           {append(entries(4, 10, 12), entry(4, 11)), logstore.ErrGap},
		"term back":         {append(entries(4, 10, 12), entry(3, 12)), logstore.ErrGap},
		"term before last":  {entries(2, 10, 11), logstore.ErrGap},
		"term before kept":  {entries(2, 8, 9), logstore.ErrGap},
		"term before prune": {entries(2, 6, 7), logstore.ErrGap},
		"pruned":            {entries(3, 5, 7), logstore.ErrCompacted},
		"index 0":           {entries(3, 0, 2), logstore.ErrCompacted},
	} {
		t.Run(name, func(t *testing.T) {
			log := p.group(t, name)
			save(t, log, logstore.Batch{Entries: entries(3, 1, 10)})
			prune(t, log, 5)
			verify(t, log, base)
			err := log.Save(logstore.Batch{
				Entries:  tt.entries,
				Hard:     &logstore.HardState{Term: 9, Vote: 9, Commit: 9},
				Snapshot: &logstore.Snapshot{Cursor: cursor(9, 9), Record: []byte("record")},
				Meta:     []byte("meta"),
			})
			if !errors.Is(err, tt.want) {
				t.Fatalf("Save: %v, want %v", err, tt.want)
			}
			verify(t, log, base)
			if err := log.Save(logstore.Batch{Entries: entries(3, 10, 11)}); err == nil {
				t.Fatal("Save succeeded after a Save that failed")
			}
			verify(t, log, base)
		})
	}
}
