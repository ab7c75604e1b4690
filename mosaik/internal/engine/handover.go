package engine

import (
	"sync/atomic"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// A leader that hands on the lead asks its successor to stand for election, once.
// dragonboat ignores that without notice while the successor has committed
// entries left to apply, which under load it mostly has, and the leader then
// refuses proposals for a whole election timeout in vain. So the request is
// handed in again and again, until another replica leads or the leader gives up.
//
// The same holds for a replica that bootstrapped a shard and is asked to elect itself
// before the bootstrap is applied. Either request is also lost where the replica's queue is
// full: a worker of dragonboat that waits two seconds for a disk finds it full of ticks.

// handoverPause is how long to wait for what the request brings about, before it
// is handed in again.
const handoverPause = 20 * time.Millisecond

// insist repeats a request to take the lead that was received.
func (r *Replica) insist(request pb.Message) {
	if !r.engine.enter() {
		return
	}
	defer r.engine.leave()
	r.repeat(request, &r.insisting, func() bool {
		leader, _ := r.leader.get()
		return leader != request.From
	})
}

// repeat hands a request in at every change and after every pause, until over reports
// true, an election timeout has passed, or the replica ends. One call at a time does so
// for each value of repeating. The caller has entered the engine.
func (r *Replica) repeat(request pb.Message, repeating *atomic.Bool, over func() bool) {
	if repeating.Swap(true) {
		return
	}
	r.engine.serving.Go(func() {
		defer repeating.Store(false)
		ticker := time.NewTicker(max(handoverPause, r.engine.tick))
		defer ticker.Stop()
		for end := time.Now().Add(r.election); time.Now().Before(end); {
			changed := r.changes.next().Done()
			if over() {
				return
			}
			select {
			case <-ticker.C:
			case <-changed:
			case <-r.done:
				return
			}
			if over() {
				return
			}
			if err := r.engine.transport.inject(request); err != nil {
				return
			}
		}
	})
}
