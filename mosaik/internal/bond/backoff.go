package bond

import (
	"math/rand/v2"
	"time"
)

// backoff draws the pauses between attempts.
type backoff struct {
	bounds Backoff
	next   time.Duration // 0 before the first
}

// pause returns how long to wait before the next attempt.
func (b *backoff) pause() time.Duration { return b.pauseUpTo(b.bounds.Max) }

// pauseUpTo is pause with another upper bound.
func (b *backoff) pauseUpTo(longest time.Duration) time.Duration {
	d := min(max(b.next, b.bounds.Min), longest)
	b.next = min(2*d, longest)
	return d - rand.N(d/2+1)
}

// succeeded tells the backoff that an attempt held for that long. Success that
// does not last does not shorten the pauses: two peers that keep ending each
// other's connections must not do so at full speed.
func (b *backoff) succeeded(held time.Duration) {
	if held >= b.bounds.Max {
		b.next = 0
	}
}
