package bond

import (
	"math/rand/v2"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// idleHeartbeat is the heartbeat of connections without a bond.
var idleHeartbeat = Heartbeat{Interval: 500 * time.Millisecond, Jitter: 150 * time.Millisecond, MaxMissed: 10}

// liveness is what a connection knows about the other end's signs of life.
type liveness struct {
	lastFrame time.Time     // when the last frame arrived
	missed    int           // PINGs sent since
	nextProbe time.Time     // when to send the next PING unless a frame arrives
	nonce     uint64        // of the PING that is not answered yet, 0 for none
	pinged    time.Time     // when that PING was first sent
	rtt       time.Duration // last measured, 0 before the first measurement
	wake      chan struct{} // holds a token when runHeartbeat must look again
	paused    bool          // this end does not read, since a budget is used up (budget.go)
	resumed   time.Time     // when this end last began to read again
}

func newLiveness(now time.Time) liveness {
	return liveness{lastFrame: now, wake: make(chan struct{}, 1)}
}

// runHeartbeat does what is due until the connection ends: PINGs, the detection of silence, and
// the deadlines and retries of handshakes. It is called without the mutex.
func (c *conn) runHeartbeat() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.wake:
		case <-c.done:
			return
		}
		c.m.mu.Lock()
		next := c.tick(time.Now())
		c.m.mu.Unlock()
		c.keepMember()
		timer.Reset(time.Until(next))
	}
}

// wakeHeartbeat makes runHeartbeat look again at what is due.
func (c *conn) wakeHeartbeat() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// tick does what is due and returns when to call it again.
func (c *conn) tick(now time.Time) time.Time {
	if !c.selected {
		if !now.Before(c.setupUntil) {
			c.end(consensus.CodeTimeout, true)
		}
		return c.setupUntil
	}
	next := c.checkStall(now, c.checkStranger(now, c.checkSilence(now)))
	for _, b := range c.bonds {
		switch {
		case b.isPending():
			if !now.Before(b.deadline) {
				b.refuse(b.theirs, consensus.CodeTimeout)
			} else {
				next = earlier(next, b.deadline)
			}
		case b.state == stateIdle && b.listed && !b.retry.IsZero():
			if !now.Before(b.retry) {
				b.open()
			} else {
				next = earlier(next, b.retry)
			}
		}
	}
	if c.ended {
		return now
	}
	return earlier(next, c.beat(now))
}

// checkSilence ends the bonds whose peer was silent for too long, and the connection if no bond
// remains. It returns when to check again. Silence counts only if enough PINGs were sent
// meanwhile: a process that was stopped, or had no processor for a while, sends them first.
func (c *conn) checkSilence(now time.Time) time.Time {
	next := now.Add(idleHeartbeat.silence())
	if c.paused {
		return next // pauseReading wakes the goroutine at the end of the pause
	}
	live, died := 0, false
	for _, b := range c.bonds {
		if !b.isUp() {
			continue
		}
		if !b.silent(now) {
			live++
			if limit := c.lastFrame.Add(b.ms.group.Heartbeat.silence()); now.Before(limit) {
				next = earlier(next, limit)
			}
			continue
		}
		died = true
		b.refuse(b.theirs, consensus.CodeTimeout)
	}
	idle := c.lastFrame.Add(idleHeartbeat.silence())
	switch {
	case live > 0:
	case died, !now.Before(idle) && c.missed >= idleHeartbeat.probes():
		c.end(consensus.CodeTimeout, true)
	case now.Before(idle):
		next = earlier(next, idle)
	}
	return next
}

// checkStall ends a connection whose other end does not read a frame in time. It returns when to
// check again. A frame that is begun after the check is first seen when the next PING is due.
func (c *conn) checkStall(now, next time.Time) time.Time {
	limit, inFlight := c.out.deadline()
	switch {
	case !inFlight:
		return next
	case now.Before(limit):
		return earlier(next, limit)
	case !c.ended:
		c.m.cfg.Logger.Warn("peer does not read: connection ended", "peer", c.p.id.Short(), "within", stallTime)
		c.end(consensus.CodeTimeout, false)
	}
	return next
}

// pauseReading records that this end stops reading or, with false, reads again. During a pause
// it sends PINGs, so that the other end sees it alive. It is called without the mutex.
func (c *conn) pauseReading(paused bool) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.paused = paused
	if !paused {
		c.lastFrame, c.missed = time.Now(), 0
		c.resumed = c.lastFrame
		c.wakeHeartbeat()
	}
}

// silent reports whether the peer was silent for longer than the group allows.
func (b *bond) silent(now time.Time) bool {
	h := b.ms.group.Heartbeat
	return !now.Before(b.c.lastFrame.Add(h.silence())) && b.c.missed >= h.probes()
}

// beat sends a PING if no frame has arrived for an interval. It returns when to call it again.
// Until a PING is answered it is repeated with the same nonce, so that a round trip that is
// longer than the interval is measured too.
func (c *conn) beat(now time.Time) time.Time {
	if now.Before(c.nextProbe) {
		return c.nextProbe
	}
	period := c.period()
	if quiet := c.lastFrame.Add(period); now.Before(quiet) && c.rtt > 0 {
		c.nextProbe = quiet
		return quiet
	}
	if c.nonce == 0 {
		c.nonce, c.pinged = rand.Uint64()|1, now
	}
	c.missed++
	c.send(kindPing, appendNumber(nil, c.nonce))
	c.nextProbe = now.Add(period)
	return c.nextProbe
}

// period draws the time to the next PING: the shortest one of the bonds that are up.
func (c *conn) period() time.Duration {
	var shortest time.Duration
	for _, b := range c.bonds {
		if !b.isUp() {
			continue
		}
		if d := b.ms.group.Heartbeat.draw(); shortest == 0 || d < shortest {
			shortest = d
		}
	}
	if shortest == 0 {
		return idleHeartbeat.draw()
	}
	return shortest
}

// draw returns the interval less a random part of the jitter.
func (h Heartbeat) draw() time.Duration { return h.Interval - rand.N(h.Jitter+1) }

// rescheduleProbe brings the next PING forward after a bond has come up whose interval may
// be shorter.
func (c *conn) rescheduleProbe() {
	c.nextProbe = earlier(c.nextProbe, time.Now().Add(c.period()))
	c.wakeHeartbeat()
}

func (c *conn) handlePing(nonce uint64) consensus.CloseCode {
	c.send(kindPong, appendNumber(nil, nonce))
	return consensus.CodeAccepted
}

func (c *conn) handlePong(nonce uint64) consensus.CloseCode {
	if c.nonce != 0 && nonce == c.nonce {
		now := time.Now()
		c.rtt, c.nonce = now.Sub(c.pinged), 0
		c.lastFrame, c.missed = now, 0
	}
	return consensus.CodeAccepted
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
