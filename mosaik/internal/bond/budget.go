package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

// What peers without a bond may make this one do, all of them together and each
// alone. Connections that want more than there is wait their turn: each has at
// most one claim at a time, so the queue goes round among them.
const (
	// Entries to verify, in units of one signature and 16 KiB to hash. All
	// strangers have verifyBurst at once and verifyRate in a second, one of them
	// half of that: what a peer of a thousand others knows comes at once. A change that is
	// accepted is passed on to every peer, so this bounds what others get to verify, too.
	verifyBurst = 2048
	verifyRate  = 128
	verifyBytes = 16 << 10
	// The first entry that a peer sends about itself is not among them, or
	// newcomers would wait for a flood. There are no more of them than
	// connections, whose rate is bounded.
	firstEntryBurst = 1024
	firstEntryRate  = 256
	// A peer with a bond, or at the address of a seed, has a budget of its own.
	trustedBurst = 2 * (discovery.MaxPeers + discovery.MaxMembers)
	trustedRate  = 1024

	// Frames with at most smallFrame bytes of payload are counted, those of a
	// handshake among them; larger ones are measured. The heartbeats of as many
	// connections as a link accepts by default are all of the rate.
	smallFrame      = 4 << 10
	smallFrameBurst = 32 << 10
	smallFrameRate  = 8 << 10
	// A frame of the handshake of a bond makes us compute proofs, consult
	// validators and answer.
	proofCost       = 32
	largeFrameBurst = 64 << 20
	largeFrameRate  = 16 << 20
	// What one connection may send besides, in bytes, with frameCost added for
	// each frame.
	strangerBurst = 4 << 20
	strangerRate  = 256 << 10
	frameCost     = 1 << 10

	// What strangers are sent of the catalog, in bytes; a frame counts as
	// relayCost at least.
	relayBurst = 32 << 20
	relayRate  = 4 << 20
	relayCost  = 8 << 10
)

// budgets are those that all strangers share.
type budgets struct{ verify, firstEntries, smallFrames, largeFrames, relay *rate.Bucket }

func newBudgets(now time.Time) budgets {
	return budgets{
		verify:       rate.NewBucket(verifyBurst, verifyRate, now),
		firstEntries: rate.NewBucket(firstEntryBurst, firstEntryRate, now),
		smallFrames:  rate.NewBucket(smallFrameBurst, smallFrameRate, now),
		largeFrames:  rate.NewBucket(largeFrameBurst, largeFrameRate, now),
		relay:        rate.NewBucket(relayBurst, relayRate, now),
	}
}

// allowance is what one connection has of the budgets. It belongs to the
// goroutine that reads.
type allowance struct {
	verify      *rate.Bucket // as a stranger
	bytes       *rate.Bucket
	own         *rate.Bucket // of a trusted peer, nil before it was one
	ownVerified bool         // an entry about the peer itself was verified
}

func newAllowance(now time.Time) allowance {
	return allowance{
		verify: rate.NewBucket(verifyBurst/2, verifyRate/2, now),
		bytes:  rate.NewBucket(strangerBurst, strangerRate, now),
	}
}

// trusted reports whether the other end has budgets of its own: it has a bond,
// or the address of a seed led to it. The caller holds the mutex.
func (c *conn) trusted() bool {
	if c.up > 0 {
		return true
	}
	for _, s := range c.m.seeds {
		for _, peer := range s.peers {
			if peer == c.p.id {
				return true
			}
		}
	}
	return false
}

// payForEntry waits until an entry with so many bytes may be verified. It
// reports whether the connection is still there.
func (c *conn) payForEntry(own bool, bytes int) bool {
	c.m.mu.Lock()
	trusted := c.trusted()
	c.m.mu.Unlock()
	units := 1 + float64(bytes/verifyBytes)
	switch {
	case trusted:
		if c.allowance.own == nil {
			c.allowance.own = rate.NewBucket(trustedBurst, trustedRate, time.Now())
		}
		return c.pay(units, c.allowance.own)
	case own && !c.allowance.ownVerified:
		c.allowance.ownVerified = true
		return c.pay(units, c.m.budgets.firstEntries)
	}
	return c.pay(units, c.allowance.verify, c.m.budgets.verify)
}

// payForFrame waits for as long as a frame that was read is ahead of its time. A
// peer with a bond is trusted not to send too much.
func (c *conn) payForFrame(kind uint8, bytes int) {
	c.m.mu.Lock()
	trusted := c.trusted()
	c.m.mu.Unlock()
	if trusted {
		return
	}
	if bytes <= smallFrame {
		count := 1.0
		if kind == kindOpen || kind == kindIntro {
			count = proofCost
		}
		c.payAll(claim{c.allowance.bytes, float64(bytes + frameCost)}, claim{c.m.budgets.smallFrames, count})
		return
	}
	n := float64(bytes + frameCost)
	c.payAll(claim{c.allowance.bytes, n}, claim{c.m.budgets.largeFrames, n})
}

// claim is what is taken out of a budget.
type claim struct {
	from *rate.Bucket
	n    float64
}

// pay takes n out of each budget and waits until it is there.
func (c *conn) pay(n float64, from ...*rate.Bucket) bool {
	claims := make([]claim, len(from))
	for i, b := range from {
		claims[i] = claim{b, n}
	}
	return c.payAll(claims...)
}

// payAll takes the claims and waits until all are there, unless the connection
// ends first. Meanwhile nothing is read, and the silence is not the peer's.
func (c *conn) payAll(claims ...claim) bool {
	now := time.Now()
	var wait time.Duration
	for _, x := range claims {
		wait = max(wait, x.from.Take(x.n, now))
	}
	if wait == 0 {
		return true
	}
	c.lc.ReleaseCPU()
	c.pauseReading(true)
	defer c.pauseReading(false)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.done:
		for _, x := range claims {
			x.from.Return(x.n)
		}
		return false
	}
}
