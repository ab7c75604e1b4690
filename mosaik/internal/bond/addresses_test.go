package bond

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/internal/link/dnstest"
	"github.com/mosaik-go/mosaik/sm"
)

// trap is a listener on a loopback address that counts connections.
type trap struct {
	net.Listener
	conns atomic.Int32
}

func setTrap(t *testing.T) *trap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &trap{Listener: l}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tr.conns.Add(1)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return tr
}

func (tr *trap) port() int { return tr.Addr().(*net.TCPAddr).Port }

// dialCounts returns the node's dials by outcome.
func (n *node) dialCounts() map[link.Outcome]int64 {
	counts := map[link.Outcome]int64{}
	n.link.Counters().EachDialled(func(o link.Outcome, count int64) { counts[o] = count })
	return counts
}

// TestForbiddenAddressesAreNotDialled has a member without a loopback address in its entry
// receive entries with loopback and other addresses, as IP addresses and as names. It keeps the
// entries, logs why it does not dial, and connects to nothing.
func TestForbiddenAddressesAreNotDialled(t *testing.T) {
	t.Parallel()
	tr := setTrap(t)
	for name, c := range map[string]struct{ host, reason string }{
		"loopback":    {"127.0.0.1", "a loopback address"},
		"IPv6":        {"[::1]", "a loopback address"},
		"mapped":      {"[::ffff:127.0.0.1]", "a loopback address"},
		"link-local":  {"169.254.1.1", "a link-local address"},
		"unspecified": {"0.0.0.0", "an unspecified address"},
		"multicast":   {"224.0.0.1", "a multicast or broadcast address"},
		"a name":      {"rebound.example", "a loopback address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := newLogs()
			a := startNode(t, 0, func(s *setup) {
				s.noAddr = true
				s.config.Logger = slog.New(logs)
				s.resolver = dnstest.Resolver(func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
			})
			r := connectRaw(t, a, 1)
			addr := fmt.Sprintf("%s:%d", c.host, tr.port())
			entry := signEntry(t, identity(t, 2), discovery.Entry{Network: network, Version: 1, Addrs: []string{addr}})
			r.sendEntries(entry)
			r.sync()
			if got, known := a.catalog.Get(entry.Peer); !known || !slices.Equal(got.Addrs, entry.Addrs) {
				t.Errorf("the entry is known: %v, with addresses %v", known, got.Addrs)
			}
			line := logs.await(t, "cannot reach peer")
			for _, want := range []string{entry.Peer.Short(), c.reason} {
				if !strings.Contains(line, want) {
					t.Errorf("logged %q, want %q in it", line, want)
				}
			}
			if _, err := a.manager.Dial(t.Context(), entry.Peer, link.Raft); !errors.Is(err, link.ErrForbidden) {
				t.Errorf("Dial for another protocol: error %v, want %v", err, link.ErrForbidden)
			}
			a.stop()
			if counts := a.dialCounts(); counts[link.DialForbidden] < 2 || counts[link.DialConnected]+counts[link.DialFailed] > 0 {
				t.Errorf("dials %v, want forbidden ones only", counts)
			}
		})
	}
	t.Cleanup(func() {
		if n := tr.conns.Load(); n > 0 {
			t.Errorf("%d connections were opened to a forbidden address", n)
		}
	})
}

var errFilter = errors.New("not in our rack")

// TestDialFilter has a filter allow and forbid the address of a peer, an IP address and a name,
// and panic.
func TestDialFilter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host   string
		filter func() error
		reason string // "" for none
	}{
		"allowed":         {"127.0.0.1", func() error { return nil }, ""},
		"allowed by name": {"b.example", func() error { return nil }, ""},
		"refused":         {"127.0.0.1", func() error { return errFilter }, errFilter.Error()},
		"refused by name": {"b.example", func() error { return errFilter }, errFilter.Error()},
		"panics":          {"127.0.0.1", func() error { panic("no rack") }, "the filter panicked: no rack"},
		"exits":           {"127.0.0.1", func() error { runtime.Goexit(); return nil }, "runtime.Goexit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startNode(t, 1, nil)
			port := b.link.Addr().(*net.TCPAddr).Port
			calls := make(chan string, 1000)
			logs := newLogs()
			a := startNode(t, 0, func(s *setup) {
				s.config.Logger = slog.New(logs)
				s.resolver = dnstest.Resolver(func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
				s.config.DialFilter = func(peer sm.PeerID, addr netip.AddrPort) error {
					calls <- fmt.Sprint(peer.Short(), " ", addr)
					return c.filter()
				}
			})
			if _, err := b.catalog.Update(func(e *discovery.Entry) { e.Addrs = []string{fmt.Sprintf("%s:%d", c.host, port)} }); err != nil {
				t.Fatal(err)
			}
			a.catalog.Put(b.catalog.Self())
			want := fmt.Sprint(b.peer().Short(), " ", b.addr())
			if c.reason == "" {
				a.awaitConn(b.peer(), anyConn)
				if got := next(t, calls); got != want {
					t.Errorf("the filter was asked about %s, want %s", got, want)
				}
				return
			}
			line := logs.await(t, "cannot reach peer")
			for _, want := range []string{b.peer().Short(), b.addr(), c.reason} {
				if !strings.Contains(line, want) {
					t.Errorf("logged %q, want %q in it", line, want)
				}
			}
			if _, err := a.manager.Dial(t.Context(), b.peer(), link.Raft); !errors.Is(err, link.ErrForbidden) {
				t.Errorf("Dial for another protocol: error %v, want %v", err, link.ErrForbidden)
			}
			for range 6 { // rounds; the end of the test may cut the last one
				next(t, calls)
			}
			a.stop()
			if got := a.dialCounts()[link.DialForbidden]; got < 5 {
				t.Errorf("%d dials were counted as forbidden, want 5 or more", got)
			}
			logged := 0
			for _, line := range logs.lines() {
				if strings.HasPrefix(line, "cannot reach peer") {
					logged++
				}
			}
			if logged != 1 {
				t.Errorf("logged %d times, want once:\n%s", logged, strings.Join(logs.lines(), "\n"))
			}
		})
	}
}

// next returns the next call.
func next(t *testing.T, calls <-chan string) string {
	t.Helper()
	select {
	case got := <-calls:
		return got
	case <-time.After(patience):
		t.Fatal("the filter was not asked in time")
		return ""
	}
}

// TestSeedsAreNotFiltered has a filter that forbids every address, a member that advertises no
// address, and a seed at a loopback address.
func TestSeedsAreNotFiltered(t *testing.T) {
	t.Parallel()
	b := startNode(t, 1, nil)
	a := startNode(t, 0, func(s *setup) {
		seeds(b)(s)
		s.noAddr = true
		s.config.DialFilter = func(peer sm.PeerID, addr netip.AddrPort) error {
			t.Errorf("asked about %s at the seed %s", peer.Short(), addr)
			return errFilter
		}
	})
	a.awaitEntry(b.peer(), anyEntry)
	a.awaitConn(b.peer(), anyConn)
	conn, err := a.manager.Dial(t.Context(), b.peer(), link.Bond) // its entry lists the seed's address
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestSeedsOfOthersEntries checks the address of a seed that a peer's entry lists, and another
// address.
func TestSeedsOfOthersEntries(t *testing.T) {
	t.Parallel()
	m := New(Config{Catalog: newTestCatalog(t), Seeds: []string{"127.0.0.1:7"}})
	check := func(netip.AddrPort) error { return errFilter }
	for addr, good := range map[string]bool{"127.0.0.1:7": true, "127.0.0.1:8": false} {
		if got := m.configured(addr); got != good {
			t.Errorf("%s is exempt from the rules: %v, want %v", addr, got, good)
		}
		if got := m.unlessConfigured(addr, check); (got == nil) != good {
			t.Errorf("%s is checked: %v, want %v", addr, got != nil, !good)
		}
	}
}
