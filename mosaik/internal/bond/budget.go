package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

// Budgets bound the work that strangers cause, all of them together and each one alone. A
// connection that exceeds a budget waits. It has at most one claim on a budget at a time, so
// connections take turns.
const (
	// Entries that are verified. A unit is one signature and verifyBytes to hash. All
	// strangers together have verifyBurst at once and verifyRate per second, and each of
	// them half of that: a peer that knows a thousand others sends all their entries at
	// once. An accepted entry is relayed to every peer, so this also bounds what other peers
	// must verify.
	verifyBurst = 2048
	verifyRate  = 128
	verifyBytes = 16 << 10
	// First entries that peers send about themselves. They have their own budget, because
	// otherwise newcomers would wait behind a flood. There is at most one for each
	// connection, and package link bounds the rate of connections.
	firstEntryBurst = 1024
	firstEntryRate  = 256
	// Entries of one peer with a bond, or at the address of a seed. Each has its own budget.
	trustedBurst = 2 * (discovery.MaxPeers + discovery.MaxMembers)
	trustedRate  = 1024

	// Frames with at most smallFrame bytes of payload, such as those of a handshake. The
	// rate suffices for the heartbeats of as many connections as package link accepts.
	smallFrame      = 4 << 10
	smallFrameBurst = 32 << 10
	smallFrameRate  = 8 << 10
	// proofCost is how many small frames an OPEN or INTRO counts as: this peer computes
	// proofs, calls validators and answers.
	proofCost = 32
	// Bytes of larger frames.
	largeFrameBurst = 64 << 20
	largeFrameRate  = 16 << 20
	// Bytes of one stranger's frames of any size. Each frame counts frameCost more.
	strangerBurst = 4 << 20
	strangerRate  = 256 << 10
	frameCost     = 1 << 10

	// Bytes of the catalog that are sent to strangers. A frame counts at least relayCost.
	relayBurst = 32 << 20
	relayRate  = 4 << 20
	relayCost  = 8 << 10
)

// budgets are the budgets that all strangers share.
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

// allowance holds the budgets of one connection. It belongs to the goroutine that
// reads.
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

// trusted reports whether the other end has budgets of its own: it has a bond, or it answered
// at the address of a seed. The caller holds the mutex.
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

// payForEntry waits until an entry with that many bytes may be verified. It is false if the
// connection has ended. own reports that the entry is about the peer itself.
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

// payForFrame waits until the frame that was read fits into the budgets. Frames of a trusted
// peer do not count.
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

// claim is an amount that is taken from a budget.
type claim struct {
	from *rate.Bucket
	n    float64
}

// pay takes n from each budget and waits until all have it.
func (c *conn) pay(n float64, from ...*rate.Bucket) bool {
	claims := make([]claim, len(from))
	for i, b := range from {
		claims[i] = claim{b, n}
	}
	return c.payAll(claims...)
}

// payAll takes the claims and waits until the budgets have them. It is false if the connection
// ends first. Nothing is read meanwhile, so the silence does not count as the peer's.
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
