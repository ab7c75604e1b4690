package bond

import (
	"cmp"
	"errors"
	"math"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// laneLimits bound the dials of a lane. A dial that succeeds counts only while
// it is in flight; one that fails uses up the rates.
type laneLimits struct {
	// Dials in flight: at first, at least and at most. A dial that succeeds
	// allows one more, one that fails half as many. Below least, down to one,
	// it takes dials whose handshake failed: the processors of either end may
	// not keep up.
	first, least, most int
	// Dials at once, and in every second after that.
	burst, rate float64
	// The same for one destination: an IPv4 address, an IPv6 /64 network, or a
	// name.
	destBurst, destRate float64
}

var (
	// memberLimits are for members and for addresses at which peers were reached
	// before: they have shown that they are where they say.
	memberLimits = laneLimits{first: 64, least: 64, most: 64, burst: 256, rate: 64, destBurst: 128, destRate: 32}
	// freshLimits are for all other addresses: entries may be made up, and the
	// addresses those of a victim.
	freshLimits = laneLimits{first: 16, least: 4, most: 32, burst: 64, rate: 16, destBurst: 32, destRate: 4}
)

// maxDests is how many destinations are counted before those that may be dialled
// at once again are dropped.
const maxDests = 256

// lane is a budget for dials, with the peers that wait for it. The manager's
// mutex guards it.
type lane struct {
	limits laneLimits
	ready  queue // peers that are due, the next one first
	flying int   // dials in flight
	window int   // how many may be
	total  dialRate
	dests  map[string]*dialRate
}

func newLane(limits laneLimits) *lane {
	return &lane{limits: limits, window: limits.first, ready: queue{before: sooner}, dests: map[string]*dialRate{}}
}

// sooner orders the peers that are due: members first, then those that failed
// least, so that an entry that was just learned is not behind thousands that
// failed already. The peers that this end selects connections of come before the
// others, which most probably dial us.
func sooner(p, q *peer) bool {
	return cmp.Or(
		cmp.Compare(p.rank, q.rank),
		cmp.Compare(p.failures, q.failures),
		cmp.Compare(p.follower(), q.follower()),
		p.next.Compare(q.next),
	) < 0
}

// wait returns how long no dial may begin because of the rate.
func (l *lane) wait(now time.Time) time.Duration {
	return l.total.wait(now, l.limits.burst, l.limits.rate)
}

// waitFor is wait for one destination.
func (l *lane) waitFor(dest string, now time.Time) time.Duration {
	if b := l.dests[dest]; b != nil {
		return b.wait(now, l.limits.destBurst, l.limits.destRate)
	}
	return 0
}

// take counts a dial.
func (l *lane) take(now time.Time) {
	l.flying++
	l.total.take(now, l.limits.rate)
}

// takeFor counts a dial to a destination.
func (l *lane) takeFor(dest string, now time.Time) {
	b := l.dests[dest]
	if b == nil {
		if len(l.dests) >= maxDests {
			l.sweep(now)
		}
		b = &dialRate{}
		l.dests[dest] = b
	}
	b.take(now, l.limits.destRate)
}

// sweep drops the destinations that may be dialled at once. Those that stay are
// few: a dial keeps one for 1/destRate seconds.
func (l *lane) sweep(now time.Time) {
	for dest, b := range l.dests {
		if b.leak(now, l.limits.destRate); b.used == 0 {
			delete(l.dests, dest)
		}
	}
}

// giveBack undoes take and takeFor for a dial that did not fail.
func (l *lane) giveBack(dests []string) {
	l.total.giveBack()
	for _, dest := range dests {
		if b := l.dests[dest]; b != nil {
			b.giveBack()
		}
	}
}

// succeeded widens the window.
func (l *lane) succeeded() { l.window = min(l.window+1, l.limits.most) }

// failed narrows the window.
func (l *lane) failed(err error) {
	least := min(l.window, l.limits.least)
	if errors.Is(err, link.ErrHandshake) {
		least = 1
	}
	l.window = max(l.window/2, least)
}

// dialRate counts what is used of a rate of dials. The zero dialRate is unused.
type dialRate struct {
	used    float64
	counted time.Time
}

// leak takes off what the rate allows since the last call.
func (b *dialRate) leak(now time.Time, rate float64) {
	b.used = max(0, b.used-now.Sub(b.counted).Seconds()*rate)
	b.counted = now
}

func (b *dialRate) take(now time.Time, rate float64) {
	b.leak(now, rate)
	b.used++
}

func (b *dialRate) giveBack() { b.used = max(0, b.used-1) }

// wait returns how long it takes until one more fits, in whole milliseconds.
func (b *dialRate) wait(now time.Time, burst, rate float64) time.Duration {
	b.leak(now, rate)
	excess := b.used + 1 - burst
	if excess <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(excess/rate*1000)) * time.Millisecond
}
