package bond

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReachability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Manager{cfg: Config{Seeds: []string{"a:1", "b:2"}}, reach: newReachability()}
		m.reach.seed("a:1", errors.New("refused"))
		m.reach.seed("b:2", errors.New("no route"))
		m.reach.seed("b:2", nil)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := m.Connected(short)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "seed a:1: refused") {
			t.Errorf("Connected = %v; want the deadline and the seed that refused", err)
		}
		if strings.Contains(err.Error(), "b:2") {
			t.Errorf("Connected = %v; it names a seed that was reached since", err)
		}

		got := make(chan error)
		go func() { got <- m.Connected(t.Context()) }()
		synctest.Wait()
		m.reach.connected(+1)
		if err := <-got; err != nil {
			t.Errorf("Connected = %v after a peer connected", err)
		}
		m.reach.connected(-1)
		go func() { got <- m.Connected(t.Context()) }()
		synctest.Wait()
		m.reach.value.End(ErrClosed)
		if err := <-got; !errors.Is(err, ErrClosed) {
			t.Errorf("Connected = %v after the manager closed, want %v", err, ErrClosed)
		}
	})
}

// TestOwnStallIsNoSilence has this process sleep longer than a peer may be silent. The bond ends only
// after enough PINGs.
func TestOwnStallIsNoSilence(t *testing.T) {
	h := Heartbeat{Interval: time.Second, MaxMissed: 3}
	start := time.Now()
	ms := &GroupBonds{group: GroupConfig{Heartbeat: h}}
	c := &conn{liveness: newLiveness(start), bonds: nil}
	if h.probes() != 2 {
		t.Fatalf("probes = %d, want 2", h.probes())
	}
	b := &bond{c: c, ms: ms, handshake: handshake{state: stateUp}}
	limit := c.lastFrame.Add(h.silence())
	for missed, silent := range map[int]bool{0: false, 1: false, 2: true} {
		c.missed = missed
		if got := b.silent(limit); got != silent {
			t.Errorf("after the time allowed and %d probes: silent = %v, want %v", missed, got, silent)
		}
	}
	if b.silent(limit.Add(-1)) {
		t.Error("silent before the time allowed has passed")
	}
}
