package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// entry returns the one entry that the tests ever write at this position, so
// that what is read can be judged without knowing what was written.
func entry(term sm.Term, i sm.Index) logstore.Entry {
	e := logstore.Entry{Index: i, Term: term, Kind: uint8(i), Key: uint64(i)<<32 ^ uint64(term)}
	if i%5 != 0 { // every fifth carries no data
		e.Data = fmt.Appendf(nil, "entry %d of term %d", i, term)
	}
	return e
}

// entries returns the entries of a term with indices in [lo, hi).
func entries(term sm.Term, lo, hi sm.Index) []logstore.Entry {
	var out []logstore.Entry
	for i := lo; i < hi; i++ {
		out = append(out, entry(term, i))
	}
	return out
}

func cursor(term sm.Term, i sm.Index) sm.Cursor { return sm.Cursor{Term: term, Index: i} }

// save saves b, which must succeed.
func save(t testing.TB, log logstore.Log, b logstore.Batch) {
	t.Helper()
	if err := log.Save(b); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

// prune prunes, which must succeed.
func prune(t testing.TB, log logstore.Log, through sm.Index) {
	t.Helper()
	if err := log.Prune(through); err != nil {
		t.Fatalf("Prune(%d): %v", through, err)
	}
}

// read returns the entries with indices in [lo, hi) and the error that ended them.
func read(log logstore.Log, lo, hi sm.Index) (out []logstore.Entry, err error) {
	for e, err := range log.Entries(lo, hi) {
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

// verify compares everything that can be asked of log with the model.
func verify(t testing.TB, log logstore.Log, want model) {
	t.Helper()
	wantState := want.state
	wantState.Last = want.last()
	if got := state(t, log); !sameState(got, wantState) {
		t.Fatalf("State (-want +got):\n%s", cmp.Diff(wantState, got))
	}
	lo := want.state.Pruned.Index + 1
	got, err := read(log, lo, math.MaxUint64)
	if err != nil {
		t.Fatalf("Entries(%d, max): %v", lo, err)
	}
	if diff := diff(want.entries, got); diff != "" {
		t.Fatalf("Entries(%d, max) (-want +got):\n%s", lo, diff)
	}
	wantTerm(t, log, 0, 0)
	if p := want.state.Pruned; p.Index > 0 {
		wantTerm(t, log, p.Index, p.Term)
		if _, err := read(log, p.Index, p.Index+2); !errors.Is(err, logstore.ErrCompacted) {
			t.Fatalf("Entries from the pruned index %d: error %v, want ErrCompacted", p.Index, err)
		}
		if p.Index > 1 {
			wantTermError(t, log, p.Index-1, logstore.ErrCompacted)
		}
	}
	for _, e := range want.entries {
		wantTerm(t, log, e.Index, e.Term)
	}
	wantTermError(t, log, want.last().Index+1, logstore.ErrUnavailable)
	wantTermError(t, log, math.MaxUint64, logstore.ErrUnavailable)
}

// diff describes how got differs from want, "" if it does not. cmp looks only
// at what differs: it takes a minute for what the suite compares.
func diff(want, got []logstore.Entry) string {
	if slices.EqualFunc(want, got, sameEntry) {
		return ""
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// sameEntry compares entries. Whether no data is nil or empty is the same.
func sameEntry(a, b logstore.Entry) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Kind == b.Kind && a.Key == b.Key && bytes.Equal(a.Data, b.Data)
}

func sameState(a, b logstore.State) bool {
	return string(a.Meta) == string(b.Meta) && (a.Meta == nil) == (b.Meta == nil) && a.Hard == b.Hard &&
		a.Snapshot.Cursor == b.Snapshot.Cursor && string(a.Snapshot.Record) == string(b.Snapshot.Record) &&
		a.Pruned == b.Pruned && a.Last == b.Last
}

func state(t testing.TB, log logstore.Log) logstore.State {
	t.Helper()
	st, err := log.State()
	if err != nil {
		t.Fatalf("State: %v", err)
	}
	return st
}

func wantTerm(t testing.TB, log logstore.Log, i sm.Index, want sm.Term) {
	t.Helper()
	if got, err := log.Term(i); got != want || err != nil {
		t.Fatalf("Term(%d) = %d, %v; want %d", i, got, err, want)
	}
}

func wantTermError(t testing.TB, log logstore.Log, i sm.Index, want error) {
	t.Helper()
	if got, err := log.Term(i); !errors.Is(err, want) {
		t.Fatalf("Term(%d) = %d, %v; want the error %v", i, got, err, want)
	}
}
