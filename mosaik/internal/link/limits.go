package link

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// The defaults of [Limits].
const (
	DefaultMaxConns        = 4096
	DefaultMaxConnsPerAddr = 1024
)

const (
	// maxHandshakes bounds the accepted connections whose handshake is not
	// complete. When one more comes, the oldest is given up.
	maxHandshakes = 256
	// maxConnsPerPeer bounds the accepted connections of one identity, of all
	// protocols together.
	maxConnsPerPeer = 16
	// maxSources bounds the addresses without a connection that are remembered.
	maxSources = 4096
	// A handshake and what follows it cost a millisecond of a processor, so new
	// connections are bounded from all addresses together: so many at once, and
	// so many in a second after that. Trusted addresses are not among them.
	untrustedBurst, untrustedRate = 256, 128
	// maxTrust bounds how long an address remains trusted after the last reason
	// for it has ended: members come back.
	maxTrust = 10 * time.Minute
	// barTime is how long nobody is let in from an address from which somebody
	// sent what no honest peer sends, unless it is trusted.
	barTime = 10 * time.Second
)

// Limits bounds what others can make this peer hold and do. What exceeds a limit
// is closed before TLS where only the address matters.
type Limits struct {
	// Conns bounds accepted connections, those in their handshake included, and
	// ConnsPerAddr those from one IP address (of IPv6, from one /64 network). Of
	// ConnsPerAddr a 32nd may be in their handshake at a time; a quarter may
	// come at once, and a 16th in every second after that. From all addresses
	// together 256 may come at once and 128 in every second after that; those
	// that [Link.Trust] named do not count. Zeros are DefaultMaxConns and
	// DefaultMaxConnsPerAddr.
	Conns, ConnsPerAddr int
}

func (l *Limits) complete() {
	if l.Conns == 0 {
		l.Conns = DefaultMaxConns
	}
	if l.ConnsPerAddr == 0 {
		l.ConnsPerAddr = min(DefaultMaxConnsPerAddr, l.Conns)
	}
}

func (l Limits) handshakesPerAddr() int { return max(1, l.ConnsPerAddr/32) }
func (l Limits) burst() float64         { return max(1, float64(l.ConnsPerAddr)/4) }
func (l Limits) rate() float64          { return max(1, float64(l.ConnsPerAddr)/16) }

// gate keeps the accepted connections within the limits.
type gate struct {
	limits Limits

	mu         sync.Mutex // guards what follows
	conns      int
	tokens     tokens    // of addresses that are not trusted
	handshakes list.List // of *acceptedConn, oldest first
	sources    map[netip.Prefix]*source
	peers      map[sm.PeerID]int
}

// source is where connections come from.
type source struct {
	conns, handshakes int
	tokens            tokens
	trusted           int       // reasons to trust it
	trustedUntil      time.Time // after the last one
	barredUntil       time.Time
}

func (s *source) isTrusted(now time.Time) bool { return s.trusted > 0 || now.Before(s.trustedUntil) }

// tokens are the connections that may come at once.
type tokens struct {
	left    float64
	counted time.Time
}

func (t *tokens) grow(now time.Time, burst, rate float64) {
	if t.counted.IsZero() {
		t.left = burst
	} else {
		t.left = min(burst, t.left+now.Sub(t.counted).Seconds()*rate)
	}
	t.counted = now
}

// acceptedConn is one accepted connection from before its handshake to its end.
type acceptedConn struct {
	g     *gate
	from  netip.Prefix
	stop  func()        // gives the handshake up
	shake *list.Element // in handshakes, nil when it is over
	peer  sm.PeerID     // zero before it was let in
}

func newGate(limits Limits) *gate {
	return &gate{limits: limits, sources: map[netip.Prefix]*source{}, peers: map[sm.PeerID]int{}}
}

// enter lets a connection begin its handshake, which stop gives up, or returns
// which limit it exceeds. The connection must be left.
func (g *gate) enter(addr net.Addr, now time.Time, stop func()) (*acceptedConn, Limit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	from := prefixOf(addr)
	s := g.source(from, now)
	switch {
	case g.conns >= g.limits.Conns:
		return nil, LimitConns
	case s.conns >= g.limits.ConnsPerAddr:
		return nil, LimitAddrConns
	case now.Before(s.barredUntil) && !s.isTrusted(now):
		return nil, LimitBarred
	case s.handshakes >= g.limits.handshakesPerAddr():
		return nil, LimitAddrHandshakes
	case s.tokens.left < 1:
		return nil, LimitAddrRate
	}
	if !s.isTrusted(now) {
		g.tokens.grow(now, untrustedBurst, untrustedRate)
		if g.tokens.left < 1 {
			return nil, LimitRate
		}
		g.tokens.left--
	}
	evicted := LimitNone
	if g.handshakes.Len() >= maxHandshakes {
		oldest := g.handshakes.Front().Value.(*acceptedConn)
		oldest.endHandshake()
		oldest.stop()
		evicted = LimitHandshakes
	}
	s.tokens.left--
	s.conns++
	s.handshakes++
	g.conns++
	v := &acceptedConn{g: g, from: from, stop: stop}
	v.shake = g.handshakes.PushBack(v)
	return v, evicted
}

// source returns what is known about where a connection comes from.
func (g *gate) source(from netip.Prefix, now time.Time) *source {
	s := g.sources[from]
	if s == nil {
		if len(g.sources) >= maxSources+g.conns {
			for p, old := range g.sources {
				if old.conns == 0 && !old.isTrusted(now) && !now.Before(old.barredUntil) {
					delete(g.sources, p)
				}
			}
		}
		s = &source{}
		g.sources[from] = s
	}
	s.tokens.grow(now, g.limits.burst(), g.limits.rate())
	return s
}

// trust counts a reason to trust an address.
func (g *gate) trust(addr net.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.source(prefixOf(addr), now).trusted++
}

// distrust takes back a reason that lasted so long.
func (g *gate) distrust(addr net.Addr, lasted time.Duration, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.source(prefixOf(addr), now)
	s.trusted--
	if until := now.Add(min(lasted, maxTrust)); until.After(s.trustedUntil) {
		s.trustedUntil = until
	}
}

// bar keeps connections from an address out for a time.
func (g *gate) bar(addr net.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.source(prefixOf(addr), now).barredUntil = now.Add(barTime)
}

// admit counts the connection as the peer's and reports whether it may have one
// more.
func (v *acceptedConn) admit(peer sm.PeerID) bool {
	v.g.mu.Lock()
	defer v.g.mu.Unlock()
	if v.g.peers[peer] >= maxConnsPerPeer {
		return false
	}
	v.g.peers[peer]++
	v.peer = peer
	return true
}

// endHandshake ends the handshake. The caller holds the mutex.
func (v *acceptedConn) endHandshake() {
	if v.shake != nil {
		v.g.handshakes.Remove(v.shake)
		v.g.sources[v.from].handshakes--
		v.shake = nil
	}
}

// settle ends the handshake, well.
func (v *acceptedConn) handshakeDone() {
	v.g.mu.Lock()
	defer v.g.mu.Unlock()
	v.endHandshake()
}

// leave ends the connection's part in the limits.
func (v *acceptedConn) leave() {
	v.g.mu.Lock()
	defer v.g.mu.Unlock()
	v.endHandshake()
	v.g.sources[v.from].conns--
	v.g.conns--
	if v.peer.IsZero() {
		return
	}
	if v.g.peers[v.peer]--; v.g.peers[v.peer] == 0 {
		delete(v.g.peers, v.peer)
	}
}

// prefixOf returns what counts as one place: an IPv4 address, a /64 network of
// IPv6, and everything that is no TCP address together.
func prefixOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, _ := ip.Prefix(bits) // an invalid address gives the zero prefix
	return prefix
}
