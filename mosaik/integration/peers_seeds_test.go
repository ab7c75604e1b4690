package integration_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
)

func TestUnreachableSeed(t *testing.T) {
	t.Parallel()
	// A port that was given back: nobody listens there.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := ln.Addr().String()
	ln.Close()
	other := openNetwork(t, mosaik.NetworkID("another"))
	id, book := mosaik.NetworkID("lonely"), newLogbook()
	n := openNetwork(t, id, mosaik.WithSeeds(dead, other.Addr().String()), book.option())
	for _, seed := range []string{dead, other.Addr().String()} {
		if err := book.wait(soon(t), "cannot reach seed", seed); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errShort)
	defer cancel()
	<-ctx.Done()
	err = n.Connected(ctx)
	wantMessage(t, "connected", err, "mosaik: connect to network "+id.Short()+": ", "no peer reached",
		"seed "+dead, "refused", "seed "+other.Addr().String(), "101, other network")
	wantError(t, "connected", err, errShort)
}

func TestPeersAreConnectedBySeedsAlone(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("seeds")
	a := openNetwork(t, id)
	b := openNetwork(t, id, mosaik.WithSeeds(a.Addr().String()))
	for _, n := range []*mosaik.Network{a, b} {
		if err := n.Connected(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.ID(); got != id {
		t.Errorf("the network's id is %s, want %s", got, id)
	}
}
