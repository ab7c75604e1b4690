package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

func TestCallsGatherWhileAnEntryIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		calls := []*Call{l.submit(t, "a")}
		synctest.Wait()
		calls = append(calls, l.submit(t, "b", "c"))
		traced, err := l.Submit(t.Context(), 1, encode([]string{"d"}), format.Span{Flags: 7})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, traced, l.submit(t, "e", "f"))
		close(release)
		for i, want := range []sm.Index{1, 2, 4, 5} {
			if first, _ := values(t, calls[i]); first != want {
				t.Errorf("call %d has index %d, want %d", i, first, want)
			}
		}
		if diff := cmp.Diff([][]string{{"a"}, {"b", "c", "d", "e", "f"}}, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		e, err := format.Parse([]byte(l.attempts()[1].data))
		if err != nil {
			t.Fatal(err)
		}
		want := []format.Trace{{Offset: 2, Span: format.Span{Flags: 7}}}
		if diff := cmp.Diff(want, slices.Collect(e.Traces.All())); diff != "" {
			t.Errorf("traces (-want +got):\n%s", diff)
		}
	})
}

func TestEntriesKeepTheirLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		const maxEntry = 1000
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxEntry, cfg.MaxCommands = maxEntry, 4
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		room := maxEntry - format.MaxOverhead - format.MaxTrace
		half := strings.Repeat("x", room/2+format.MaxTrace)
		full := strings.Repeat("y", room-format.CommandSize(room)+room)
		if _, err := l.Submit(t.Context(), 1, encode([]string{full + "y"}), format.Span{Flags: 1}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("too large a call: %v", err)
		}
		if _, err := l.Submit(t.Context(), 1, nil, format.Span{}); !errors.Is(err, ErrEmpty) {
			t.Errorf("empty call: %v", err)
		}
		l.submit(t, "first")
		synctest.Wait()
		for _, cmds := range [][]string{
			{half}, {half}, {"1"}, {"2", "3"}, {"4", "5"}, {"1", "2", "3", "4", "5"}, {"z"},
		} {
			l.submit(t, cmds...)
		}
		if _, err := l.Submit(t.Context(), 1, encode([]string{full}), format.Span{Flags: 1}); err != nil {
			t.Fatal(err)
		}
		last := l.submit(t, "last")
		close(release)
		values(t, last)
		want := [][]string{
			{"first"}, {half}, {half, "1", "2", "3"}, {"4", "5"}, {"1", "2", "3", "4", "5"}, {"z"}, {full}, {"last"},
		}
		if diff := cmp.Diff(want, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		for _, s := range l.attempts() {
			if len(s.data) > maxEntry {
				t.Errorf("an entry of %d bytes; the limit is %d", len(s.data), maxEntry)
			}
		}
	})
}

func TestQueuedCallIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		synctest.Wait()
		b, c := l.submit(t, "b"), l.submit(t, "c")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := b.Wait(ctx)
		if !errors.Is(err, ErrNotApplied) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the queued call ends with %v", err)
		}
		fails(t, b, ErrNotApplied) // again
		close(release)
		values(t, a)
		values(t, c)
		if diff := cmp.Diff([]string{"a", "c"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestEntryWithoutWaitersIsCommitted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, _ *Config) { l.propose = l.script(silent, silent, silent) })
		defer l.Close(nil)
		a := l.submit(t, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := a.Wait(ctx)
		if !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotApplied) {
			t.Errorf("the call that was sent ends with %v", err)
		}
		first, _ := values(t, l.submit(t, "b"))
		if first != 2 {
			t.Errorf("the next call has index %d, want 2", first)
		}
		if first, _, err := a.Wait(ctx); first != 1 || err != nil {
			t.Errorf("a later Wait finds index %d and %v, want 1", first, err)
		}
		if diff := cmp.Diff([][]string{{"a"}, {"a"}, {"a"}, {"a"}, {"b"}}, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}

func TestRequeuedCallWithoutWaitersIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(context.Context, []byte) error { <-release; return errBusy })
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := a.Wait(ctx); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the call ends with %v", err)
		}
		b := l.submit(t, "b")
		close(release)
		values(t, b)
		fails(t, a, ErrNotApplied, context.Canceled)
		if diff := cmp.Diff([]string{"b"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestFullQueueBlocksInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxQueue, cfg.MaxCommands = 3, 2
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		l.submit(t, "on its way")
		synctest.Wait()
		l.submit(t, "1", "2") // the queue has space for one command
		done := make(chan *Call)
		entered := make([]bool, 4)
		for i, cmds := range [][]string{{"3", "4", "5"}, {"given up"}, {"6"}} {
			go func() {
				ctx, cancel := t.Context(), func() {}
				if i == 1 {
					ctx, cancel = context.WithTimeout(ctx, time.Second)
				}
				defer cancel()
				c, err := l.Submit(ctx, 1, encode(cmds), format.Span{})
				if i == 1 && (!errors.Is(err, ErrNotApplied) || !errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("submit to a full queue: %v", err)
				} else if i != 1 && err != nil {
					t.Error(err)
				}
				entered[i] = true
				done <- c
			}()
			synctest.Wait()
			if entered[i] {
				t.Fatalf("call %d entered a queue without space for it or for one before it", i)
			}
		}
		if c := <-done; c != nil { // after a second
			t.Error("the call whose caller stopped waiting was queued")
		}
		close(release)
		values(t, <-done)
		values(t, <-done)
		want := [][]string{{"on its way"}, {"1", "2"}, {"3", "4", "5"}, {"6"}}
		if diff := cmp.Diff(want, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}

func TestStalledGroupFailsItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		errStalled := errors.New("no quorum")
		var isStalled atomic.Bool
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Stalled = func() error {
				if isStalled.Load() {
					return errStalled
				}
				return nil
			}
			cfg.MaxQueue = 1
			l.propose = answer(errBusy)
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		waiting := make(chan *Call)
		synctest.Wait() // a is back in the queue
		go func() { waiting <- l.submit(t, "waits for room") }()
		synctest.Wait()
		isStalled.Store(true)
		fails(t, a, errStalled, ErrNotApplied)
		fails(t, <-waiting, errStalled, ErrNotApplied)
		fails(t, l.submit(t, "b"), errStalled, ErrNotApplied)

		// A call whose entry may be in the log fails so, and the entry is committed later.
		l.then(answer(errTimeout))
		fails(t, l.submit(t, "c"), errStalled, ErrUnknownOutcome)
		fails(t, l.submit(t, "d"), errStalled, ErrNotApplied)
		isStalled.Store(false)
		l.then(nil)
		if first, _ := values(t, l.submit(t, "e")); first != 2 {
			t.Errorf("index %d, want 2", first)
		}
		if diff := cmp.Diff([]string{"c", "e"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestManyCallersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	l := newLocal(func(_ *local, cfg *Config) { cfg.MaxQueue, cfg.MaxCommands = 8, 16 })
	defer l.Close(nil)
	const callers, calls = 16, 100
	done := make(chan struct{})
	for caller := range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range calls {
				first, got := values(t, l.submit(t, fmt.Sprintf("%d/%d", caller, i), "x"))
				if first == 0 || len(got) != 2 {
					t.Errorf("index %d, results %q", first, got)
				}
			}
		}()
	}
	for range callers {
		<-done
	}
	next := make(map[string]int)
	for i, line := range l.machine.Lines {
		if i%2 == 1 {
			if line != "x" {
				t.Fatalf("a call was split by %q", line)
			}
			continue
		}
		caller, n, _ := strings.Cut(line, "/")
		if n != fmt.Sprint(next[caller]) {
			t.Fatalf("command %s of caller %s, want %d", n, caller, next[caller])
		}
		next[caller]++
	}
	if len(l.machine.Lines) != 2*callers*calls {
		t.Errorf("%d commands applied, want %d", len(l.machine.Lines), 2*callers*calls)
	}
}
