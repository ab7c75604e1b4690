package bond

import (
	"context"
	"net"
	"slices"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

// TestProbeAddresses probes an address of each kind.
func TestProbeAddresses(t *testing.T) {
	t.Parallel()
	a, b, c := startNode(t, 0, nil), startNode(t, 1, nil), startNode(t, 2, nil)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	vacant := closed.Addr().String()
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel() // an address without an answer by then counts as silent
		if conn, err := silent.Accept(); err == nil {
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 1))
		}
	}()
	for addr, want := range map[string]Answer{
		b.addr():               SamePeer,
		c.addr():               AnotherPeer,
		a.addr():               AnotherPeer, // this process itself
		vacant:                 Refused,
		"0.0.0.0:1":            NoAnswer, // never dialled
		"name.invalid:1":       NoAnswer,
		silent.Addr().String(): NoAnswer,
	} {
		if got := a.manager.Probe(ctx, b.peer(), []string{addr}); !slices.Equal(got, []Answer{want}) {
			t.Errorf("%s: the answer is %d, want %d", addr, got, want)
		}
		if ctx.Err() != nil {
			ctx = t.Context()
		}
	}
	if got, want := a.manager.Probe(t.Context(), b.peer(), []string{vacant, b.addr()}), []Answer{Refused, SamePeer}; !slices.Equal(got, want) {
		t.Errorf("the answers are %d, want %d", got, want)
	}
}

// TestAdvertisedAddrs distinguishes an address that two peers advertise at the same time from
// one that a peer takes over from another.
func TestAdvertisedAddrs(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	start := func(n int) *node {
		started := startNode(t, n, seeds(a))
		a.awaitEntry(started.peer(), anyEntry)
		a.awaitConn(started.peer(), func(c *conn) bool { return c.selected })
		return started
	}
	b := start(1)
	w := a.manager.AdvertisedAddrs(b.peer())
	if !slices.Equal(w.Addrs, []string{b.addr()}) || w.Shared {
		t.Fatalf("whereabouts of a peer that is here: %+v", w)
	}
	if w := a.manager.AdvertisedAddrs(identity(t, 5).Peer()); len(w.Addrs) != 0 || w.Shared {
		t.Errorf("whereabouts of a peer that is not known: %+v", w)
	}

	// Another connected peer advertises the same address, as behind a proxy.
	addr := b.addr()
	claim := func(n *node) {
		if _, err := n.catalog.Update(func(e *discovery.Entry) { e.Addrs = append(e.Addrs, addr) }); err != nil {
			t.Fatal(err)
		}
		a.awaitEntry(n.peer(), func(s discovery.Signed) bool { return slices.Contains(s.Addrs, addr) })
	}
	c := start(2)
	claim(c)
	a.eventually("b was heard from after c came", func() bool {
		return a.manager.peers[c.peer()].current.since.Before(a.manager.peers[b.peer()].current.lastFrame)
	})
	b.crash()
	a.eventually("b is gone", func() bool { return a.manager.peers[b.peer()] == nil || a.manager.peers[b.peer()].current == nil })
	if w := a.manager.AdvertisedAddrs(b.peer()); !w.Shared {
		t.Errorf("whereabouts behind a proxy: %+v", w)
	}

	// A successor appears after the peer has left.
	c.crash()
	a.eventually("c is gone", func() bool { return a.manager.peers[c.peer()] == nil || a.manager.peers[c.peer()].current == nil })
	d := start(3)
	claim(d)
	if w := a.manager.AdvertisedAddrs(b.peer()); w.Shared || !slices.Contains(w.Addrs, addr) {
		t.Errorf("whereabouts with a successor: %+v", w)
	}
}
