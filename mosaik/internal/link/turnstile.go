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
	strangersShare = 0.1
	strangersBurst = 250 * time.Millisecond
	// longestTurn bounds what one turn counts for. On a machine with too much to
	// do a turn takes longer than the processor works on it, and strangers would
	// get less the less there is.
	longestTurn = time.Millisecond
)

// turnstile lets the connections of strangers use a processor one after the
// other, and not all of its time. Go runs what is ready in turn: hundreds of
// connections that are ready at the same time would have a member's own
// goroutines wait for all of them.
type turnstile struct {
	turn chan struct{} // full while a goroutine is through

	// They belong to the goroutine that is through.
	began   time.Time
	left    time.Duration // what may be used at once, negative for what was used too much
	counted time.Time     // when left was
}

func newTurnstile() *turnstile {
	return &turnstile{turn: make(chan struct{}, 1), left: strangersBurst, counted: time.Now()}
}

// enter waits for a turn and reports whether it came before done was closed.
func (t *turnstile) enter(done <-chan struct{}) bool {
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
func (t *turnstile) refill(now time.Time) time.Duration {
	t.left = min(strangersBurst, t.left+time.Duration(float64(now.Sub(t.counted))*strangersShare))
	t.counted = now
	return max(0, time.Duration(float64(-t.left)/strangersShare))
}

// leave ends a turn.
func (t *turnstile) leave() {
	t.left -= min(longestTurn, time.Since(t.began))
	<-t.turn
}

// patient is a connection whose goroutines may have to pass a turnstile before
// they work: the one that reads, from the end of a Read to the next, and the one
// that writes, from [Conn.Enter] to the next Write.
type patient struct {
	net.Conn
	turnstile *turnstile
	turns     atomic.Bool // the goroutines take turns
	reading   atomic.Bool // the reading goroutine is through
	writing   atomic.Bool // the writing goroutine is through
	closed    chan struct{}
	close     func() error // sync.OnceValue
}

func newPatient(raw net.Conn, t *turnstile) *patient {
	p := &patient{Conn: raw, turnstile: t, closed: make(chan struct{})}
	p.close = sync.OnceValue(func() error {
		close(p.closed)
		return raw.Close()
	})
	return p
}

// Close implements [net.Conn].
func (p *patient) Close() error { return p.close() }

// Read implements [net.Conn].
func (p *patient) Read(b []byte) (int, error) {
	p.end(&p.reading)
	n, err := p.Conn.Read(b)
	if err == nil {
		p.begin(&p.reading)
	}
	return n, err
}

// Write implements [net.Conn].
func (p *patient) Write(b []byte) (int, error) {
	p.end(&p.writing)
	return p.Conn.Write(b)
}

// begin waits for the turn of a goroutine, if it takes turns.
func (p *patient) begin(through *atomic.Bool) {
	if p.turns.Load() && p.turnstile.enter(p.closed) {
		through.Store(true)
	}
}

// end ends the turn of a goroutine.
func (p *patient) end(through *atomic.Bool) {
	if through.CompareAndSwap(true, false) {
		p.turnstile.leave()
	}
}

// TakeTurns says whether the connection's goroutines take turns with those of all
// connections that do: together they use a tenth of a processor, after 250 ms at
// once. The connection of a stranger does, that of a member works at once. It
// does not end a turn. Connections do not take turns after their handshake.
func (c *Conn) TakeTurns(take bool) { c.patient.turns.Store(take) }

// Rest ends the turn of the goroutine that reads. On a connection that takes turns
// that goroutine calls Rest before it waits for anything but the next Read, and
// when it has stopped reading: all others wait for it.
func (c *Conn) Rest() { c.patient.end(&c.patient.reading) }

// Enter waits for the turn of the goroutine that writes. The turn ends with the
// next write, or when the function is called that Enter returns.
func (c *Conn) Enter() (leave func()) {
	c.patient.begin(&c.patient.writing)
	return func() { c.patient.end(&c.patient.writing) }
}
