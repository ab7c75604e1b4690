package engine

import (
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// A leader that transfers leadership asks its successor once to campaign. dragonboat ignores
// that silently while the successor has committed entries to apply, which under load is the
// usual case, and the leader then refuses proposals for a whole election timeout. So the
// successor hands the request to Raft repeatedly, until another replica leads or the leader
// gives up.

// repeatPause is how long a request may take to have an effect before it is repeated.
const repeatPause = 20 * time.Millisecond

// repeatTransfer repeats a received request to take over leadership.
func (r *Replica) repeatTransfer(request pb.Message) {
	if !r.engine.enter() {
		return
	}
	defer r.engine.leave()
	if r.isRepeating.Swap(true) {
		return
	}
	r.engine.repeats.Go(func() {
		defer r.isRepeating.Store(false)
		ticker := time.NewTicker(max(repeatPause, r.engine.tick))
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
			if err := r.engine.transport.Inject(request); err != nil {
				return
			}
		}
	})
}
