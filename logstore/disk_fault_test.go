package logstore

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/sm"
)

var long = flag.Bool("long", false, "run the long campaigns")

// historyOps returns how many operations of the file system a history takes.
func historyOps(t *testing.T, seed uint64, steps int) int {
	t.Helper()
	fs := faultfs.New()
	h := newHistory(fs, 4096, seed)
	if err := h.run(steps); err != nil {
		t.Fatalf("the history without failures: %v", err)
	}
	h.check(t, fs.Crash(nil), "after the whole history")
	n := fs.Ops()
	_ = h.close()
	return n
}

// TestDiskPowerLoss cuts the power at every operation of a history, and again while the log
// is opened after it. Every acknowledged batch must survive; the batch in flight must
// survive completely or not at all.
func TestDiskPowerLoss(t *testing.T) {
	t.Parallel()
	seeds, steps := uint64(1), 70
	if *long {
		seeds, steps = 20, 200
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			for n := range historyOps(t, seed, steps) {
				rng := rand.New(rand.NewPCG(seed, uint64(n)))
				fs := faultfs.New()
				fs.Inject(offAt(n, rng))
				h := newHistory(fs, 4096, seed)
				if err := h.run(steps); err != nil && !errors.Is(err, faultfs.ErrInjected) {
					t.Fatalf("operation %d: %v", n, err)
				}
				for range 2 {
					left := fs.Crash(rng)
					_ = h.close()
					left.Inject(offAt(rng.IntN(25), rng))
					if log, err := openHistory(diskConfig{fs: left, segment: 4096}, 0); err == nil {
						_ = log.Close()
					} else if !errors.Is(err, faultfs.ErrInjected) {
						t.Fatalf("operation %d: open: %v", n, err)
					}
					h.check(t, left.Crash(rng), fmt.Sprintf("power lost at operation %d", n))
					h.check(t, fs.Crash(nil), fmt.Sprintf("all that was not synced lost at operation %d", n))
				}
			}
		})
	}
}

// offAt cuts the power at the n-th operation. A write may complete in part.
func offAt(n int, rng *rand.Rand) func(faultfs.Op) error {
	return func(op faultfs.Op) error {
		switch {
		case op.N < n:
			return nil
		case op.N == n && op.Kind == "write":
			return faultfs.Partial{Bytes: rng.IntN(2000)}
		}
		return faultfs.ErrInjected
	}
}

// TestDiskFailure fails one operation at each point of a history. All later writes must
// fail with the cause, until the log is opened again.
func TestDiskFailure(t *testing.T) {
	t.Parallel()
	const seed, steps = 7, 50
	for n := range historyOps(t, seed, steps) {
		fs := faultfs.New()
		kind := ""
		fs.Inject(func(op faultfs.Op) error {
			if op.N != n {
				return nil
			}
			kind = op.Kind
			return faultfs.ErrInjected
		})
		h := newHistory(fs, 4096, seed)
		err := h.run(steps)
		if err == nil {
			continue // a close of files failed, which is harmless
		}
		what := fmt.Sprintf("%s failed at operation %d", kind, n)
		if !errors.Is(err, faultfs.ErrInjected) || !strings.Contains(err.Error(), "network") {
			t.Fatalf("%s: %v, want the cause and the file", what, err)
		}
		for g, log := range h.logs {
			if log == nil || kind == "read" {
				continue
			}
			if err := log.Save(Batch{Hard: &HardState{Term: 99}}); !errors.Is(err, faultfs.ErrInjected) {
				t.Fatalf("%s: group %d: Save after it: %v, want the cause", what, g, err)
			}
		}
		_ = h.close()
		crashed := fs.Crash(rand.New(rand.NewPCG(1, uint64(n))))
		h.check(t, fs, what)
		h.check(t, crashed, what+", then the power")
	}
}

// A changed byte must be detected or be harmless. No read may return wrong data.
func TestDiskBitFlips(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{true, false} {
		fs := faultfs.New()
		h := newHistory(fs, 2048, 11)
		if err := h.run(25); err != nil {
			t.Fatal(err)
		}
		left := fs
		if !closed {
			left = fs.Crash(nil)
		}
		_ = h.close()
		names, err := left.List(historyDir + "/log")
		if err != nil || len(names) == 0 {
			t.Fatalf("no files: %v", err)
		}
		harmless := 0
		for _, name := range names {
			name = historyDir + "/log/" + name
			content, _ := left.Read(name)
			for i := range content {
				content[i] ^= 1 << (i % 8)
				copied := left.Crash(nil)
				copied.Write(name, content)
				content[i] ^= 1 << (i % 8)
				if h.unharmed(t, copied, fmt.Sprintf("%s at %d (closed %v)", name, i, closed)) {
					harmless++
				}
			}
		}
		t.Logf("closed %v: %d flips did no harm", closed, harmless)
	}
}

// unharmed reports whether all logs can be read. If so, it checks their content.
func (h *history) unharmed(t *testing.T, fs *faultfs.FS, what string) bool {
	t.Helper()
	for g := range historyGroups {
		log, err := openHistory(diskConfig{fs: fs, segment: h.cfg.segment}, g)
		if err == nil {
			var got held
			if got, err = tryHold(log); err == nil && !got.matches(h.before[g]) {
				t.Fatalf("%s: group %d has the wrong content", what, g)
			}
			_ = log.Close()
		}
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrForeign) {
				t.Fatalf("%s: %v, want an error that says damage", what, err)
			}
			if !strings.Contains(err.Error(), ".log") {
				t.Fatalf("%s: %v, want an error with the file's name", what, err)
			}
			return false
		}
	}
	return true
}

// Saves that arrive during a sync must share the next one.
func TestDiskGroupCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups = 64
		fs := faultfs.New()
		cfg := diskConfig{fs: fs, segment: 1 << 20}
		var logs [groups]*diskLog
		for g := range logs {
			log, err := openHistory(cfg, g)
			if err != nil {
				t.Fatal(err)
			}
			logs[g] = log
		}
		gate, syncs := make(chan struct{}), 0
		fs.Inject(func(op faultfs.Op) error {
			if op.Kind == "sync" {
				syncs++
				<-gate
			}
			return nil
		})
		saved := make(chan error, groups)
		for _, log := range logs {
			go func() { saved <- log.Save(Batch{Entries: []Entry{{Index: 1, Term: 1}}}) }()
			if log == logs[0] {
				synctest.Wait() // the first Save syncs
			}
		}
		synctest.Wait()
		close(gate)
		for range groups {
			if err := <-saved; err != nil {
				t.Errorf("Save: %v", err)
			}
		}
		if syncs != 2 {
			t.Errorf("%d syncs for one save and then %d concurrent ones, want 2", syncs, groups-1)
		}
		for _, log := range logs {
			if err := log.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	})
}

// An idle group with old entries must not prevent the reuse of other groups' space.
// Pruned space must be freed under full load.
func TestDiskStaysSmall(t *testing.T) {
	t.Parallel()
	const segment, limit = 64 << 10, 8 * 64 << 10
	fs := faultfs.New()
	cfg := diskConfig{fs: fs, segment: segment}
	var idle, busy *diskLog
	open := func() {
		t.Helper()
		var err error
		if idle, err = openHistory(cfg, 0); err == nil {
			busy, err = openHistory(cfg, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open()
	old := Batch{Meta: []byte("meta"), Entries: []Entry{{Index: 1, Term: 1, Data: []byte("old")}, {Index: 2, Term: 2, Data: []byte("older")}}}
	if err := idle.Save(old); err != nil {
		t.Fatal(err)
	}
	want, most := hold(idle), int64(0)
	for i := sm.Index(1); i <= 4000; i++ {
		if err := busy.Save(Batch{Entries: []Entry{{Index: i, Term: 1, Data: make([]byte, 1000)}}}); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			if err := busy.Prune(i - 20); err != nil {
				t.Fatal(err)
			}
		}
		if most = max(most, busy.store.wal.Size()); most > limit {
			t.Fatalf("the log takes %d bytes after %d entries, want at most %d", most, i, limit)
		}
		if i%1500 == 0 {
			if err := errors.Join(idle.Close(), busy.Close()); err != nil {
				t.Fatal(err)
			}
			open()
		}
	}
	if !hold(idle).equal(want) {
		t.Errorf("the idle group holds %+v, want %+v", hold(idle), want)
	}
	if busy.store.wal.Oldest() < 50 {
		t.Errorf("the oldest segment is %d: no segment was freed", busy.store.wal.Oldest())
	}
	if err := errors.Join(idle.Close(), busy.Close()); err != nil {
		t.Fatal(err)
	}
	open()
	defer func() { _ = errors.Join(idle.Close(), busy.Close()) }()
	if !hold(idle).equal(want) {
		t.Errorf("opened again, the idle group holds %+v, want %+v", hold(idle), want)
	}
}
