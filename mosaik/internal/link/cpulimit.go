package link

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// What the connections of strangers may take together of one processor: a part of
// its time, and so much at once after they were quiet.
const (
	cpuShare = 0.1
	cpuBurst = 250 * time.Millisecond
	// maxTurn bounds what one turn counts for. On a machine with too much to
	// do a turn takes longer than the processor works on it, and strangers would
	// get less the less there is.
	maxTurn = time.Millisecond
)

// cpuLimiter lets the connections of strangers use a processor one after the
// other, and not all of its time. Go runs what is ready in turn: hundreds of
// connections that are ready at the same time would have a member's own
// goroutines wait for all of them.
type cpuLimiter struct {
	turn chan struct{} // full while a goroutine is through

	// They belong to the goroutine that is through.
	began   time.Time
	left    time.Duration // what may be used at once, negative for what was used too much
	counted time.Time     // when left was
}

func newCPULimiter() *cpuLimiter {
	return &cpuLimiter{turn: make(chan struct{}, 1), left: cpuBurst, counted: time.Now()}
}

// enter waits for a turn and reports whether it came before done was closed.
func (t *cpuLimiter) enter(done <-chan struct{}) bool {
	select {
	case t.turn <- struct{}{}:
	case <-done:
		return false
	}
	t.began = time.Now()
	wait := t.refill(t.began)
	if wait == 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
		<-t.turn
		return false
	}
	t.began = time.Now()
	t.refill(t.began)
	return true
}

// refill adds what the share allows since the last time, and returns how long to
// wait until there is something left.
func (t *cpuLimiter) refill(now time.Time) time.Duration {
	t.left = min(cpuBurst, t.left+time.Duration(float64(now.Sub(t.counted))*cpuShare))
	t.counted = now
	return max(0, time.Duration(float64(-t.left)/cpuShare))
}

// leave ends a turn.
func (t *cpuLimiter) leave() {
	t.left -= min(maxTurn, time.Since(t.began))
	<-t.turn
}

// patient is a connection whose goroutines may have to pass a cpu before
// they work: the one that reads, from the end of a Read to the next, and the one
// that writes, from [Conn.AcquireCPU] to the next Write.
type limitedConn struct {
	net.Conn
	cpu     *cpuLimiter
	turns   atomic.Bool // the goroutines take turns
	reading atomic.Bool // the reading goroutine is through
	writing atomic.Bool // the writing goroutine is through
	closed  chan struct{}
	close   func() error // sync.OnceValue
}

func newLimitedConn(raw net.Conn, t *cpuLimiter) *limitedConn {
	p := &limitedConn{Conn: raw, cpu: t, closed: make(chan struct{})}
	p.close = sync.OnceValue(func() error {
		close(p.closed)
		return raw.Close()
	})
	return p
}

// Close implements [net.Conn].
func (p *limitedConn) Close() error { return p.close() }

// Read implements [net.Conn].
func (p *limitedConn) Read(b []byte) (int, error) {
	p.end(&p.reading)
	n, err := p.Conn.Read(b)
	if err == nil {
		p.begin(&p.reading)
	}
	return n, err
}

// Write implements [net.Conn].
func (p *limitedConn) Write(b []byte) (int, error) {
	p.end(&p.writing)
	return p.Conn.Write(b)
}

// begin waits for the turn of a goroutine, if it takes turns.
func (p *limitedConn) begin(through *atomic.Bool) {
	if p.turns.Load() && p.cpu.enter(p.closed) {
		through.Store(true)
	}
}

// end ends the turn of a goroutine.
func (p *limitedConn) end(through *atomic.Bool) {
	if through.CompareAndSwap(true, false) {
		p.cpu.leave()
	}
}

// LimitCPU says whether the connection's goroutines take turns with those of all
// connections that do: together they use a tenth of a processor, after 250 ms at
// once. The connection of a stranger does, that of a member works at once. It
// does not end a turn. Connections do not take turns after their handshake.
func (c *Conn) LimitCPU(take bool) { c.limited.turns.Store(take) }

// ReleaseCPU ends the turn of the goroutine that reads. On a connection that takes turns
// that goroutine calls ReleaseCPU before it waits for anything but the next Read, and
// when it has stopped reading: all others wait for it.
func (c *Conn) ReleaseCPU() { c.limited.end(&c.limited.reading) }

// AcquireCPU waits for the turn of the goroutine that writes. The turn ends with the
// next write, or when the function is called that AcquireCPU returns.
func (c *Conn) AcquireCPU() (leave func()) {
	c.limited.begin(&c.limited.writing)
	return func() { c.limited.end(&c.limited.writing) }
}
