package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/link/dnstest"
	"github.com/mosaik-go/mosaik/sm"
)

// checks is a Check that forbids some addresses and records its calls.
type checks struct {
	mu     sync.Mutex
	refuse func(netip.AddrPort) bool
	seen   []string
}

var errRefuse = errors.New("refused by the test")

func (c *checks) check(addr netip.AddrPort) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, addr.String())
	if c.refuse(addr) {
		return errRefuse
	}
	return nil
}

// resolving makes a link use a resolver that returns the given addresses for every
// name.
func resolving(addrs ...string) func(*Config) {
	return func(c *Config) {
		c.Resolver = dnstest.Resolver(func(string) (ips []netip.Addr) {
			for _, a := range addrs {
				ips = append(ips, netip.MustParseAddr(a))
			}
			return ips
		})
	}
}

// TestCheckSeesTheSocketsAddress dials IP addresses and names, with and without Config.Dial.
func TestCheckSeesTheSocketsAddress(t *testing.T) {
	t.Parallel()
	server, _ := accepting(t, 1, nil)
	port := server.Addr().(*net.TCPAddr).Port
	peer := server.config.Identity.Peer()
	there := fmt.Sprintf("127.0.0.1:%d", port)
	through := func(c *Config) { // resolves names itself, like a proxy
		c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, there)
		}
	}
	for name, c := range map[string]struct {
		change func(*Config)
		host   string
	}{
		"literal":               {nil, "127.0.0.1"},
		"name":                  {resolving("127.0.0.1"), "node.example"},
		"literal with a dialer": {through, "127.0.0.1"},
		"name with a dialer":    {through, "node.example"},
	} {
		for _, refuse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, refuse), func(t *testing.T) {
				t.Parallel()
				client := listen(t, 2, c.change)
				checks := checks{refuse: func(netip.AddrPort) bool { return refuse }}
				conn, err := client.DialChecked(t.Context(), fmt.Sprintf("%s:%d", c.host, port), peer, Bond, checks.check)
				if refuse {
					wantIs(t, err, ErrForbidden)
					wantIs(t, err, errRefuse)
				} else if err != nil {
					t.Fatal(err)
				} else {
					conn.Close()
				}
				if len(checks.seen) != 1 || checks.seen[0] != there {
					t.Errorf("checked %v, want %s once", checks.seen, there)
				}
				want := DialConnected
				if refuse {
					want = DialForbidden
				}
				wantDialled(t, client, map[Outcome]int64{want: 1})
			})
		}
	}
}

func wantDialled(t *testing.T, l *Link, want map[Outcome]int64) {
	t.Helper()
	got := map[Outcome]int64{}
	l.Counters().EachDialled(func(o Outcome, n int64) { got[o] = n })
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dials %v, want %v", got, want)
	}
}

// TestRefusedDialerIsNotCalled has the check forbid an IP address before Config.Dial connects to it.
func TestRefusedDialerIsNotCalled(t *testing.T) {
	t.Parallel()
	client := listen(t, 2, func(c *Config) {
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			t.Error("the dialer was called")
			return nil, errRefuse
		}
	})
	checks := checks{refuse: func(netip.AddrPort) bool { return true }}
	_, err := client.DialChecked(t.Context(), "127.0.0.1:1", identityOf(t, 3).Peer(), Bond, checks.check)
	wantIs(t, err, ErrForbidden)
}

// TestNamesOfGoodAndBadAddresses connects only to the allowed address of a name.
func TestNamesOfGoodAndBadAddresses(t *testing.T) {
	t.Parallel()
	server, _ := accepting(t, 1, nil)
	bad, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	defer bad.Close()
	client := listen(t, 2, resolving("127.0.0.2", "127.0.0.3", "127.0.0.1"))
	checks := checks{refuse: func(a netip.AddrPort) bool { return a.Addr() != netip.MustParseAddr("127.0.0.1") }}
	addr := fmt.Sprintf("node.example:%d", server.Addr().(*net.TCPAddr).Port)
	conn, err := client.DialChecked(t.Context(), addr, server.config.Identity.Peer(), Bond, checks.check)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestRebinding has the address of a name change between two lookups. The socket connects to the
// address that was checked.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var lookups atomic.Int32
	client := listen(t, 2, func(c *Config) {
		c.Resolver = dnstest.Resolver(func(string) []netip.Addr {
			if lookups.Add(1) <= 2 { // A and AAAA
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.2")}
		})
	})
	checks := checks{refuse: func(a netip.AddrPort) bool { return a.Addr() == netip.MustParseAddr("127.0.0.2") }}
	for i, want := range []bool{false, true} {
		_, err := client.DialChecked(t.Context(), "node.example:1", identityOf(t, 3).Peer(), Bond, checks.check)
		if err == nil || errors.Is(err, ErrForbidden) != want {
			t.Errorf("dial %d: %v, forbidden %v", i, err, want)
		}
	}
}

// TestNameOfManyAddresses dials a name with many addresses and tries only a few of them.
func TestNameOfManyAddresses(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("127.0.1.%d", i))
	}
	client := listen(t, 2, resolving(many...))
	checks := checks{refuse: func(netip.AddrPort) bool { return false }}
	_, err := client.DialChecked(t.Context(), "node.example:1", identityOf(t, 3).Peer(), Bond, checks.check)
	if err == nil || strings.Contains(err.Error(), "welcome") {
		t.Errorf("error %v, want a refused connection", err)
	}
	if len(checks.seen) != maxResolved {
		t.Errorf("connected to %d addresses of a name, want %d", len(checks.seen), maxResolved)
	}
}

// TestDialsAreCounted ends dials in each way that needs no check.
func TestDialsAreCounted(t *testing.T) {
	t.Parallel()
	client := listen(t, 2, func(c *Config) {
		c.Dial = func(ctx context.Context, _, addr string) (net.Conn, error) {
			if addr == "127.0.0.1:1" {
				return nil, errRefuse
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), ended} {
		if _, err := client.Dial(ctx, "127.0.0.1:1", sm.PeerID{}, Bond); err == nil {
			t.Error("dialled without a connection")
		}
	}
	wantDialled(t, client, map[Outcome]int64{DialFailed: 1, DialCancelled: 1})
}
