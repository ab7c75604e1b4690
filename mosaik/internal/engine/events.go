package engine

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/raftio"

	"github.com/mosaik-go/mosaik/sm"
)

// event is one call of the owner of a replica.
type event interface{ notify(Events) }

type (
	leaderChanged struct {
		leader uint64
		term   sm.Term
	}
	membershipChanged struct{}
	removed           struct{}
	logStalled        struct {
		stalled bool
		took    time.Duration
	}
	lagging struct {
		behind         bool
		entries, bytes int
	}
	snapshotTaken  struct{}
	snapshotFailed struct{ err error }
	failed         struct{ err error }
)

func (e leaderChanged) notify(to Events)   { to.LeaderChanged(e.leader, e.term) }
func (membershipChanged) notify(to Events) { to.MembershipChanged() }
func (removed) notify(to Events)           { to.Removed() }
func (e logStalled) notify(to Events)      { to.LogStalled(e.stalled, e.took) }
func (e lagging) notify(to Events)         { to.Lagging(e.behind, e.entries, e.bytes) }
func (snapshotTaken) notify(to Events)     { to.SnapshotTaken() }
func (e snapshotFailed) notify(to Events)  { to.SnapshotFailed(e.err) }
func (e failed) notify(to Events)          { to.Failed(e.err) }

// dispatcher calls the owners of replicas from one goroutine, in the order of the events of each
// replica. It lets dragonboat's workers report events without waiting for an owner, whose lock is
// held while the engine requests a snapshot.
//
// The queue holds at most one event of each type for each replica: a later event replaces the
// earlier one. This loses nothing, because an owner needs the latest leader, the fact that the
// membership changed, and the result of the latest snapshot. mu is a leaf of the lock order.
type dispatcher struct {
	wake chan struct{} // holds a token when the queue may hold events
	done chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	queue  map[*Replica][]event // events of each replica, oldest first
	order  []*Replica           // the replicas in queue, in the order of their first events
	closed bool
}

func newDispatcher() *dispatcher {
	d := &dispatcher{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go d.run()
	return d
}

// post queues an event, in place of the queued one of its type. It does nothing once the dispatcher
// is closed.
func (d *dispatcher) post(r *Replica, e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	queued, known := d.queue[r]
	if !known {
		d.order = append(d.order, r)
	}
	if d.queue == nil {
		d.queue = map[*Replica][]event{}
	}
	queued = slices.DeleteFunc(queued, func(old event) bool { return reflect.TypeOf(old) == reflect.TypeOf(e) })
	d.queue[r] = append(queued, e)
	d.signal()
}

func (d *dispatcher) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// close discards queued events, ends the goroutine and waits for it.
func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed, d.queue, d.order = true, nil, nil
	d.mu.Unlock()
	d.signal()
	<-d.done
}

func (d *dispatcher) run() {
	defer close(d.done)
	for range d.wake {
		d.mu.Lock()
		queue, order, closed := d.queue, d.order, d.closed
		d.queue, d.order = nil, nil
		d.mu.Unlock()
		if closed {
			return
		}
		for _, r := range order {
			for _, e := range queue[r] {
				r.dispatch(e)
			}
		}
	}
}

// listener receives dragonboat's events. dragonboat waits for its methods, so they must not
// block.
type listener struct{ engine *Engine }

var (
	_ raftio.IRaftEventListener   = listener{}
	_ raftio.ISystemEventListener = listener{}
)

// LeaderUpdated implements [raftio.IRaftEventListener].
func (l listener) LeaderUpdated(info raftio.LeaderInfo) {
	if r := l.find(info.ShardID, info.ReplicaID); r != nil {
		r.leader.set(info.LeaderID, sm.Term(info.Term))
		r.changes.signal()
		r.report(leaderChanged{info.LeaderID, sm.Term(info.Term)})
	}
}

// MembershipChanged implements [raftio.ISystemEventListener].
func (l listener) MembershipChanged(info raftio.NodeInfo) {
	if r := l.find(info.ShardID, info.ReplicaID); r != nil {
		r.changes.signal()
		r.report(membershipChanged{})
	}
}

// NodeDeleted implements [raftio.ISystemEventListener]: dragonboat has applied the removal of the
// replica. The owner, which then stops the replica, must not lose the outcomes of earlier entries.
func (l listener) NodeDeleted(info raftio.NodeInfo) {
	if r := l.find(info.ShardID, info.ReplicaID); r != nil {
		r.reportInOrder(removed{})
	}
}

// NodeUnloaded implements [raftio.ISystemEventListener]: no worker of dragonboat uses the
// replica.
func (l listener) NodeUnloaded(info raftio.NodeInfo) {
	if r := l.find(info.ShardID, info.ReplicaID); r != nil {
		r.unload()
	}
}

func (l listener) find(shard, replica uint64) *Replica {
	if r := l.engine.replica(shard); r != nil && r.id == replica {
		return r
	}
	return nil
}

func (listener) NodeHostShuttingDown()                       {}
func (listener) NodeReady(raftio.NodeInfo)                   {}
func (listener) ConnectionEstablished(raftio.ConnectionInfo) {}
func (listener) ConnectionFailed(raftio.ConnectionInfo)      {}
func (listener) SendSnapshotStarted(raftio.SnapshotInfo)     {}
func (listener) SendSnapshotCompleted(raftio.SnapshotInfo)   {}
func (listener) SendSnapshotAborted(raftio.SnapshotInfo)     {}
func (listener) SnapshotReceived(raftio.SnapshotInfo)        {}
func (listener) SnapshotRecovered(raftio.SnapshotInfo)       {}
func (listener) SnapshotCreated(raftio.SnapshotInfo)         {}
func (listener) SnapshotCompacted(raftio.SnapshotInfo)       {}
func (listener) LogCompacted(raftio.EntryInfo)               {}
func (listener) LogDBCompacted(raftio.EntryInfo)             {}
