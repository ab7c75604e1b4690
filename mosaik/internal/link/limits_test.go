package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

func tcp(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 4711} }

// visits opens connections at a gate and records the handshakes that the gate ended.
type visits struct {
	t     *testing.T
	g     *gate
	now   time.Time
	given []net.Addr // of the handshakes that were ended
}

func (v *visits) enter(ip string, want Limit) *acceptedConn {
	v.t.Helper()
	addr := tcp(ip)
	got, limit := v.g.enter(addr, v.now, func() { v.given = append(v.given, addr) })
	if limit != want {
		v.t.Fatalf("from %s: limit %v, want %v", ip, limit, want)
	}
	if (got == nil) != (limit != LimitNone && limit != LimitHandshakes) {
		v.t.Fatalf("from %s: limit %v and connection %v", ip, limit, got)
	}
	return got
}

func newVisits(t *testing.T, conns, perAddr int) *visits {
	limits := Limits{Conns: conns, ConnsPerAddr: perAddr}
	limits.complete()
	return &visits{t: t, g: newGate(limits), now: time.Unix(1, 0)}
}

func TestGateBoundsConnections(t *testing.T) {
	t.Parallel()
	v := newVisits(t, 3, 2)
	settled := func(ip string, want Limit) *acceptedConn {
		v.now = v.now.Add(time.Minute) // the rate must not limit
		c := v.enter(ip, want)
		if c != nil {
			c.handshakeDone()
		}
		return c
	}
	a := settled("10.0.0.1", LimitNone)
	settled("10.0.0.1", LimitNone)
	settled("10.0.0.1", LimitAddrConns)
	b := settled("10.0.0.2", LimitNone)
	settled("10.0.0.3", LimitConns)
	a.leave()
	b.leave()
	settled("10.0.0.1", LimitNone)
	settled("10.0.0.1", LimitAddrConns)
}

func TestGateBoundsHandshakes(t *testing.T) {
	t.Parallel()
	v := newVisits(t, 1000, 64) // 2 handshakes
	first := v.enter("10.0.0.1", LimitNone)
	v.enter("10.0.0.1", LimitNone)
	v.enter("10.0.0.1", LimitAddrHandshakes)
	first.handshakeDone()
	first.handshakeDone() // once is enough
	v.enter("10.0.0.1", LimitNone)
	v.enter("10.0.0.1", LimitAddrHandshakes)
	for i := v.g.handshakes.Len(); i < maxHandshakes; i++ {
		v.now = v.now.Add(time.Second / untrustedRate) // the rate must not limit
		v.enter(net.IPv4(10, 1, byte(i>>8), byte(i)).String(), LimitNone)
	}
	v.enter("10.0.0.2", LimitHandshakes)
	v.enter("10.0.0.3", LimitHandshakes)
	if diff := cmp.Diff([]net.Addr{tcp("10.0.0.1"), tcp("10.0.0.1")}, v.given); diff != "" {
		t.Errorf("handshakes given up (-want +got):\n%s", diff)
	}
	if got := v.g.handshakes.Len(); got != maxHandshakes {
		t.Errorf("%d handshakes, want %d", got, maxHandshakes)
	}
}

func TestGateBoundsRates(t *testing.T) {
	t.Parallel()
	v := newVisits(t, 1000, 32) // 8 at once, then 2 in a second
	come := func(n int, want Limit) {
		t.Helper()
		for range n {
			if c := v.enter("10.0.0.1", want); c != nil {
				c.leave()
			}
		}
	}
	come(8, LimitNone)
	come(3, LimitAddrRate)
	v.enter("10.0.0.2", LimitNone)
	v.now = v.now.Add(time.Second)
	come(2, LimitNone)
	come(1, LimitAddrRate)
	v.now = v.now.Add(time.Hour)
	come(8, LimitNone)
	come(1, LimitAddrRate)
}

// TestGateForgets opens connections from an ever growing number of addresses.
func TestGateForgets(t *testing.T) {
	t.Parallel()
	v := newVisits(t, 10, 10)
	stays := v.enter("10.0.0.1", LimitNone)
	for i := range 3 * maxSources {
		v.now = v.now.Add(time.Second / untrustedRate)
		v.enter(net.IPv4(11, byte(i>>16), byte(i>>8), byte(i)).String(), LimitNone).leave()
	}
	if got := len(v.g.sources); got > maxSources+1 {
		t.Errorf("%d addresses are remembered, want at most %d", got, maxSources+1)
	}
	if got := v.g.sources[stays.from]; got == nil || got.conns != 1 {
		t.Errorf("an address with a connection is remembered as %+v", got)
	}
	stays.leave()
	if v.g.conns != 0 || v.g.handshakes.Len() != 0 || len(v.g.peers) != 0 {
		t.Errorf("%d connections, %d handshakes, %d peers are left, want none", v.g.conns, v.g.handshakes.Len(), len(v.g.peers))
	}
}

func TestPrefixOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"10.0.0.1":           "10.0.0.1/32",
		"::ffff:10.0.0.1":    "10.0.0.1/32",
		"2001:db8:1:2:3::":   "2001:db8:1:2::/64",
		"2001:db8:1:2:4::ff": "2001:db8:1:2::/64",
	} {
		if got := prefixOf(tcp(addr)).String(); got != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
	if got := prefixOf(&net.UnixAddr{Name: "x"}); got.IsValid() {
		t.Errorf("a Unix address counts as %v", got)
	}
}

// dropped returns how many connections of a link exceeded limits.
func dropped(l *Link) map[Limit]int64 {
	counts := map[Limit]int64{}
	l.Counters().EachDropped(func(limit Limit, n int64) { counts[limit] = n })
	return counts
}

// refusedBy returns the refusals of a link in one direction by code.
func refusedBy(l *Link, want Direction) map[consensus.CloseCode]int64 {
	counts := map[consensus.CloseCode]int64{}
	l.Counters().EachRefused(func(code consensus.CloseCode, d Direction, n int64) {
		if d == want {
			counts[code] = n
		}
	})
	return counts
}

// TestExcessIsClosedBeforeTLS opens more connections from one address than the limit.
func TestExcessIsClosedBeforeTLS(t *testing.T) {
	t.Parallel()
	server, accepted := accepting(t, 1, func(c *Config) { c.Limits = Limits{Conns: 100, ConnsPerAddr: 64} })
	stalled := []net.Conn{dialRaw(t, server), dialRaw(t, server)}
	for range 5 {
		if n, err := dialRaw(t, server).Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes came over the limit, want the end", n)
		}
	}
	for _, raw := range stalled {
		raw.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, raw) // until the link closes the connection
	}
	for { // the link may still count the last one
		client := listen(t, 2, nil)
		_, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond)
		if err == nil {
			break
		}
	}
	<-accepted
	if got := dropped(server)[LimitAddrHandshakes]; got < 5 {
		t.Errorf("%d connections were dropped for the handshakes of their address, want 5 or more", got)
	}
}

func TestConnectionsOfOnePeerAreBounded(t *testing.T) {
	t.Parallel()
	server, accepted := accepting(t, 1, nil)
	client, other := listen(t, 2, nil), listen(t, 3, nil)
	dial := func(l *Link) (*Conn, error) {
		return l.Dial(context.Background(), server.Addr().String(), sm.PeerID{}, Bond)
	}
	for range maxConnsPerPeer {
		if _, err := dial(client); err != nil {
			t.Fatal(err)
		}
		<-accepted
	}
	var refused *consensus.RefusedError
	if _, err := dial(client); !errors.As(err, &refused) || refused.Code != consensus.CodeBusy {
		t.Errorf("error %v, want a refusal with code %d", err, consensus.CodeBusy)
	}
	if diff := cmp.Diff(map[consensus.CloseCode]int64{consensus.CodeBusy: 1}, refusedBy(server, Sent)); diff != "" {
		t.Errorf("refusals that were sent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[consensus.CloseCode]int64{consensus.CodeBusy: 1}, refusedBy(client, Received)); diff != "" {
		t.Errorf("refusals that were received (-want +got):\n%s", diff)
	}
	if _, err := dial(other); err != nil {
		t.Errorf("another peer: %v", err)
	}
	<-accepted
}

func TestAdmitDecides(t *testing.T) {
	t.Parallel()
	known := identityOf(t, 2).Peer()
	server, accepted := accepting(t, 1, func(c *Config) {
		c.Admit = func(peer sm.PeerID, p Protocol) consensus.CloseCode {
			if peer != known || p != Bond {
				return consensus.CodeUnknownPeer
			}
			return consensus.CodeAccepted
		}
	})
	stranger := listen(t, 3, nil)
	_, err := stranger.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond)
	var refused *consensus.RefusedError
	if !errors.As(err, &refused) || refused.Code != consensus.CodeUnknownPeer || refused.Peer != identityOf(t, 1).Peer() {
		t.Errorf("error %v, want a refusal of peer 1 with code %d", err, consensus.CodeUnknownPeer)
	}
	if _, err := listen(t, 2, nil).Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond); err != nil {
		t.Fatal(err)
	}
	<-accepted
}

// TestCountersCountCodes counts every code, and some that a peer made up. Codes with a name count
// separately, all others together.
func TestCountersCountCodes(t *testing.T) {
	t.Parallel()
	l := listen(t, 1, nil)
	made := []consensus.CloseCode{consensus.CodeAccepted, 1, 7, 100, 104, 30411, 1<<32 - 1}
	want := map[consensus.CloseCode]int64{consensus.CodeAccepted: int64(len(made))}
	for code := range consensus.CloseCode(1 << 16) {
		if code != consensus.CodeAccepted && code.IsKnown() {
			want[code] = 1
			l.Counters().Refused(code, Received)
		}
	}
	for _, code := range made {
		l.Counters().Refused(code, Received)
	}
	if len(want) < 16 {
		t.Fatalf("%d codes are known, expected 16 or more", len(want))
	}
	if diff := cmp.Diff(want, refusedBy(l, Received)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// TestThousandsOfConnections opens thousands of silent connections. It is not parallel, so that the
// goroutines that it counts are its own.
func TestThousandsOfConnections(t *testing.T) {
	server, _ := accepting(t, 1, nil)
	before := runtime.NumGoroutine()
	var raws []net.Conn
	for range 3000 {
		raw, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			break // out of descriptors
		}
		defer raw.Close()
		raws = append(raws, raw)
	}
	if len(raws) < 500 {
		t.Skipf("only %d connections can be opened here", len(raws))
	}
	perAddr := server.config.Limits.handshakesPerAddr()
	kept := 0
	// Connections over the limit end. The others remain until the handshake timeout.
	for _, raw := range raws {
		raw.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := raw.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			kept++
		}
	}
	if kept != perAddr {
		t.Errorf("%d of %d connections are kept, want %d", kept, len(raws), perAddr)
	}
	if got := runtime.NumGoroutine() - before; got > perAddr+2 {
		t.Errorf("%d goroutines more than before, want at most one for each connection that is kept, %d", got, perAddr)
	}
	if got := dropped(server)[LimitAddrHandshakes] + dropped(server)[LimitAddrRate]; got != int64(len(raws)-kept) {
		t.Errorf("%d connections were counted as dropped, want %d", got, len(raws)-kept)
	}
}

// TestGateBoundsAllAddresses opens connections from many addresses, so that no limit of one address
// applies.
func TestGateBoundsAllAddresses(t *testing.T) {
	t.Parallel()
	v := newVisits(t, DefaultMaxConns, DefaultMaxConnsPerAddr)
	next := 0
	come := func(n int, want Limit) {
		t.Helper()
		for range n {
			if c := v.enter(fmt.Sprintf("127.1.%d.%d", next/250, 1+next%250), want); c != nil {
				c.leave()
			}
			next++
		}
	}
	member := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	v.g.trust(member, v.now)
	come(untrustedBurst, LimitNone)
	come(3, LimitRate)
	v.enter("127.0.0.1", LimitNone).leave()
	v.now = v.now.Add(time.Second)
	come(untrustedRate, LimitNone)
	come(1, LimitRate)

	v.g.distrust(member, time.Minute, v.now)
	v.now = v.now.Add(time.Minute - time.Second)
	come(untrustedBurst, LimitNone)
	v.enter("127.0.0.1", LimitNone).leave()
	v.now = v.now.Add(time.Second)
	come(untrustedRate, LimitNone)
	v.enter("127.0.0.1", LimitRate)
}

// TestGateBars bars an address. Trust takes precedence.
func TestGateBars(t *testing.T) {
	t.Parallel()
	v := newVisits(t, DefaultMaxConns, DefaultMaxConnsPerAddr)
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	v.g.bar(addr, v.now)
	v.enter("127.0.0.1", LimitBarred)
	v.enter("127.0.0.2", LimitNone)
	v.g.trust(addr, v.now)
	v.enter("127.0.0.1", LimitNone)
	v.g.distrust(addr, 0, v.now)
	v.enter("127.0.0.1", LimitBarred)
	v.now = v.now.Add(barTime)
	v.enter("127.0.0.1", LimitNone)
}
