package fault

import (
	"sync"
	"time"
)

// lane is the capacity of one direction of a link. The connections of the link share it.
type lane struct {
	mu   sync.Mutex
	rate int       // bytes a second, 0 for no bound
	free time.Time // when the next byte may pass
}

// turn is for how long one connection has a lane to itself.
const turn = 10 * time.Millisecond

// limit sets the rate. What waits for the lane must be woken.
func (l *lane) limit(rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate, l.free = rate, time.Time{}
}

// take returns how many of n bytes may pass now, at least one if any may, and otherwise
// how long until some may. A nil lane has no bound.
func (l *lane) take(n int, now time.Time) (allowed int, wait time.Duration) {
	if l == nil || n == 0 {
		return n, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return n, 0
	}
	if wait := l.free.Sub(now); wait > 0 {
		return 0, wait
	}
	n = min(n, max(1, int(int64(l.rate)*int64(turn)/int64(time.Second))))
	l.free = now.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
	return n, 0
}
