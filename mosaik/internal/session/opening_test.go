package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestAttemptsBelowTheRoundTrip limits attempts to less than the round-trip time. The session must
// still open, and commands must still receive their outcomes.
func TestAttemptsBelowTheRoundTrip(t *testing.T) {
	const trip = 700 * time.Millisecond
	for _, limit := range []time.Duration{time.Millisecond, 100 * time.Millisecond, trip - 1, trip, time.Second} {
		t.Run(limit.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { callOverSlowLink(t, trip, limit) })
		})
	}
}

func callOverSlowLink(t *testing.T, trip, limit time.Duration) {
	slow := func(l *local) func(context.Context, []byte) error {
		return func(ctx context.Context, data []byte) error {
			applied := make(chan error, 1)
			time.AfterFunc(trip, func() { applied <- l.apply(data) })
			select {
			case err := <-applied:
				return err
			case <-ctx.Done():
				return errTimeout
			}
		}
	}
	l := newLocal(func(l *local, cfg *Config) {
		cfg.Attempt = limit
		l.session, l.propose = slow(l), slow(l)
	})
	started := time.Now()
	values(t, l.submit(t, "a"))
	values(t, l.submit(t, "b"))
	if took := time.Since(started); took > 20*trip {
		t.Errorf("attempts of %v: two calls took %v", limit, took)
	}
	l.Close(nil)
	time.Sleep(time.Minute) // for entries that arrive late
}

// TestOpeningEndsWithTheLeader changes the leader during a long attempt to open a session, which
// the lost leader may never answer. The attempt must end.
func TestOpeningEndsWithTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		changed, attempts := make(chan struct{}), 0
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Attempt = time.Second
			cfg.Leader = func() <-chan struct{} {
				l.mu.Lock()
				defer l.mu.Unlock()
				return changed
			}
			l.session = func(ctx context.Context, data []byte) error {
				l.mu.Lock()
				attempts++
				answers := attempts > 6
				l.mu.Unlock()
				if answers {
					return l.apply(data)
				}
				<-ctx.Done()
				return errTimeout
			}
		})
		defer l.Close(nil)
		c := l.submit(t, "a")
		time.Sleep(40 * time.Second)
		synctest.Wait()
		l.mu.Lock()
		if attempts != 6 { // of 1, 2, 4, 8, 16 and 32 seconds
			t.Errorf("%d attempts in 40 s, want 6", attempts)
		}
		close(changed)
		changed = make(chan struct{})
		l.mu.Unlock()
		at := time.Now()
		values(t, c)
		if took := time.Since(at); took > time.Second {
			t.Errorf("it took %v after the leader changed", took)
		}
	})
}
