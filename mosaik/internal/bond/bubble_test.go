package bond

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// web is an in-memory network for tests in a synctest bubble.
type web struct {
	mu        sync.Mutex
	listeners map[string]*webListener
	dials     []dialled
	inFlight  int
	most      int // the largest number of dials in flight
}

// dialled is a dial to an address, with its time.
type dialled struct {
	addr string
	at   time.Time
}

var errNobody = errors.New("nobody listens there")

// dial connects to a listener. Dials to addresses in hole are never answered. Dials to other
// addresses without a listener fail at once.
func (w *web) dial(hole func(addr string) bool) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		w.mu.Lock()
		w.dials = append(w.dials, dialled{addr, time.Now()})
		w.inFlight++
		w.most = max(w.most, w.inFlight)
		l := w.listeners[addr]
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.inFlight--
		}()
		if hole != nil && hole(addr) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if l == nil {
			return nil, errNobody
		}
		here, there := net.Pipe()
		select {
		case l.conns <- webConn{there, addrOf("127.0.0.1:1")}:
			return webConn{here, addrOf(addr)}, nil
		case <-l.done:
			return nil, errNobody
		}
	}
}

// to returns the times of the dials to addresses for which ok is true, in order.
func (w *web) to(ok func(addr string) bool) (times []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.dials {
		if ok(d.addr) {
			times = append(times, d.at)
		}
	}
	return times
}

// load returns the number of dials in flight and the largest number so far.
func (w *web) load() (now, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inFlight, w.most
}

// others returns all dials except those to the address.
func (w *web) others(addr string) []dialled {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.dials), func(d dialled) bool { return d.addr == addr })
}

func (w *web) listen(addr string) *webListener {
	l := &webListener{w: w, addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listeners == nil {
		w.listeners = map[string]*webListener{}
	}
	w.listeners[addr] = l
	return l
}

// webListener is a net.Listener of a web.
type webListener struct {
	w     *web
	addr  string
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *webListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *webListener) Addr() net.Addr { return addrOf(l.addr) }
func (l *webListener) Close() error {
	l.once.Do(func() {
		l.w.mu.Lock()
		defer l.w.mu.Unlock()
		if l.w.listeners[l.addr] == l {
			delete(l.w.listeners, l.addr)
		}
		close(l.done)
	})
	return nil
}

// webConn is a connection with an address.
type webConn struct {
	net.Conn
	remote net.Addr
}

func (c webConn) RemoteAddr() net.Addr { return c.remote }

func addrOf(addr string) net.Addr {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		panic(err)
	}
	return a
}

// inBubble runs a test with a node on a web in a synctest bubble.
func inBubble(t *testing.T, hole func(addr string) bool, test func(t *testing.T, w *web, a *node)) {
	inBubbleWith(t, func(s *setup, w *web) { onWeb(w, "127.0.0.1:1", hole)(s) }, test)
}

// inBubbleWith is inBubble with another setup of the node.
func inBubbleWith(t *testing.T, change func(s *setup, w *web), test func(t *testing.T, w *web, a *node)) {
	bubble(t, func(t *testing.T) {
		w := &web{}
		a := startNode(t, 0, func(s *setup) { s.config.Redial = rate.Bounds{}; change(s, w) })
		test(t, w, a)
		a.stop()
		synctest.Wait()
	})
}

// bubble is [synctest.Test]. Under the race detector it uses one processor. Otherwise the
// runtime of Go 1.26 crashes when several goroutines of a bubble read expired timers at the
// same time: all timers of a bubble share one race context.
func bubble(t *testing.T, test func(t *testing.T)) {
	if underRace() {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, test)
}

// onWeb puts a node on the web.
func onWeb(w *web, addr string, hole func(addr string) bool) func(*setup) {
	return func(s *setup) {
		s.listener = w.listen(addr)
		s.dial = w.dial(hole)
		s.config.HandshakeTimeout = 0
	}
}

// madeUp returns the identity of a peer that does not exist.
func madeUp(n int) link.Identity {
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(seed, uint64(n)+1)
	id, err := link.NewIdentity(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		panic(err)
	}
	return id
}

// flood puts n made-up entries with the addresses that addr returns into the node's catalog.
func (a *node) flood(n int, version uint64, addr func(peer, i int) string, groups ...sm.Digest) {
	a.t.Helper()
	for peer := range n {
		e := discovery.Entry{Network: network, Version: version, Groups: groups}
		for i := range discovery.MaxAddrs {
			e.Addrs = append(e.Addrs, addr(peer, i))
		}
		if !a.catalog.Put(signEntry(a.t, madeUp(peer), e)) {
			a.t.Fatalf("the catalog does not accept entry %d", peer)
		}
	}
}

// anywhere returns a different loopback address for each peer and i.
func anywhere(peer, i int) string {
	return fmt.Sprintf("127.%d.%d.%d:7", 1+peer>>8, peer&0xff, 1+i)
}

// wantRate fails the test if the times exceed the burst and the rate per second in any interval.
func wantRate(t *testing.T, what string, times []time.Time, burst, perSecond float64) {
	t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	if len(times) == 0 {
		return
	}
	b := rate.NewBucket(burst+0.01, perSecond, times[0]) // two sums of fractions differ in their last digits
	for i, at := range times {
		if wait := b.Wait(at); wait > 0 {
			t.Errorf("%s: dial %d of %d is %v too early for a burst of %v and %v/s", what, i+1, len(times), wait, burst, perSecond)
			return
		}
		b.Take(1, at)
	}
}
