package rate

import (
	"math/rand/v2"
	"time"
)

// Bounds are the shortest and the longest pause of a [Backoff].
type Bounds struct{ Min, Max time.Duration }

// Backoff draws the pauses between attempts. They double from one attempt to the next, and
// a random part of up to a half is left out of each, so that peers that failed together do
// not come back together. It belongs to one goroutine or to its caller's lock.
type Backoff struct {
	bounds Bounds
	next   time.Duration // 0 before the first attempt
}

// NewBackoff returns a backoff whose first pause is the shortest.
func NewBackoff(bounds Bounds) Backoff { return Backoff{bounds: bounds} }

// Bounds returns the bounds of the pauses.
func (b *Backoff) Bounds() Bounds { return b.bounds }

// Pause returns how long to wait before the next attempt.
func (b *Backoff) Pause() time.Duration { return b.PauseUpTo(b.bounds.Max) }

// PauseUpTo is Pause with another upper bound.
func (b *Backoff) PauseUpTo(longest time.Duration) time.Duration {
	d := min(max(b.next, b.bounds.Min), longest)
	b.next = min(2*d, longest)
	return d - rand.N(d/2+1)
}

// Succeeded reports that what an attempt achieved lasted that long. Only success that lasts
// for the longest pause makes the next pause the shortest again: two peers that keep ending
// each other's connections must not do so at full speed.
func (b *Backoff) Succeeded(lasted time.Duration) {
	if lasted >= b.bounds.Max {
		b.next = 0
	}
}
