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
	// maxHandshakes bounds the accepted connections whose handshake is not complete. One
	// more ends the oldest of them.
	maxHandshakes = 256
	// maxConnsPerPeer bounds the accepted connections of one peer, over all protocols.
	maxConnsPerPeer = 16
	// maxSources bounds the sources, beside one for each connection. At the bound,
	// sources are dropped that have no connection and are neither trusted nor barred.
	maxSources = 4096
	// A handshake and what follows it take a millisecond of a processor. So the rate of new
	// connections from all untrusted addresses together is bounded: a burst, and a number
	// in every second after that.
	untrustedBurst, untrustedRate = 256, 128
	// maxTrust bounds how long an address remains trusted after the last reason for it has
	// ended, so that members can come back.
	maxTrust = 10 * time.Minute
	// barTime is how long a barred address is refused; see Conn.Bar.
	barTime = 10 * time.Second
)

// Limits bounds the connections and the work that other peers can cause. A connection that
// exceeds a limit of its address is closed before TLS.
type Limits struct {
	// Conns bounds accepted connections, including those in their handshake. ConnsPerAddr
	// bounds those from one IP address (of IPv6, from one /64 network). A 32nd of
	// ConnsPerAddr may be in their handshake at a time. A quarter may come at once, and a
	// 16th in every second after that. From all addresses together 256 may come at once,
	// and 128 in every second after that; addresses that [Link.Trust] named do not count.
	// Zero means DefaultMaxConns and DefaultMaxConnsPerAddr.
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

// gate keeps accepted connections within the limits.
type gate struct {
	limits Limits

	mu         sync.Mutex // guards the fields below
	conns      int
	tokens     tokens    // of addresses that are not trusted
	handshakes list.List // of *acceptedConn, oldest first
	sources    map[netip.Prefix]*source
	peers      map[sm.PeerID]int
}

// source is an address, or a network, from which connections come.
type source struct {
	conns, handshakes int
	tokens            tokens
	trusted           int       // calls of Link.Trust that were not taken back
	trustedUntil      time.Time // counts once trusted is 0
	barredUntil       time.Time
}

func (s *source) isTrusted(now time.Time) bool { return s.trusted > 0 || now.Before(s.trustedUntil) }

// tokens count the connections that may come at once. The zero value is full.
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
	stop  func()        // ends the handshake
	shake *list.Element // in gate.handshakes, nil after the handshake
	peer  sm.PeerID     // zero until the peer is admitted
}

func newGate(limits Limits) *gate {
	return &gate{limits: limits, sources: map[netip.Prefix]*source{}, peers: map[sm.PeerID]int{}}
}

// enter lets a connection begin its handshake, which stop ends. It returns nil and the limit
// when the connection exceeds one. LimitHandshakes comes with a connection: an older one was
// ended for it. The caller calls leave when the connection has ended.
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

// source returns the source for an address, which it makes if needed. The caller holds the
// mutex.
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

// trust is [Link.Trust].
func (g *gate) trust(addr net.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.source(prefixOf(addr), now).trusted++
}

// distrust is [Link.Distrust].
func (g *gate) distrust(addr net.Addr, lasted time.Duration, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.source(prefixOf(addr), now)
	s.trusted--
	if until := now.Add(min(lasted, maxTrust)); until.After(s.trustedUntil) {
		s.trustedUntil = until
	}
}

// bar is [Conn.Bar].
func (g *gate) bar(addr net.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.source(prefixOf(addr), now).barredUntil = now.Add(barTime)
}

// admit counts the connection as the peer's. It is false if the peer has too many.
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

// endHandshake stops counting the handshake. The caller holds the mutex.
func (v *acceptedConn) endHandshake() {
	if v.shake != nil {
		v.g.handshakes.Remove(v.shake)
		v.g.sources[v.from].handshakes--
		v.shake = nil
	}
}

// handshakeDone reports that the handshake is complete or has failed.
func (v *acceptedConn) handshakeDone() {
	v.g.mu.Lock()
	defer v.g.mu.Unlock()
	v.endHandshake()
}

// leave reports that the connection has ended.
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

// prefixOf returns the source that an address counts as: an IPv4 address or a /64 network of
// IPv6. All addresses that are not TCP addresses are one source.
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
