// Package rate paces work: a [Bucket] bounds how much is done in a time, a [Backoff] how soon
// what failed is tried again.
package rate

import (
	"math"
	"sync"
	"time"
)

// Bucket is a token bucket: an amount that grows at a steady rate up to the burst, which is
// what may be spent at once. Claims may exceed what is left. They wait, in their order,
// until the bucket has grown by as much. Its methods may be called concurrently.
type Bucket struct {
	burst, rate float64

	mu      sync.Mutex
	left    float64 // negative while claims wait
	counted time.Time
}

// NewBucket returns a full bucket that grows by rate, more than 0, each second.
func NewBucket(burst, rate float64, now time.Time) *Bucket {
	return &Bucket{burst: burst, rate: rate, left: burst, counted: now}
}

// LongestWait bounds a wait, which as a number of seconds may not fit in a Duration.
const LongestWait = 24 * time.Hour

// Take claims n and returns how long to wait until the bucket has it, at most LongestWait.
func (b *Bucket) Take(n float64, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grow(now)
	b.left -= n
	return b.until(0)
}

// Wait returns how long until 1 may be taken without waiting, at most LongestWait.
func (b *Bucket) Wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grow(now)
	return b.until(1)
}

// Return gives back what was taken and is not spent.
func (b *Bucket) Return(n float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.burst, b.left+n)
}

// IsFull reports whether nothing of the bucket is spent.
func (b *Bucket) IsFull(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grow(now)
	return b.left >= b.burst
}

// Left returns what was left at the last call, less than 0 while claims wait.
func (b *Bucket) Left() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left
}

// grow adds what the rate allows since the last call. A clock that goes back adds nothing.
// The caller holds the lock, as for until.
func (b *Bucket) grow(now time.Time) {
	if passed := now.Sub(b.counted).Seconds(); passed > 0 {
		b.left = min(b.burst, b.left+passed*b.rate)
		b.counted = now
	}
}

// until returns how long it takes until n is left. It rounds up to whole milliseconds, so
// that no caller comes back too early.
func (b *Bucket) until(n float64) time.Duration {
	if b.left >= n {
		return 0
	}
	milliseconds := math.Ceil((n - b.left) / b.rate * 1000)
	return time.Duration(min(milliseconds, float64(LongestWait.Milliseconds()))) * time.Millisecond
}
