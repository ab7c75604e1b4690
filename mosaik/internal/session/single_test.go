package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mosaik-go/mosaik/sm"
)

// wantDone fails the test unless the command of a Single was applied unchanged.
func wantDone(t *testing.T, o outcome, first sm.Index) {
	t.Helper()
	if o.err != nil || o.first != first || o.results[0].Value != o.cmds[0] {
		t.Errorf("%q: index %d, result %v, error %v; want index %d", o.cmds[0], o.first, o.results[0], o.err, first)
	}
}

func TestSinglesFollowEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		for i := range sm.Index(10) {
			if one := l.NewSingle(); len(one.Data) != 0 {
				t.Errorf("a new Single holds %q", one.Data)
			} else {
				one.Release()
			}
			wantDone(t, do(t.Context(), l.Proposer, fmt.Sprint("command ", i)), i+1)
		}
	})
}

// TestAbandonedSingleIsNotReused has a caller stop waiting. The memory of its command is not
// reused, because the command may have to be sent again.
func TestAbandonedSingleIsNotReused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, cfg *Config) {
			l.propose = silent
		})
		defer l.Close(nil)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		o := do(short, l.Proposer, "given up")
		if !errors.Is(o.err, ErrUnknownOutcome) || !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("stopped waiting: %v", o.err)
		}
		l.then(nil)
		wantDone(t, do(t.Context(), l.Proposer, "after"), 2)
		if diff := cmp.Diff([]string{"given up", "after"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestSingleThatWaitsForSpace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cause := errors.New("superseded")
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxQueue = 1
			l.propose = silent
		})
		l.submit(t, "on its way")
		synctest.Wait()
		l.submit(t, "queued")
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if o := do(short, l.Proposer, "taken back"); !errors.Is(o.err, ErrNotApplied) || !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("cancelled: %v", o.err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if o := do(t.Context(), l.Proposer, "waits"); !errors.Is(o.err, ErrNotApplied) || !errors.Is(o.err, cause) {
				t.Errorf("waits for space while the proposer is closed: %v", o.err)
			}
		})
		synctest.Wait()
		l.Close(cause)
		waiting.Wait()
		if o := do(t.Context(), l.Proposer, "late"); !errors.Is(o.err, ErrNotApplied) || !errors.Is(o.err, cause) {
			t.Errorf("late: %v", o.err)
		}
	})
}

func TestSingleTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(_ *local, cfg *Config) { cfg.MaxEntry = 2048 })
		defer l.Close(nil)
		if o := do(t.Context(), l.Proposer, string(make([]byte, 2048))); !errors.Is(o.err, ErrTooLarge) {
			t.Errorf("%v, want %v", o.err, ErrTooLarge)
		}
		wantDone(t, do(t.Context(), l.Proposer, "small"), 1)
	})
}
