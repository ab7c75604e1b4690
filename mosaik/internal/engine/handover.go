package engine

import (
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// A leader that hands on the lead asks its successor to stand for election, once.
// dragonboat ignores that without notice while the successor has committed
// entries left to apply, which under load it mostly has, and the leader then
// refuses proposals for a whole election timeout in vain. So the request is
// handed in again and again, until another replica leads or the leader gives up.

// handoverPause is how long to wait for what the request brings about, before it
// is handed in again.
const handoverPause = 20 * time.Millisecond

// insist repeats a request to take the lead that was received.
func (r *Replica) insist(request pb.Message) {
	if !r.engine.enter() {
		return
	}
	defer r.engine.leave()
	if r.insisting.Swap(true) {
		return
	}
	r.engine.serving.Go(func() {
		defer r.insisting.Store(false)
		ticker := time.NewTicker(max(handoverPause, r.engine.tick))
		defer ticker.Stop()
		for over := time.Now().Add(r.election); time.Now().Before(over); {
			changed := r.changes.next().Done()
			if leader, _ := r.leader.get(); leader != request.From {
				return
			}
			select {
			case <-ticker.C:
			case <-changed:
				continue
			case <-r.done:
				return
			}
			if err := r.engine.transport.inject(request); err != nil {
				return
			}
		}
	})
}
