package session

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

func TestIdleProposerSendsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		started := time.Now()
		for i := range 3 {
			first, got := values(t, l.submit(t, "a", "b"))
			if first != sm.Index(2*i+1) || !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("call %d: index %d, results %q", i, first, got)
			}
		}
		if took := time.Since(started); took != 0 {
			t.Errorf("three calls waited for %v", took)
		}
	})
}

func TestOutcomeEndsThePause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var first []byte
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Retry, cfg.MaxRetry = time.Hour, time.Hour
			l.propose = l.script(
				func(_ context.Context, data []byte) error { first = bytes.Clone(data); return errTimeout },
			)
		})
		defer l.Close(nil)
		c := l.submit(t, "a")
		synctest.Wait()
		started := time.Now()
		_ = l.apply(first)
		values(t, c)
		if took := time.Since(started); took != 0 {
			t.Errorf("the outcome waited for %v", took)
		}
		if n := len(l.attempts()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

func TestLeaderChangeEndsThePause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		changed := make(chan struct{})
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Retry, cfg.MaxRetry = time.Hour, time.Hour
			cfg.Leader = func() <-chan struct{} { return changed }
			l.propose = l.script(answer(errBusy))
		})
		defer l.Close(nil)
		c := l.submit(t, "a")
		synctest.Wait()
		started := time.Now()
		close(changed)
		values(t, c)
		if took := time.Since(started); took != 0 {
			t.Errorf("the next attempt waited for %v", took)
		}
	})
}

func TestPausesGrowToTheirBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Retry, cfg.MaxRetry = 10*time.Millisecond, 35*time.Millisecond
			busy := answer(errBusy)
			l.propose = l.script(busy, busy, busy, busy, l.applyEntry, busy)
		})
		defer l.Close(nil)
		values(t, l.submit(t, "a"))
		values(t, l.submit(t, "b"))
		var pauses []time.Duration
		attempts := l.attempts()
		for i := range attempts[1:] {
			pauses = append(pauses, attempts[i+1].at.Sub(attempts[i].at)/time.Millisecond)
		}
		if diff := cmp.Diff([]time.Duration{10, 20, 35, 35, 0, 10}, pauses); diff != "" {
			t.Errorf("pauses in ms (-want +got):\n%s", diff)
		}
	})
}

func TestAttemptIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Attempt = 3 * time.Second
			l.propose = l.script(silent)
		})
		defer l.Close(nil)
		started := time.Now()
		values(t, l.submit(t, "a"))
		if took := time.Since(started); took != 3*time.Second+DefaultRetry {
			t.Errorf("the call took %v, want one attempt and one pause", took)
		}
	})
}

func TestCloseFailsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cause := errors.New("superseded")
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxQueue = 1
			l.propose = silent
		})
		a := l.submit(t, "a")
		synctest.Wait()
		b := l.submit(t, "b")
		waiting := make(chan *Call)
		go func() { waiting <- l.submit(t, "waits for room") }()
		synctest.Wait()
		l.Close(cause)
		l.Close(nil)
		fails(t, a, cause, ErrUnknownOutcome)
		fails(t, b, cause, ErrNotApplied)
		fails(t, <-waiting, cause, ErrNotApplied)
		if _, err := l.Submit(t.Context(), 1, encode([]string{"late"}), format.Span{}); !errors.Is(err, cause) || !errors.Is(err, ErrNotApplied) {
			t.Errorf("submit after close: %v", err)
		}
		if n := len(l.attempts()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

func TestCloseWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ended atomic.Bool
		l := newLocal(func(l *local, _ *Config) {
			l.propose = func(ctx context.Context, _ []byte) error {
				<-ctx.Done()
				time.Sleep(time.Second) // bubble time
				ended.Store(true)
				return ctx.Err()
			}
		})
		l.submit(t, "a")
		synctest.Wait()
		l.Close(nil)
		if !ended.Load() {
			t.Error("an attempt runs after Close")
		}
	})
}

func TestCloseOfAnIdleProposer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		l.Close(nil)
		l.Close(nil)
		if _, err := l.Submit(t.Context(), 1, encode([]string{"late"}), format.Span{}); !errors.Is(err, ErrClosed) {
			t.Errorf("submit after close: %v", err)
		}
	})
}

func TestOutcomeBeforeCloseIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, _ *Config) {
			l.propose = func(ctx context.Context, data []byte) error { _ = l.apply(data); return silent(ctx, data) }
		})
		a := l.submit(t, "a")
		synctest.Wait()
		l.Close(nil)
		if first, _ := values(t, a); first != 1 {
			t.Errorf("index %d, want 1", first)
		}
	})
}

func TestHeaderOfEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var draws uint64
		l := newLocal(func(_ *local, cfg *Config) {
			cfg.Clock = func() time.Time { return time.Unix(0, 77) }
			cfg.Rand = func() uint64 { draws++; return draws }
		})
		defer l.Close(nil)
		for level := uint32(2); level <= 5; level++ {
			l.raise(level)
		}
		c, err := l.Submit(t.Context(), 5, encode([]string{"a"}), format.Span{})
		if err != nil {
			t.Fatal(err)
		}
		values(t, c)
		e, err := format.Parse([]byte(l.attempts()[0].data))
		if err != nil {
			t.Fatal(err)
		}
		want := format.Header{
			Kind: format.KindCommands, Level: 5, Session: format.SessionID{0: 1, 8: 2}, Sequence: 1, Time: 77, Seed: 4,
		}
		if diff := cmp.Diff(want, e.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
	})
}
