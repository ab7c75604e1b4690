package logstore_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	storagetest.TestStorage(t, func(testing.TB) logstore.Storage[int] { return logstore.NewMemory[int]() })
}

func TestMemoryZeroValue(t *testing.T) {
	t.Parallel()
	var storage logstore.Memory[string]
	log, err := storage.Open(logstore.OpenOptions[string]{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := log.Save(logstore.Batch{Entries: consecutive(1, 3)}); err != nil {
		t.Fatalf("Save: %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	again, err := storage.Open(logstore.OpenOptions[string]{})
	if err != nil {
		t.Fatalf("Open again: %v", err)
	}
	if st, err := again.State(); err != nil || st.Last.Index != 0 {
		t.Errorf("State after opening again = %+v, %v; want an empty log", st, err)
	}
	if dir := again.SnapshotDir(); dir != "" {
		t.Errorf("SnapshotDir = %q, want none", dir)
	}
}

// An iteration yields the log as of its start, even if the log changes meanwhile.
func TestMemoryIterationIsStable(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(logstore.Log) error{
		"replace": func(l logstore.Log) error { return l.Save(logstore.Batch{Entries: consecutive(2, 900)}) },
		"prune":   func(l logstore.Log) error { return l.Prune(1000) },
		"clear":   func(l logstore.Log) error { return l.Save(logstore.Batch{Clear: true}) },
		"close":   func(l logstore.Log) error { return l.Close() },
	} {
		log := filled(t, 1000)
		n := sm.Index(0)
		for e, err := range log.Entries(1, 2000) {
			if err != nil {
				t.Fatalf("%s: entry %d: %v", name, n, err)
			}
			n++
			if e.Index != n || e.Term != 1 {
				t.Fatalf("%s: entry %d is %+v", name, n, e)
			}
			if n == 300 {
				if err := change(log); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		if n != 1000 {
			t.Errorf("%s: the iteration ended after %d entries of 1000", name, n)
		}
	}
}

func BenchmarkMemoryAppend(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			log := filled(b, 0)
			batch := consecutive(1, n)
			next := sm.Index(1)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					batch[i].Index = next + sm.Index(i)
				}
				if err := log.Save(logstore.Batch{Entries: batch}); err != nil {
					b.Fatal(err)
				}
				next += sm.Index(n)
				if next%(1<<20) < sm.Index(n) { // like a snapshot, so that memory does not run out
					if err := log.Prune(next - 1024); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkMemoryEntries(b *testing.B) {
	log := filled(b, 100_000)
	for _, n := range []sm.Index{1, 64, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for e, err := range log.Entries(50_000, 50_000+n) {
					if err != nil || e.Index < 50_000 {
						b.Fatal(e, err)
					}
				}
			}
		})
	}
}

func BenchmarkMemoryTerm(b *testing.B) {
	log := filled(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := log.Term(50_000); err != nil {
			b.Fatal(err)
		}
	}
}

// consecutive returns n entries of a term with indices from 1.
func consecutive(term sm.Term, n int) []logstore.Entry {
	out := make([]logstore.Entry, n)
	for i := range out {
		out[i] = logstore.Entry{Index: sm.Index(i + 1), Term: term, Data: []byte("data")}
	}
	return out
}

func filled(t testing.TB, n int) logstore.Log {
	t.Helper()
	log, err := logstore.NewMemory[int]().Open(logstore.OpenOptions[int]{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = log.Close() })
	if err := log.Save(logstore.Batch{Entries: consecutive(1, n)}); err != nil {
		t.Fatalf("Save: %v", err)
	}
	return log
}
