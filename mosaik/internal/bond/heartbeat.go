package bond

import (
	"math/rand/v2"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// idleHeartbeat is that of connections without a bond.
var idleHeartbeat = Heartbeat{Interval: 500 * time.Millisecond, Jitter: 150 * time.Millisecond, MaxMissed: 10}

// liveness is what a connection knows about the other end's life.
type liveness struct {
	lastFrame time.Time     // when the last frame came
	missed    int           // PINGs sent since
	nextProbe time.Time     // when to probe next, unless something is heard before
	nonce     uint64        // of the PING that is not answered yet, 0 for none
	pinged    time.Time     // when that was sent first
	rtt       time.Duration // the last measured, 0 for none
	wake      chan struct{} // holds a token when something is to be done earlier
	paused    bool          // nothing is read, which is this end's doing (budget.go)
	resumed   time.Time     // since when it is read again
}

func newLiveness(now time.Time) liveness {
	return liveness{lastFrame: now, wake: make(chan struct{}, 1)}
}

// runHeartbeat keeps the connection's time until it ends: heartbeats, silence, and the
// limits and repetitions of handshakes.
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

// wakeHeartbeat has the probe look again at what is due when.
func (c *conn) wakeHeartbeat() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// tick does what is due and returns when to look again.
func (c *conn) tick(now time.Time) time.Time {
	if !c.selected {
		if !now.Before(c.setupUntil) {
			c.end(link.CodeTimeout, true)
		}
		return c.setupUntil
	}
	next := c.checkStall(now, c.checkStranger(now, c.checkSilence(now)))
	for _, b := range c.bonds {
		switch {
		case b.isPending():
			if !now.Before(b.deadline) {
				b.refuse(b.theirs, link.CodeTimeout)
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

// checkSilence ends the bonds whose peer was silent for too long, and the
// connection when that leaves none, and returns when to check again. Silence is
// the peer's only if it was asked often enough meanwhile: a process that was
// stopped, or had no processor for a while, asks before it judges.
func (c *conn) checkSilence(now time.Time) time.Time {
	next := now.Add(idleHeartbeat.silence())
	if c.paused {
		return next // the end of that wakes the probe
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
		b.refuse(b.theirs, link.CodeTimeout)
	}
	idle := c.lastFrame.Add(idleHeartbeat.silence())
	switch {
	case live > 0:
	case died, !now.Before(idle) && c.missed >= idleHeartbeat.probes():
		c.end(link.CodeTimeout, true)
	case now.Before(idle):
		next = earlier(next, idle)
	}
	return next
}

// checkStall ends a connection whose other end does not take a frame in time, and
// returns when to check again. It is noticed when the next probe is due.
func (c *conn) checkStall(now, next time.Time) time.Time {
	limit, inFlight := c.out.deadline()
	switch {
	case !inFlight:
		return next
	case now.Before(limit):
		return earlier(next, limit)
	case !c.ended:
		c.m.cfg.Logger.Warn("a peer does not take a frame", "peer", c.p.id.Short(), "within", stallTime)
		c.end(link.CodeTimeout, false)
	}
	return next
}

// pauseReading notes that this end does not read for a while, or reads again. Meanwhile
// it sends PINGs, so that the other end hears it.
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

// beat sends a PING when nothing was heard for a heartbeat and returns when to
// look again. Until a PING is answered it is sent again with the same nonce, so
// that a round trip longer than the heartbeat is measured too.
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

// period draws the time to the next probe: the shortest of the bonds that are up.
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

// rescheduleProbe draws the time of the next probe anew after a bond came up.
func (c *conn) rescheduleProbe() {
	c.nextProbe = earlier(c.nextProbe, time.Now().Add(c.period()))
	c.wakeHeartbeat()
}

func (c *conn) handlePing(nonce uint64) link.Code {
	c.send(kindPong, appendNumber(nil, nonce))
	return link.CodeAccepted
}

func (c *conn) handlePong(nonce uint64) link.Code {
	if c.nonce != 0 && nonce == c.nonce {
		now := time.Now()
		c.rtt, c.nonce = now.Sub(c.pinged), 0
		c.lastFrame, c.missed = now, 0
	}
	return link.CodeAccepted
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
