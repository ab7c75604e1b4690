package fault

import (
	"net"
	"sync"
)

// Port is a node's address. It stays bound while the node is down, so that a
// node which returns finds it free.
type Port struct {
	ln      net.Listener
	running sync.WaitGroup

	mu    sync.Mutex
	lease *lease // the present one, nil before the first
}

// OpenPort binds a free port of the loopback interface. The caller must call
// [Port.Close].
func OpenPort() (*Port, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Port{ln: ln}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the port's address.
func (p *Port) Addr() string { return p.ln.Addr().String() }

// Listen returns a listener that gets the port's connections until it is closed
// or Listen is called again, which closes it. A connection that arrives while there
// is none is closed.
func (p *Port) Listen() net.Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lease != nil {
		p.lease.Close()
	}
	p.lease = &lease{addr: p.ln.Addr(), conns: make(chan net.Conn), done: make(chan struct{})}
	return p.lease
}

// Close gives the port back and waits until nothing of it runs.
func (p *Port) Close() error {
	err := p.ln.Close()
	p.mu.Lock()
	if p.lease != nil {
		p.lease.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
	return err
}

func (p *Port) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		l := p.lease
		p.mu.Unlock()
		if l == nil || !l.take(c) {
			c.Close()
		}
	}
}

// lease is the use of a port by one life of its node.
type lease struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// take hands a connection over, unless the lease has ended.
func (l *lease) take(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

// Accept implements [net.Listener].
func (l *lease) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. The port stays bound.
func (l *lease) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements [net.Listener].
func (l *lease) Addr() net.Addr { return l.addr }
