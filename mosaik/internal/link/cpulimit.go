package link

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The time of one processor that the connections of all strangers together may use.
const (
	cpuShare = 0.1                    // share of its time
	cpuBurst = 250 * time.Millisecond // at once, after a time without use
	// maxTurn bounds the time that one turn counts. On a busy machine a turn lasts longer
	// than the processor works on it. Without the bound, strangers would get less the
	// busier the machine is.
	maxTurn = time.Millisecond
)

// cpuLimiter lets the goroutines of strangers' connections work one at a time and for a
// share of a processor's time. Go's scheduler runs ready goroutines in turn: without a
// limiter, each step of a member's own work would wait for every stranger that is ready.
type cpuLimiter struct {
	turn chan struct{} // holds a token while a goroutine has its turn

	// The goroutine that has its turn owns these fields.
	began   time.Time
	left    time.Duration // what may be used at once; negative after more was used
	counted time.Time     // when left was computed
}

func newCPULimiter() *cpuLimiter {
	return &cpuLimiter{turn: make(chan struct{}, 1), left: cpuBurst, counted: time.Now()}
}

// acquire waits for a turn. It is false if done was closed first. After true the caller
// calls release.
func (l *cpuLimiter) acquire(done <-chan struct{}) bool {
	select {
	case l.turn <- struct{}{}:
	case <-done:
		return false
	}
	l.began = time.Now()
	wait := l.refill(l.began)
	if wait == 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
		<-l.turn
		return false
	}
	l.began = time.Now()
	l.refill(l.began)
	return true
}

// refill adds what the share allows since the last call. It returns how long to wait until
// left is positive.
func (l *cpuLimiter) refill(now time.Time) time.Duration {
	l.left = min(cpuBurst, l.left+time.Duration(float64(now.Sub(l.counted))*cpuShare))
	l.counted = now
	return max(0, time.Duration(float64(-l.left)/cpuShare))
}

// release ends the turn.
func (l *cpuLimiter) release() {
	l.left -= min(maxTurn, time.Since(l.began))
	<-l.turn
}

// limitedConn is a connection whose goroutines may need a turn of the limiter to work: the
// reading one from the end of a Read to the next Read, the writing one from
// [Conn.AcquireCPU] to the next Write.
type limitedConn struct {
	net.Conn
	cpu     *cpuLimiter
	limited atomic.Bool // the goroutines need turns
	reading atomic.Bool // the reading goroutine has its turn
	writing atomic.Bool // the writing goroutine has its turn
	closed  chan struct{}
	close   func() error // sync.OnceValue
}

func newLimitedConn(raw net.Conn, cpu *cpuLimiter) *limitedConn {
	c := &limitedConn{Conn: raw, cpu: cpu, closed: make(chan struct{})}
	c.close = sync.OnceValue(func() error {
		close(c.closed)
		return raw.Close()
	})
	return c
}

// Close implements [net.Conn].
func (c *limitedConn) Close() error { return c.close() }

// Read implements [net.Conn].
func (c *limitedConn) Read(b []byte) (int, error) {
	c.release(&c.reading)
	n, err := c.Conn.Read(b)
	if err == nil {
		c.acquire(&c.reading)
	}
	return n, err
}

// Write implements [net.Conn].
func (c *limitedConn) Write(b []byte) (int, error) {
	c.release(&c.writing)
	return c.Conn.Write(b)
}

// acquire waits for a goroutine's turn if it needs one. A connection that was closed works
// without a turn: its next read or write fails.
func (c *limitedConn) acquire(holds *atomic.Bool) {
	if c.limited.Load() && c.cpu.acquire(c.closed) {
		holds.Store(true)
	}
}

// release ends a goroutine's turn, if it has one.
func (c *limitedConn) release(holds *atomic.Bool) {
	if holds.CompareAndSwap(true, false) {
		c.cpu.release()
	}
}

// LimitCPU limits the connection's goroutines, or lifts the limit. The goroutines of all
// limited connections share a tenth of a processor, after a burst of 250 ms. Connections of
// strangers are limited. Every connection is limited during its handshake, and none after it
// until LimitCPU is called. LimitCPU does not end a turn that has begun.
func (c *Conn) LimitCPU(limit bool) { c.limited.limited.Store(limit) }

// ReleaseCPU ends the turn of the reading goroutine. On a limited connection that goroutine
// calls it before it waits for anything but the next Read, and when it has stopped reading:
// all other limited connections wait for the turn to end.
func (c *Conn) ReleaseCPU() { c.limited.release(&c.limited.reading) }

// AcquireCPU waits for the turn of the writing goroutine, if it needs one. The turn ends with
// the next write or when release is called, whichever comes first.
func (c *Conn) AcquireCPU() (release func()) {
	c.limited.acquire(&c.limited.writing)
	return func() { c.limited.release(&c.limited.writing) }
}
