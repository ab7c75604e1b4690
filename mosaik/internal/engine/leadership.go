package engine

import (
	"context"
	"fmt"
	"sync"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// leader is what a replica knows of its shard's leader.
type leader struct {
	mu       sync.Mutex
	replica  uint64 // 0 for none
	term     sm.Term
	last     uint64        // the last known leader
	since    sm.Term       // the term in which last was elected
	replaced chan struct{} // closed, and made again, when another leader is elected
}

func (l *leader) set(replica uint64, term sm.Term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if replica != 0 && (replica != l.last || term != l.since) {
		l.last, l.since = replica, term
		close(l.replaced)
		l.replaced = make(chan struct{})
	}
	l.replica, l.term = replica, term
}

func (l *leader) get() (replica uint64, term sm.Term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replica, l.term
}

// successor returns a channel that is closed once another leader is elected.
func (l *leader) successor() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replaced
}

// changes signals changes of the leader and of the membership.
type changes struct {
	mu     sync.Mutex
	ctx    context.Context // ends at the next change; nil while nobody waits for it
	cancel context.CancelFunc
}

// next returns a context that ends at the next change.
func (c *changes) next() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	return c.ctx
}

func (c *changes) signal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil {
		c.cancel()
		c.ctx, c.cancel = nil, nil
	}
}

// Leader returns the shard's leader, as far as this replica knows, and its term; ok is false
// while there is none.
func (r *Replica) Leader() (replica uint64, term sm.Term, ok bool) {
	replica, term = r.leader.get()
	return replica, term, replica != 0
}

// TransferLeadership asks the leader to transfer leadership to a replica. A replica without a
// vote cannot ask. The request may have no effect: [Events.LeaderChanged] shows whether it had.
// [ErrBusy] reports that an earlier request is still pending.
func (r *Replica) TransferLeadership(replica uint64) error {
	if !r.engine.enter() {
		return ErrClosed
	}
	defer r.engine.leave()
	if err := r.ended(); err != nil {
		return err
	}
	if err := r.engine.host.RequestLeaderTransfer(r.shard, replica); err != nil {
		return fmt.Errorf("engine: transfer leadership to replica %d: %w", replica, translate(err))
	}
	return nil
}

// Campaign makes a replica that bootstrapped a shard elect itself now instead of an election
// timeout later. It is for the only replica of a shard. It returns at once, and does nothing
// if there is a leader. The request is repeated until a leader is known, since dragonboat
// ignores it before the bootstrap is applied.
func (r *Replica) Campaign() error {
	if !r.engine.enter() {
		return ErrClosed
	}
	defer r.engine.leave()
	if err := r.ended(); err != nil {
		return err
	}
	elected := r.leader.successor()
	if _, _, ok := r.Leader(); ok {
		return nil
	}
	request := pb.Message{Type: pb.TimeoutNow, ShardID: r.shard, From: r.id, To: r.id}
	if err := r.engine.inject(request); err != nil {
		return err
	}
	r.repeat(request, &r.isCampaigning, func() bool {
		select {
		case <-elected:
			return true
		default:
			return false
		}
	})
	return nil
}
