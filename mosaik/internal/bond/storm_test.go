package bond

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// TestHonestPeersConnectInAStorm sends a node the entries of made-up peers on one connection, and
// renewed ones on others. Each has 16 loopback addresses, of which half do not answer. Peers of the
// node's group connect meanwhile, and one that only the node can dial.
func TestHonestPeersConnectInAStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("signing thousands of entries takes seconds")
	}
	var mu sync.Mutex
	inFlight, most := 0, 0
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		inFlight += n
		most = max(most, inFlight)
	}
	honest := map[string]bool{}
	a := startNode(t, 0, func(s *setup) {
		s.config.HandshakeTimeout = patience / 3
		s.config.Redial = rate.Bounds{}
		s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			known := honest[addr]
			mu.Unlock()
			if known {
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			count(+1)
			defer count(-1)
			if addr[len(addr)-1]%2 == 0 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, errNobody
		}
	})
	rec := newRecorder()
	a.join(testGroup(rec, "of a"))
	before := runtime.NumGoroutine()
	storm := func(version uint64) {
		entries := make([]discovery.Signed, madeUpPeers()/8)
		for peer := range entries {
			e := discovery.Entry{Network: network, Version: version, Groups: []sm.Digest{testGroup(nil, "").ID}}
			for i := range discovery.MaxAddrs {
				e.Addrs = append(e.Addrs, anywhere(peer, i)[:len(anywhere(peer, i))-1]+string(rune('1'+i%8)))
			}
			entries[peer] = signEntry(t, madeUp(peer), e)
		}
		flood := connectRaw(t, a, 10+int(version), sm.ID("some group"))
		defer flood.conn.Close()
		flood.sendEntries(entries...)
		flood.send(kindPing, appendNumber(nil, 42))
		for kind := uint8(0); kind != kindPong; { // entries of the others may come before
			kind, _ = flood.read()
		}
	}
	storm(1)
	for i := 1; i <= 4; i++ {
		b := startNode(t, i, func(s *setup) { s.config.Seeds = []string{a.addr()} })
		b.join(testGroup(newRecorder(), "of b"))
		rec.await(t, up(b, "of b"))
		mu.Lock()
		honest[b.addr()] = true
		mu.Unlock()
		storm(uint64(1 + i))
		b.crash()
		rec.await(t, down(b, consensus.CodeUnexpectedClose))
		again := startNode(t, i, func(s *setup) { s.listen = b.addr() }) // it knows no peer: a has to dial
		again.join(testGroup(newRecorder(), "of b again"))
		rec.await(t, up(again, "of b again"))
	}
	mu.Lock()
	defer mu.Unlock()
	if most > dialler.UntrustedLimits.Max {
		t.Errorf("%d dials at a time to made-up peers, want at most %d", most, dialler.UntrustedLimits.Max)
	}
	// Each of the four nodes has a dozen goroutines, as has a for each.
	if got, limit := runtime.NumGoroutine()-before, 4*dialler.UntrustedLimits.Max+4*30; got > limit {
		t.Errorf("%d more goroutines, want at most %d", got, limit)
	}
}
