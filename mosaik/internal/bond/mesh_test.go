package bond

import (
	"context"
	"net"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
)

// TestMeshFormsWithFewDials has 60 nodes discover each other through one seed. Every pair connects,
// and few connections are opened that are not selected.
func TestMeshFormsWithFewDials(t *testing.T) {
	if testing.Short() {
		t.Skip("1,770 connections take seconds")
	}
	n := 60
	if underRace() {
		n = 30 // a handshake takes much longer
	}
	var dials atomic.Int64
	count := func(s *setup) {
		s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		s.config.Redial = rate.Bounds{} // the defaults
	}
	seed := startNode(t, 0, count)
	nodes := []*node{seed}
	for i := 1; i < n; i++ {
		nodes = append(nodes, startNode(t, i, func(s *setup) { count(s); seeds(seed)(s) }))
	}
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b {
				a.awaitEntry(b.peer(), anyEntry)
				a.awaitConnFor(10*patience, b.peer(), anyConn) // on a busy machine some back off
			}
		}
	}
	// On a busy machine heartbeats are late: connections end and are opened again.
	var conns int64
	for _, a := range nodes {
		a.manager.mu.Lock()
		conns += int64(a.manager.last.sel)
		a.manager.mu.Unlock()
	}
	pairs, got := int64(n*(n-1)/2), dials.Load()
	t.Logf("%d dials for %d connections between %d pairs", got, conns, pairs)
	if conns < pairs || got > 2*conns {
		t.Errorf("%d dials for %d connections between %d pairs, want at most 2 for each", got, conns, pairs)
	}
}

// underRace reports whether this test runs under the race detector.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
