package bond

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/internal/link/dnstest"
	"github.com/mosaik-go/mosaik/sm"
)

// TestSeedThatIsThisPeer has a seed lead to the peer itself before, after or between other peers:
// as one address of a load balancer, as a name whose only address changes, and as a name that has
// the peer's own address as well. Each of the other peers is discovered.
func TestSeedThatIsThisPeer(t *testing.T) {
	t.Parallel()
	const self, other = false, true
	for name, turns := range map[string][]bool{
		"self":               {self},
		"self, other":        {self, other},
		"self for long":      {self, self, self, self, self, self, self, other},
		"other, self":        {other, self},
		"other, self, other": {other, self, self, other},
		"in turns":           {self, other, self, other, self, other},
	} {
		for kind, place := range map[string]func(t *testing.T) *place{
			"load balancer": balancedPlace,
			"name":          namedPlace,
			"name of both":  sharedPlace,
		} {
			t.Run(kind+": "+name, func(t *testing.T) {
				t.Parallel()
				testSeedThatIsThisPeer(t, place(t), turns)
			})
		}
	}
}

func testSeedThatIsThisPeer(t *testing.T, p *place, turns []bool) {
	logs := newLogs()
	a := startNode(t, 0, func(s *setup) {
		p.on(s)
		s.listen = "127.0.0.1:" + p.port
		s.config.Logger = slog.New(logs)
	})
	others := 0
	for _, other := range turns {
		if !other {
			p.lead("127.0.0.1")
			p.await(t, 3)
			continue
		}
		others++
		b := startNode(t, others, func(s *setup) { s.listen = "127.0.0.2:" + p.port })
		p.lead("127.0.0.2")
		a.awaitPeer(b.peer())
		p.lead("127.0.0.1")
		b.crash()
	}
	if got := a.catalog.Len(); got != others {
		t.Errorf("%d peers were met, want %d", got, others)
	}
	if others > 0 {
		return
	}
	for _, line := range logs.lines() {
		if strings.HasPrefix(line, "cannot reach seed") {
			t.Errorf("logged %q of a seed that is the peer itself", line)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantIs(t, a.manager.Connected(ctx), link.ErrSelf)
}

// awaitPeer waits until the peer is known and connected.
func (n *node) awaitPeer(peer sm.PeerID) {
	n.t.Helper()
	n.awaitEntry(peer, anyEntry)
	n.awaitConn(peer, anyConn)
}

// place is a seed that leads to one loopback address at a time.
type place struct {
	port string
	on   func(*setup)

	mu   sync.Mutex
	host string
	used chan struct{}
}

func newPlace(t *testing.T) *place {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return &place{port: port, host: "127.0.0.1", used: make(chan struct{}, 1000)}
}

func (p *place) lead(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.host = host
}

// now returns the address to which the place leads, and counts the call.
func (p *place) now() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.used <- struct{}{}:
	default:
	}
	return p.host
}

// await waits for n more calls of now.
func (p *place) await(t *testing.T, n int) {
	t.Helper()
	for len(p.used) > 0 {
		<-p.used
	}
	for range n {
		select {
		case <-p.used:
		case <-time.After(patience):
			t.Fatal("the seed was not tried again in time")
		}
	}
}

// balancedPlace is a load balancer at a literal address.
func balancedPlace(t *testing.T) *place {
	p := newPlace(t)
	p.on = func(s *setup) {
		s.config.Seeds = []string{"127.0.0.9:" + p.port}
		s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasPrefix(addr, "127.0.0.9:") {
				addr = net.JoinHostPort(p.now(), p.port)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	return p
}

// namedPlace is a name with one address.
func namedPlace(t *testing.T) *place {
	p := newPlace(t)
	p.on = func(s *setup) {
		s.config.Seeds = []string{"seed.example:" + p.port}
		s.resolver = dnstest.Resolver(func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(p.now())} })
	}
	return p
}

// sharedPlace is a name that has the peer's own address and another one, at which a peer may be.
func sharedPlace(t *testing.T) *place {
	p := newPlace(t)
	p.on = func(s *setup) {
		s.config.Seeds = []string{"seed.example:" + p.port}
		s.resolver = dnstest.Resolver(func(string) []netip.Addr {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(p.now())}
		})
	}
	return p
}

// TestAllAddressesOfASeed has a name with the address of the peer itself, addresses without a peer,
// and addresses of peers that do not know each other. Each of these is discovered.
func TestAllAddressesOfASeed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var found []*node
	hosts := []string{"127.0.0.8", "127.0.0.1", "127.0.0.7"}
	for i, host := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		found = append(found, startNode(t, i+1, func(s *setup) { s.listen = net.JoinHostPort(host, p.port) }))
		hosts = append(hosts, host)
	}
	a := startNode(t, 0, func(s *setup) {
		s.listen = "127.0.0.1:" + p.port
		s.config.Seeds = []string{"seed.example:" + p.port}
		s.resolver = dnstest.Resolver(func(string) (ips []netip.Addr) {
			for _, host := range hosts {
				ips = append(ips, netip.MustParseAddr(host))
			}
			return ips
		})
	})
	for _, b := range found {
		a.awaitPeer(b.peer())
	}
}

// resolverInBubble is [dnstest.Resolver] for a bubble. The first lookup of a process makes a channel
// that belongs to the bubble of the lookup, so one lookup is done before the bubble.
func resolverInBubble(t *testing.T, lookup func(string) []netip.Addr) *net.Resolver {
	t.Helper()
	if _, err := dnstest.Resolver(lookup).LookupNetIP(t.Context(), "ip", "seed.example"); err != nil {
		t.Fatal(err)
	}
	return dnstest.Resolver(lookup)
}

// TestSeedAddressesAreDialledStaggered has the first addresses of a name not answer. The dialer
// resolves the name as well.
func TestSeedAddressesAreDialledStaggered(t *testing.T) {
	hole := func(addr string) bool { return addr == "127.0.0.8:2" || addr == "127.0.0.9:2" }
	resolver := resolverInBubble(t, func(string) (ips []netip.Addr) {
		for _, ip := range []string{"127.0.0.8", "127.0.0.9", "127.0.0.1"} {
			ips = append(ips, netip.MustParseAddr(ip))
		}
		return ips
	})
	bubble(t, func(t *testing.T) {
		w := &web{}
		begin := time.Now()
		a := startNode(t, 0, func(s *setup) {
			onWeb(w, "127.0.0.1:1", hole)(s)
			s.config.Redial = rate.Bounds{}
			s.config.Seeds = []string{"seed.example:2"}
			s.resolver = resolver
		})
		b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", everywhere)(s) })
		a.awaitPeer(b.peer())
		for i, want := range []string{"seed.example:2", "127.0.0.8:2", "127.0.0.9:2", "127.0.0.1:2"} {
			at := time.Duration(max(0, i-1)) * dialler.Stagger
			if d := w.dials[i]; d.addr != want || d.at.Sub(begin) != at {
				t.Errorf("dial %d was to %s after %v, want %s after %v", i, d.addr, d.at.Sub(begin), want, at)
			}
		}
		b.stop()
		a.stop()
		synctest.Wait()
	})
}

// TestSettledSeeds counts the dials and lookups of seeds in an hour by a peer that is connected. One
// of its seeds is its own address. Then the others end, and another peer must be discovered soon.
func TestSettledSeeds(t *testing.T) {
	var lookups atomic.Int32
	resolver := resolverInBubble(t, func(string) []netip.Addr {
		lookups.Add(1)
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	bubble(t, func(t *testing.T) {
		w := &web{}
		a := startNode(t, 0, func(s *setup) {
			onWeb(w, "127.0.0.1:1", nil)(s)
			s.config.Redial = rate.Bounds{}
			s.config.Seeds = []string{"seed.example:1", "127.0.0.1:1", "127.0.0.1:2"}
			s.resolver = resolver
		})
		a.link.Serve()
		b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s) })
		a.awaitPeer(b.peer())
		before := len(w.to(everywhere))
		lookups.Store(0)
		time.Sleep(time.Hour)
		// Every round dials the name, its address and the peer's own.
		rounds := 2 * float64(time.Hour/settledSeedPause)
		if got := float64(len(w.to(everywhere)) - before); got > 3*(rounds+10) || got < rounds/2 {
			t.Errorf("%.0f dials in an hour, want about %.0f to %.0f", got, 3*rounds/2, 3*rounds)
		}
		if got := float64(lookups.Load()); got > 2*(rounds+10) { // for IPv4 and IPv6
			t.Errorf("%.0f lookups in an hour, want at most %.0f", got, 2*rounds)
		}
		b.crash()
		c := startNode(t, 2, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s) })
		gone := time.Now()
		a.awaitPeer(c.peer())
		if took := time.Since(gone); took > 2*maxSeedPause {
			t.Errorf("another peer at the seed is met after %v, want at most %v", took, 2*maxSeedPause)
		}
		c.stop()
		a.stop()
		synctest.Wait()
	})
}

// TestSeedAlarm has a seed fail for a short time, as during the start of a deployment, for a long
// time, or with a refusal that a retry cannot change.
func TestSeedAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		failing time.Duration
		err     error
		want    slog.Level
	}{
		"for 9 s":  {9 * time.Second, errNobody, slog.LevelInfo},
		"for 13 s": {13 * time.Second, errNobody, slog.LevelWarn},
		"for good": {time.Second, &consensus.RefusedError{Code: consensus.CodeOtherNetwork}, slog.LevelWarn},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := &web{}
				logs := newLogs()
				a := startNode(t, 0, func(s *setup) {
					onWeb(w, "127.0.0.1:1", nil)(s)
					s.config.Redial = rate.Bounds{}
					s.config.Seeds = []string{"127.0.0.1:2"}
					s.config.Logger = slog.New(logs)
					s.dial = func(context.Context, string, string) (net.Conn, error) { return nil, c.err }
				})
				time.Sleep(c.failing)
				a.stop()
				level := slog.LevelDebug
				for _, line := range logs.lines() {
					if strings.Contains(line, "cannot reach seed") {
						level = max(level, levelOf(line))
					}
				}
				if level != c.want {
					t.Errorf("the highest level is %v, want %v:\n%s", level, c.want, strings.Join(logs.lines(), "\n"))
				}
			})
		})
	}
}

// levelOf returns the level of a log line.
func levelOf(line string) slog.Level {
	for _, l := range []slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo} {
		if strings.HasSuffix(line, " level="+l.String()) {
			return l
		}
	}
	return slog.LevelDebug
}
