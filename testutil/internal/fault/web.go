package fault

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// outside stands for addresses that belong to no node.
const outside = -1

// Web is all nodes and the links between them. Its methods may be called from
// any goroutine.
type Web struct {
	running sync.WaitGroup // the goroutines of connections

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when links or nodes change
	owners  map[string]int
	up      map[int]bool
	cut     map[hop]bool
	delays  map[hop]time.Duration
	lanes   map[hop]*lane
	quotas  map[hop]*quota
	conns   map[*conn]struct{}
	closed  bool

	limited atomic.Bool // there are quotas
}

// quota is how much may go over a hop before it is cut.
type quota struct {
	left  int
	spent chan struct{}
}

// hop is one direction of a link.
type hop struct{ from, to int }

// NewWeb returns a web without nodes. The caller must call [Web.Close].
func NewWeb() *Web {
	return &Web{
		changed: make(chan struct{}),
		owners:  map[string]int{},
		up:      map[int]bool{},
		cut:     map[hop]bool{},
		delays:  map[hop]time.Duration{},
		lanes:   map[hop]*lane{},
		quotas:  map[hop]*quota{},
		conns:   map[*conn]struct{}{},
	}
}

// Place records that the node has the address. It is down until [Web.Up].
func (w *Web) Place(node int, addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owners[addr] = node
}

// Up lets the node dial and be dialled.
func (w *Web) Up(node int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up[node] = true
	w.wake()
}

// Down refuses the node's connections from now on; those that it has stay.
func (w *Web) Down(node int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down(node)
}

func (w *Web) down(node int) {
	delete(w.up, node)
	w.wake()
}

// Crash is Down, and the node's connections are reset. Over a cut link, the
// other end learns of it when the link heals.
func (w *Web) Crash(node int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down(node)
	for c := range w.conns {
		if c.from == node || c.to == node {
			c.crash(node)
		}
	}
}

// Cut stops what goes from one node to the other.
func (w *Web) Cut(from, to int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(hop{from, to}, true)
}

// CutAfter is Cut, once about so many more bytes have gone from one node to the
// other. Then the channel is closed.
func (w *Web) CutAfter(from, to, bytes int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := &quota{bytes, make(chan struct{})}
	w.quotas[hop{from, to}] = q
	w.limited.Store(true)
	return q.spent
}

// passed counts bytes that went over a hop.
func (w *Web) passed(h hop, n int) {
	if !w.limited.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.quotas[h]
	if q == nil {
		return
	}
	if q.left -= n; q.left <= 0 {
		w.set(h, true)
		close(q.spent)
	}
}

// Heal lets through again what goes from one node to the other, first what was
// held back, and takes CutAfter back.
func (w *Web) Heal(from, to int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(hop{from, to}, false)
}

// set cuts or heals a hop; the caller holds the lock.
func (w *Web) set(h hop, cut bool) {
	delete(w.quotas, h)
	if cut {
		w.cut[h] = true
	} else {
		delete(w.cut, h)
	}
	for c := range w.conns {
		c.hold(c.forgotten || w.cut[hop{c.from, c.to}], c.forgotten || w.cut[hop{c.to, c.from}])
	}
	w.wake()
}

// Delay makes what goes from one node to the other from now on arrive that much
// later, 0 for at once.
func (w *Web) Delay(from, to int, delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delays[hop{from, to}] = delay
	for c := range w.conns {
		w.slow(c)
	}
}

// slow gives a connection the delays of its link. The caller holds the lock.
func (w *Web) slow(c *conn) {
	c.out.slow(w.delays[hop{c.from, c.to}])
	c.in.slow(w.delays[hop{c.to, c.from}])
}

// Limit makes the connections from one node to the other carry that many bytes a second
// in all from now on, 0 for no bound.
func (w *Web) Limit(from, to, bytesPerSecond int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane(hop{from, to}).limit(bytesPerSecond)
	for c := range w.conns {
		if c.from == from && c.to == to || c.from == to && c.to == from {
			c.out.change(func() {})
			c.in.change(func() {})
		}
	}
}

// lane returns the capacity of a hop. The caller holds the lock.
func (w *Web) lane(h hop) *lane {
	if w.lanes[h] == nil {
		w.lanes[h] = &lane{}
	}
	return w.lanes[h]
}

// Drop ends the connections between two nodes at once, for both of them. New
// ones can be made.
func (w *Web) Drop(i, j int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if c.from == i && c.to == j || c.from == j && c.to == i {
			c.abort()
		}
	}
}

// Forget loses one of the connections between two nodes, drawn at random. No data that is
// sent on it arrives any longer, regardless of the state of the link, and neither end
// notices. Forget reports whether there was a connection.
func (w *Web) Forget(i, j int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	var some []*conn
	for c := range w.conns {
		if (c.from == i && c.to == j || c.from == j && c.to == i) && !c.forgotten {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return false
	}
	c := some[rand.IntN(len(some))]
	c.forgotten = true
	c.hold(true, true)
	return true
}

// wake ends the present waits; the caller holds the lock.
func (w *Web) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Dial connects the node to an address, like [net.Dialer.DialContext]. It hangs
// while the link is cut in either direction. Addresses of no node are reached
// over a link that is never cut.
func (w *Web) Dial(ctx context.Context, from int, network, addr string) (net.Conn, error) {
	to, err := w.route(ctx, from, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	raw, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c, err := w.wire(raw, from, to)
	if err != nil {
		raw.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return c, nil
}

// route waits until the link to the address is whole and returns its owner.
func (w *Web) route(ctx context.Context, from int, addr string) (to int, err error) {
	for {
		w.mu.Lock()
		to, known := w.owners[addr]
		if !known {
			to = outside
		}
		whole := !w.cut[hop{from, to}] && !w.cut[hop{to, from}]
		err, changed := w.refusal(from, to), w.changed
		w.mu.Unlock()
		if whole || errors.Is(err, net.ErrClosed) {
			return to, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return to, ctx.Err()
		}
	}
}

// refusal says why there can be no connection: [net.ErrClosed] when it is the
// dialler's fault, who need not ask the other end to know. The caller holds the
// lock.
func (w *Web) refusal(from, to int) error {
	switch {
	case w.closed || !w.up[from]:
		return net.ErrClosed
	case to != outside && !w.up[to]:
		return syscall.ECONNREFUSED
	}
	return nil
}

// wire puts a connection under the web's control.
func (w *Web) wire(raw net.Conn, from, to int) (*conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.refusal(from, to); err != nil {
		return nil, err
	}
	c := w.newConn(raw, from, to)
	w.slow(c)
	w.conns[c] = struct{}{}
	w.running.Go(func() {
		var receiving sync.WaitGroup
		receiving.Go(c.receive)
		c.send()
		receiving.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.conns, c)
	})
	return c, nil
}

// Close ends every connection and waits until nothing of the web runs. Later
// dials fail.
func (w *Web) Close() {
	w.mu.Lock()
	w.closed = true
	w.wake()
	conns := slices.Collect(maps.Keys(w.conns))
	w.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
	w.running.Wait()
}
