package group

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// slowPause is the shortest time between two log lines about calls of a machine that run long.
const slowPause = time.Minute

// slowCalls counts the calls of a group's machines that ran long. It is safe for concurrent
// use.
type slowCalls struct {
	applies, queries atomic.Int64
	logged           atomic.Int64 // when one was logged last, in Unix nanoseconds, 0 for never
}

// SlowCalls returns how many commands and how many queries have run long so far.
func (g *Group) SlowCalls() (applies, queries int64) {
	return g.slow.applies.Load(), g.slow.queries.Load()
}

// slow receives which calls of a replica's machine run long now. It logs at once, because the
// group's goroutine may be blocked by such a call.
func (o stateEvents) slow(calls []consensus.SlowCall) {
	before := slices.Clone(o.l.slowSeen)
	o.l.slowSeen = calls
	for _, c := range calls {
		if i := slices.Index(before, c); i >= 0 { // two queries may be equal
			before = slices.Delete(before, i, i+1)
			continue
		}
		if c.Doing == "apply" {
			o.g.slow.applies.Add(1)
		} else {
			o.g.slow.queries.Add(1)
		}
		now := time.Now()
		if last := o.g.slow.logged.Load(); last != 0 && now.Sub(time.Unix(0, last)) < slowPause ||
			!o.g.slow.logged.CompareAndSwap(last, now.UnixNano()) {
			continue
		}
		o.g.log.Warn("machine call runs long", "doing", c.Doing, "type", c.Type, "index", c.Index,
			"running_for", now.Sub(c.Since).Round(time.Millisecond))
	}
	// Not replicaEvents.post: a former replica may still answer reads.
	o.g.inbox.postLatest(localKey{o.l, "slow"}, func() { o.l.slow = calls })
}
