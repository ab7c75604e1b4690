package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// What connections hold of frames: those that wait to be written, those that are
// being written, and larger ones that are being read or handled. Beyond its own
// bound a connection ends; beyond that of all together the one that holds most
// ends. Those without a bond have a bound that those with one do not share.
const (
	maxHeld            = 16 << 20  // bytes of a connection with a bond
	maxHeldStranger    = 2 << 20   // bytes of a connection without a bond
	maxHeldBonded      = 128 << 20 // bytes of all connections with a bond
	maxHeldByStrangers = 32 << 20  // bytes of all connections without a bond
)

// held counts the bytes that connections hold.
type held struct{ strangers, bonded int }

// ledger returns the count that the connection is part of, and its bounds.
func (c *conn) ledger() (count *int, one, all int) {
	if c.up > 0 {
		return &c.m.held.bonded, maxHeld, maxHeldBonded
	}
	return &c.m.held.strangers, maxHeldStranger, maxHeldByStrangers
}

// hold counts n bytes and reports whether the connection is still there. The
// caller holds the mutex, as for all that follows.
func (c *conn) hold(n int) bool {
	if c.ended {
		return false
	}
	count, one, all := c.ledger()
	if c.holds+n > one {
		c.m.cfg.Logger.Warn("a peer takes frames too slowly", "peer", c.p.id.Short(), "bytes", c.holds+n, "limit", one)
		c.end(link.CodeUnexpectedClose, false)
		return false
	}
	c.holds += n
	*count += n
	if *count > all {
		c.m.endLargest(count, all)
	}
	return !c.ended
}

// release takes back what hold counted. Of a connection that was cut nothing is
// counted.
func (c *conn) release(n int) {
	count, _, _ := c.ledger()
	n = min(n, c.holds)
	c.holds -= n
	*count -= n
}

// endLargest ends the connection of the count that holds most.
func (m *Manager) endLargest(count *int, limit int) {
	var most *conn
	for _, p := range m.peers {
		for c := range p.conns {
			if of, _, _ := c.ledger(); of == count && (most == nil || c.holds > most.holds) {
				most = c
			}
		}
	}
	if most == nil {
		return
	}
	m.cfg.Logger.Warn("connections hold too many bytes; the one that holds most ends",
		"peer", most.p.id.Short(), "bytes", most.holds, "all", *count, "limit", limit)
	most.end(link.CodeBusy, false)
}

// count adds n, 1 or -1, to the bonds that are up and has the connection counted where it
// belongs.
func (c *conn) count(n int) {
	before, _, _ := c.ledger()
	*before -= c.holds
	switch c.up += n; {
	case c.up == n:
		c.trustedAt = time.Now()
		c.m.cfg.Link.Trust(c.lc.RemoteAddr())
		c.lc.LimitCPU(false)
	case c.up == 0:
		c.m.cfg.Link.Distrust(c.lc.RemoteAddr(), time.Since(c.trustedAt))
		c.lc.LimitCPU(true)
	}
	after, _, _ := c.ledger()
	*after += c.holds
}
