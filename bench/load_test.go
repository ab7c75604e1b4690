package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestLoadCountsCalls(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	l := newLoad(4, 40*time.Millisecond, func(ctx context.Context) error {
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		return pause(ctx, time.Millisecond)
	})
	var begun, ended bool
	s, err := l.run(t.Context(), func() (func() error, error) {
		begun = true
		return func() error { ended = true; return nil }, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.PerSecond <= 0 || s.PerSecond > 5000 || s.P50 < time.Millisecond*99/100 {
		t.Errorf("4 callers of 1 ms calls: %+v", s)
	}
	if most.Load() > 4 || running.Load() != 0 {
		t.Errorf("%d calls ran at once, %d still run; want at most 4, and 0", most.Load(), running.Load())
	}
	if !begun || !ended {
		t.Errorf("the measured time was begun: %v, ended: %v", begun, ended)
	}
}

// TestLoadPipelines checks that a caller has a window of commands outstanding,
// and waits for the oldest.
func TestLoadPipelines(t *testing.T) {
	t.Parallel()
	var outstanding, most, next atomic.Int32
	var disorder atomic.Bool
	var fed int32
	l := newPipeline(1, 20*time.Millisecond, func(context.Context) (call, error) {
		n := fed
		fed++
		most.Store(max(most.Load(), outstanding.Add(1)))
		return func(ctx context.Context) error {
			outstanding.Add(-1)
			if !next.CompareAndSwap(n, n+1) {
				disorder.Store(true)
			}
			return pause(ctx, 10*time.Microsecond)
		}, nil
	})
	s, err := l.run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.PerSecond <= 0 || most.Load() != window || outstanding.Load() != 0 || disorder.Load() {
		t.Errorf("at most %d were outstanding, %d still are; want %d and 0, in order: %+v", most.Load(), outstanding.Load(), window, s)
	}
}

func TestLoadEndsWithFailedCall(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var calls atomic.Int32
	l := newLoad(4, time.Hour, func(ctx context.Context) error {
		if calls.Add(1) == 3 {
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if _, err := l.run(t.Context(), nil); !errors.Is(err, broken) {
		t.Errorf("run returned %v, want the call's error", err)
	}
}

// TestLoadCutsLostCalls checks that a call which is never answered holds up
// nobody for ever, and is told of.
func TestLoadCutsLostCalls(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	l := newLoad(4, 10*time.Millisecond, func(ctx context.Context) error {
		if calls.Add(1) <= 2 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	s, err := l.run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Unanswered != 2 {
		t.Errorf("%d calls were unanswered, want 2: %+v", s.Unanswered, s)
	}
}
