package engine

import (
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

// dispatcher calls the owners of replicas, in the order of the events, from one goroutine. It
// lets dragonboat's workers report events without waiting for an owner. The queue has no bound
// of its own: the events of a replica are few, and owners must not block.
type dispatcher struct {
	mu     sync.Mutex
	queue  []delivery
	closed bool
	wake   chan struct{} // holds a token when the queue may hold events
	done   chan struct{} // closed when the goroutine has ended
}

type delivery struct {
	replica *Replica
	event   event
}

func newDispatcher() *dispatcher {
	d := &dispatcher{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go d.run()
	return d
}

// post queues an event. It does nothing once the dispatcher is closed.
func (d *dispatcher) post(r *Replica, e event) {
	d.mu.Lock()
	if !d.closed {
		d.queue = append(d.queue, delivery{r, e})
	}
	d.mu.Unlock()
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
	d.closed, d.queue = true, nil
	d.mu.Unlock()
	d.signal()
	<-d.done
}

func (d *dispatcher) run() {
	defer close(d.done)
	for range d.wake {
		d.mu.Lock()
		queue, closed := d.queue, d.closed
		d.queue = nil
		d.mu.Unlock()
		if closed {
			return
		}
		for _, q := range queue {
			q.replica.dispatch(q.event)
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
