package dialler

import (
	"cmp"
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// Limits bound the dials of a queue. A dial that succeeds counts only while it is in
// flight. One that fails uses up the rates.
type Limits struct {
	// Initial, Min and Max bound the dials in flight. A dial that succeeds allows one more,
	// up to Max. One that fails halves the number, down to Min. Below Min, down to 1, it
	// falls only when handshakes fail: the processors of either end may not keep up.
	Initial, Min, Max int
	// Burst dials may begin at once, and Rate in every second after that.
	Burst, Rate float64
	// DestBurst and DestRate are the same for one destination: an IPv4 address, an IPv6 /64
	// network, or a name.
	DestBurst, DestRate float64
}

var (
	// TrustedLimits are for members and for addresses at which a peer was reached before:
	// they have shown that their addresses are right.
	TrustedLimits = Limits{Initial: 64, Min: 64, Max: 64, Burst: 256, Rate: 64, DestBurst: 128, DestRate: 32}
	// UntrustedLimits are for all other addresses: entries may be made up, and their
	// addresses may be those of a victim.
	UntrustedLimits = Limits{Initial: 16, Min: 4, Max: 32, Burst: 64, Rate: 16, DestBurst: 32, DestRate: 4}
)

// maxDests is the number of destinations with a bucket at which full buckets are dropped.
const maxDests = 256

// dialQueue holds the targets that are due and bounds the dials to them.
type dialQueue struct {
	limits   Limits
	ready    targetHeap // the next one first
	inFlight int        // dials
	window   int        // how many dials may be in flight
	total    *rate.Bucket
	dests    map[string]*rate.Bucket // by destination; a missing one is full
}

func newDialQueue(limits Limits) *dialQueue {
	return &dialQueue{
		limits: limits,
		window: limits.Initial,
		ready:  targetHeap{before: sooner},
		total:  rate.NewBucket(limits.Burst, limits.Rate, time.Now()),
		dests:  map[string]*rate.Bucket{},
	}
}

// sooner orders the targets that are due. Members come first. Then come those that failed
// least, so that a peer that was just discovered does not wait behind thousands that failed
// already. Peers whose connections this end selects come before the others, which probably
// dial this end.
func sooner(t, u *Target) bool {
	return cmp.Or(
		cmp.Compare(t.rank, u.rank),
		cmp.Compare(t.failures, u.failures),
		cmp.Compare(t.selects(), u.selects()),
		t.next.Compare(u.next),
	) < 0
}

// wait returns how long the rate allows no dial.
func (q *dialQueue) wait(now time.Time) time.Duration { return q.total.Wait(now) }

// waitFor is wait for one destination.
func (q *dialQueue) waitFor(dest string, now time.Time) time.Duration {
	if b := q.dests[dest]; b != nil {
		return b.Wait(now)
	}
	return 0
}

// take counts a dial.
func (q *dialQueue) take(now time.Time) {
	q.inFlight++
	q.total.Take(1, now)
}

// takeFor counts a dial to a destination.
func (q *dialQueue) takeFor(dest string, now time.Time) {
	b := q.dests[dest]
	if b == nil {
		if len(q.dests) >= maxDests {
			q.sweep(now)
		}
		b = rate.NewBucket(q.limits.DestBurst, q.limits.DestRate, now)
		q.dests[dest] = b
	}
	b.Take(1, now)
}

// sweep drops the full buckets of destinations. Few remain: a dial keeps one for
// 1/DestRate seconds.
func (q *dialQueue) sweep(now time.Time) {
	for dest, b := range q.dests {
		if b.IsFull(now) {
			delete(q.dests, dest)
		}
	}
}

// giveBack undoes take and takeFor for a dial that did not fail.
func (q *dialQueue) giveBack(dests []string) {
	q.total.Return(1)
	for _, dest := range dests {
		if b := q.dests[dest]; b != nil {
			b.Return(1)
		}
	}
}

// succeeded widens the window.
func (q *dialQueue) succeeded() { q.window = min(q.window+1, q.limits.Max) }

// failed narrows the window.
func (q *dialQueue) failed(err error) {
	least := min(q.window, q.limits.Min)
	if errors.Is(err, link.ErrHandshake) {
		least = 1
	}
	q.window = max(q.window/2, least)
}
