package engine

import (
	"sync/atomic"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// A leader that transfers leadership asks its successor once to campaign. dragonboat ignores
// that silently while the successor has committed entries to apply, which under load is the
// usual case, and the leader then refuses proposals for a whole election timeout. So the
// successor hands the request to Raft repeatedly, until another replica leads or the leader
// gives up.
//
// The same holds for a replica that bootstrapped a shard and is asked to elect itself before
// the bootstrap is applied. Either request is also lost if the replica's queue is full: after
// a worker of dragonboat has waited two seconds for a disk, the queue is full of ticks.

// repeatPause is how long a request may take to have an effect before it is repeated.
const repeatPause = 20 * time.Millisecond

// repeatTransfer repeats a received request to take over leadership.
func (r *Replica) repeatTransfer(request pb.Message) {
	if !r.engine.enter() {
		return
	}
	defer r.engine.leave()
	r.repeat(request, &r.isTakingOver, func() bool {
		leader, _ := r.leader.get()
		return leader != request.From
	})
}

// repeat hands a request to Raft at every change and after every pause, until isOver returns
// true, an election timeout has passed, or the replica ends. If a call with the same flag is
// still running, repeat does nothing. The caller has entered the engine.
func (r *Replica) repeat(request pb.Message, running *atomic.Bool, isOver func() bool) {
	if running.Swap(true) {
		return
	}
	r.engine.repeats.Go(func() {
		defer running.Store(false)
		ticker := time.NewTicker(max(repeatPause, r.engine.tick))
		defer ticker.Stop()
		for end := time.Now().Add(r.election); time.Now().Before(end); {
			changed := r.changes.next().Done()
			if isOver() {
				return
			}
			select {
			case <-ticker.C:
			case <-changed:
			case <-r.done:
				return
			}
			if isOver() {
				return
			}
			if err := r.engine.inject(request); err != nil {
				return
			}
		}
	})
}
