package engine

import (
	"sync"

	"github.com/lni/dragonboat/v4/raftio"

	"github.com/mosaik-go/mosaik/sm"
)

// event is something that happened to a replica: one call of its owner.
type event interface{ tell(Events) }

type (
	leaderChanged struct {
		leader uint64
		term   sm.Term
	}
	membershipChanged struct{}
	removed           struct{}
	logHangs          struct{ hangs bool }
	snapshotTaken     struct{}
	snapshotFailed    struct{ err error }
	failed            struct{ err error }
)

func (e leaderChanged) tell(to Events)   { to.LeaderChanged(e.leader, e.term) }
func (membershipChanged) tell(to Events) { to.MembershipChanged() }
func (removed) tell(to Events)           { to.Removed() }
func (e logHangs) tell(to Events)        { to.LogHangs(e.hangs) }
func (snapshotTaken) tell(to Events)     { to.SnapshotTaken() }
func (e snapshotFailed) tell(to Events)  { to.SnapshotFailed(e.err) }
func (e failed) tell(to Events)          { to.Failed(e.err) }

// courier brings events to the owners of replicas, in order, from a goroutine
// of its own: whoever reports one never waits.
type courier struct {
	mu      sync.Mutex
	pending []delivery
	closed  bool
	wake    chan struct{} // holds a token when there may be work
	done    chan struct{}
}

type delivery struct {
	replica *Replica
	event   event
}

func newCourier() *courier {
	c := &courier{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go c.run()
	return c
}

// send queues an event.
func (c *courier) send(r *Replica, e event) {
	c.mu.Lock()
	if !c.closed {
		c.pending = append(c.pending, delivery{r, e})
	}
	c.mu.Unlock()
	c.nudge()
}

func (c *courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close ends the goroutine and waits for it. What is queued is not delivered.
func (c *courier) close() {
	c.mu.Lock()
	c.closed, c.pending = true, nil
	c.mu.Unlock()
	c.nudge()
	<-c.done
}

func (c *courier) run() {
	defer close(c.done)
	for range c.wake {
		c.mu.Lock()
		work, closed := c.pending, c.closed
		c.pending = nil
		c.mu.Unlock()
		if closed {
			return
		}
		for _, d := range work {
			d.replica.hear(d.event)
		}
	}
}

// listener receives dragonboat's events. dragonboat waits for it.
type listener struct{ engine *Engine }

var (
	_ raftio.IRaftEventListener   = listener{}
	_ raftio.ISystemEventListener = listener{}
)

// LeaderUpdated implements [raftio.IRaftEventListener].
func (l listener) LeaderUpdated(info raftio.LeaderInfo) {
	if r := l.find(info.ShardID, info.ReplicaID); r != nil {
		r.leader.set(info.LeaderID, sm.Term(info.Term))
		r.changes.tell()
		r.report(leaderChanged{info.LeaderID, sm.Term(info.Term)})
	}
}

// MembershipChanged implements [raftio.ISystemEventListener].
func (l listener) MembershipChanged(info raftio.NodeInfo) {
	if r := l.find(info.ShardID, info.ReplicaID); r != nil {
		r.changes.tell()
		r.report(membershipChanged{})
	}
}

// NodeDeleted implements [raftio.ISystemEventListener]: the replica applied
// its own removal.
func (l listener) NodeDeleted(info raftio.NodeInfo) {
	if r := l.find(info.ShardID, info.ReplicaID); r != nil {
		r.report(removed{})
	}
}

// NodeUnloaded implements [raftio.ISystemEventListener]: no worker of
// dragonboat holds the replica any more.
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
