// Package proxytest is a TCP proxy for tests. It stands for a network between two processes
// that loses connections silently or is slow, and it counts bytes.
package proxytest

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Proxy forwards the connections that it accepts to one address. Its methods may be called
// from any goroutine.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex
	flows  []*Flow
	closed bool
	rate   int          // bytes per second in each direction over all flows, 0 for no bound
	next   [2]time.Time // when the next byte may be forwarded, for each direction
	bytes  map[string]int
	breaks map[string][]int
}

// Flow is one connection through the proxy.
type Flow struct {
	proxy      *Proxy
	protocol   string
	ends       [2]net.Conn // that of the dialler, that of the target
	lost       chan struct{}
	loss, gone sync.Once
}

// directions of a flow
const (
	toTarget = iota
	fromTarget
)

// New returns a proxy to the address, which ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, listener: listener, target: target, bytes: map[string]int{}, breaks: map[string][]int{}}
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// buffer bounds the kernel's send buffer of a connection, in bytes. Megabytes would hide that
// a link is slow. A buffer smaller than a segment of the loopback interface, 64 KiB, would
// stall TCP.
const buffer = 64 << 10

// Dial opens a connection with a small send buffer.
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(buffer)
	}
	return c, err
}

// Addr returns the address at which the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends all flows and waits for them.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	flows := slices.Clone(p.flows)
	p.mu.Unlock()
	for _, f := range flows {
		f.close()
	}
	p.running.Wait()
}

// Limit bounds the bytes per second that all flows together carry in each direction from now
// on. 0 is no bound.
func (p *Proxy) Limit(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = bytesPerSecond
}

// Lose makes the present flows of a protocol carry nothing, without either end learning of
// it, and returns their number. Later flows work.
func (p *Proxy) Lose(protocol string) (n int) {
	for _, f := range p.of(protocol) {
		f.loss.Do(func() { close(f.lost); n++ })
	}
	return n
}

// Break closes the present flows of a protocol and returns their number.
func (p *Proxy) Break(protocol string) int {
	flows := p.of(protocol)
	for _, f := range flows {
		f.close()
	}
	return len(flows)
}

// BreakAfter calls Break each time that the protocol's bytes carried to the target reach the
// next of the numbers, which ascend.
func (p *Proxy) BreakAfter(protocol string, bytes ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaks[protocol] = bytes
}

// Bytes returns how many bytes of a protocol were carried to the target.
func (p *Proxy) Bytes(protocol string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes[protocol]
}

// of returns the flows of a protocol; "" stands for all.
func (p *Proxy) of(protocol string) (flows []*Flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.flows {
		if protocol == "" || f.protocol == protocol {
			flows = append(flows, f)
		}
	}
	return flows
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(c) })
	}
}

// serve carries one connection. Its first bytes, of TLS, contain the protocol's name.
func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	hello := make([]byte, 16<<10)
	n, err := c.Read(hello)
	if err != nil {
		return
	}
	target, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	f := &Flow{proxy: p, ends: [2]net.Conn{c, target}, lost: make(chan struct{})}
	for _, protocol := range []string{"mosaik/bond/1", "mosaik/raft/1", "mosaik/snap/1", "mosaik/back/1"} {
		if bytes.Contains(hello[:n], []byte(protocol)) {
			f.protocol = protocol
		}
	}
	p.mu.Lock()
	closed := p.closed
	p.flows = append(p.flows, f)
	p.mu.Unlock()
	defer p.forget(f)
	defer f.close()
	if closed {
		return
	}
	back := make(chan struct{})
	go func() { defer close(back); f.carry(fromTarget, nil) }()
	f.carry(toTarget, hello[:n])
	<-back
}

func (p *Proxy) forget(f *Flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flows = slices.DeleteFunc(p.flows, func(g *Flow) bool { return g == f })
}

// carry copies bytes in one direction until an end closes. Bytes of a lost flow are read and
// dropped, as by a network.
func (f *Flow) carry(direction int, first []byte) {
	from, to := f.ends[direction], f.ends[1-direction]
	defer func() {
		if f.isLost() {
			from.Close() // the other end does not learn of it
			return
		}
		f.close()
	}()
	buf := make([]byte, 4<<10)
	for b := first; ; {
		if len(b) > 0 && !f.isLost() {
			f.proxy.pass(f.protocol, direction, len(b))
			if _, err := to.Write(b); err != nil {
				return
			}
		}
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		b = buf[:n]
	}
}

func (f *Flow) isLost() bool {
	select {
	case <-f.lost:
		return true
	default:
		return false
	}
}

func (f *Flow) close() {
	f.gone.Do(func() {
		f.ends[0].Close()
		f.ends[1].Close()
	})
}

// pass counts bytes and waits until the rate allows them.
func (p *Proxy) pass(protocol string, direction, n int) {
	p.mu.Lock()
	due := false
	if direction == toTarget {
		p.bytes[protocol] += n
		if at := p.breaks[protocol]; len(at) > 0 && p.bytes[protocol] >= at[0] {
			due, p.breaks[protocol] = true, at[1:]
		}
	}
	var wait time.Duration
	if p.rate > 0 {
		now := time.Now()
		if p.next[direction].Before(now) {
			p.next[direction] = now
		}
		p.next[direction] = p.next[direction].Add(time.Duration(n) * time.Second / time.Duration(p.rate))
		wait = p.next[direction].Sub(now)
	}
	p.mu.Unlock()
	time.Sleep(wait)
	if due {
		p.Break(protocol)
	}
}
