package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// Bounds of the frames that connections hold in memory: frames that are queued or being
// written, and large ones that are being read or handled. A connection that exceeds its own
// bound ends. If all together exceed theirs, the connection that holds most ends. Connections
// with a bond and without one have separate bounds, so strangers cannot use up those of
// members.
const (
	maxHeld            = 16 << 20  // bytes of a connection with a bond
	maxHeldStranger    = 2 << 20   // bytes of a connection without a bond
	maxHeldBonded      = 128 << 20 // bytes of all connections with a bond
	maxHeldByStrangers = 32 << 20  // bytes of all connections without a bond
)

// held counts the bytes of frames that connections hold.
type held struct{ strangers, bonded int }

// ledger returns the count to which the connection belongs, and the bounds of one connection
// and of all.
func (c *conn) ledger() (count *int, one, all int) {
	if c.up > 0 {
		return &c.m.held.bonded, maxHeld, maxHeldBonded
	}
	return &c.m.held.strangers, maxHeldStranger, maxHeldByStrangers
}

// hold counts n bytes. It is false if the connection has ended, perhaps because of them. The
// caller holds the mutex, as for the functions below.
func (c *conn) hold(n int) bool {
	if c.ended {
		return false
	}
	count, one, all := c.ledger()
	if c.holds+n > one {
		c.m.cfg.Logger.Warn("peer reads too slowly: connection ended", "peer", c.p.id.Short(), "bytes", c.holds+n, "limit", one)
		c.end(consensus.CodeUnexpectedClose, false)
		return false
	}
	c.holds += n
	*count += n
	if *count > all {
		c.m.endLargest(count, all)
	}
	return !c.ended
}

// release takes back what hold counted. A connection that ended without telling the other end
// counts nothing.
func (c *conn) release(n int) {
	count, _, _ := c.ledger()
	n = min(n, c.holds)
	c.holds -= n
	*count -= n
}

// endLargest ends the connection that holds most among those of the count.
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
	m.cfg.Logger.Warn("connections hold too many bytes: the largest one ended",
		"peer", most.p.id.Short(), "bytes", most.holds, "all", *count, "limit", limit)
	most.end(consensus.CodeBusy, false)
}

// count adds n, 1 or -1, to the bonds that are up, and moves the connection between the counts
// of strangers and members, the trust in its address included.
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
