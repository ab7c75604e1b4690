package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/mosaik-go/mosaik/sm"
)

// Replica is one running member of one shard. Its methods may be called
// concurrently.
type Replica struct {
	engine   *Engine
	shard    uint64
	id       uint64
	session  *client.Session
	machine  machine
	durable  *durableLog // nil for a log in memory
	leader   leader
	reads    reads
	changes  changes
	pipeline pipeline
	claims   claims
	stop     func() error // sync.OnceValue

	done     chan struct{} // closed when Stop or Engine.Close begins, or it fails
	ends     sync.Once     // closes done
	unloaded chan struct{} // closed when dragonboat let go of the replica
	unloads  sync.Once     // closes unloaded

	election    time.Duration // the election timeout
	insisting   atomic.Bool   // that it take the lead
	campaigning atomic.Bool   // to elect itself

	failure    atomic.Pointer[error] // why it is muted
	collecting sync.RWMutex          // held for reading while snapshots come in

	mu     sync.Mutex // held during calls of events
	events Events     // nil once stopped
}

func newReplica(e *Engine, cfg ReplicaConfig) *Replica {
	r := &Replica{
		engine:   e,
		shard:    cfg.Shard,
		id:       cfg.Replica,
		session:  session(cfg.Shard),
		done:     make(chan struct{}),
		unloaded: make(chan struct{}),
		events:   cfg.Events,
		election: cfg.ElectionTimeout,
	}
	r.machine = machine{replica: r, user: cfg.Machine, load: load{entries: cfg.SnapshotEvery, bytes: cfg.SnapshotBytes}}
	times := newReadTimes(cfg.ReadTimeout)
	r.reads.ask = func() error { return r.ask(times) }
	r.leader.reign = make(chan struct{})
	r.stop = sync.OnceValue(r.shutdown)
	return r
}

// Stop ends the replica and forgets its snapshots; its log stays as it is. Its
// machine, log and events are not called any more once Stop returned. Stopping
// again waits too and returns the same. Events must not call it.
func (r *Replica) Stop() error { return r.stop() }

func (r *Replica) shutdown() error {
	r.silence()
	err := r.leave()
	if errors.Is(err, ErrClosed) {
		return r.engine.Close() // which stops it
	}
	if err != nil {
		return fmt.Errorf("engine: stop replica %d of shard %d: %w", r.id, r.shard, err)
	}
	return nil
}

// leave makes dragonboat let go of the replica.
func (r *Replica) leave() error {
	e := r.engine
	if !e.enter() {
		return ErrClosed
	}
	defer e.leave()
	err := e.host.StopReplica(r.shard, r.id)
	if err != nil && !errors.Is(err, dragonboat.ErrShardNotFound) { // it was removed
		return err
	}
	// dragonboat panics when the shard starts again before its workers let go.
	select {
	case <-r.unloaded:
		return e.forget(r)
	case <-e.ctx.Done():
		return ErrClosed
	}
}

// silence makes calls of the replica fail, and ends the calls that the replica
// makes.
func (r *Replica) silence() {
	r.end()
	r.reads.close()
	r.machine.detach()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// end makes calls of the replica fail.
func (r *Replica) end() { r.ends.Do(func() { close(r.done) }) }

// isDone reports whether end was called.
func (r *Replica) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// unload notes that dragonboat let go of the replica.
func (r *Replica) unload() { r.unloads.Do(func() { close(r.unloaded) }) }

// fail mutes the replica for good: nothing of it leaves the node, nothing is
// applied, nothing is acknowledged.
func (r *Replica) fail(err error) {
	if r.failure.CompareAndSwap(nil, &err) {
		r.end()
		r.report(failed{err})
	}
}

// abandon mutes the replica for good, because the rest of its log needs another
// program, to which it leaves the log as it is.
func (r *Replica) abandon(err error) {
	var level uint32
	var newer interface{ NeedsLevel() uint32 }
	if errors.As(err, &newer) {
		level = newer.NeedsLevel()
	}
	if l := r.engine.router.find(r.shard, r.id); l != nil {
		l.abandon(level)
	}
	r.fail(err)
}

// muted reports whether the replica failed.
func (r *Replica) muted() bool {
	return r.failure.Load() != nil || r.engine.router.muted(r.shard, r.id)
}

// ended returns why calls of the replica fail, or nil.
func (r *Replica) ended() error {
	if cause := r.failure.Load(); cause != nil {
		return fmt.Errorf("%w: replica %d of shard %d failed: %w", ErrClosed, r.id, r.shard, *cause)
	}
	if r.isDone() || r.muted() {
		return ErrClosed
	}
	return nil
}

// report tells the owner, later.
func (r *Replica) report(e event) { r.engine.courier.send(r, e) }

// hear tells the owner.
func (r *Replica) hear(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events != nil {
		e.tell(r.events)
	}
}

// termOf returns the term of an entry that is being applied.
func (r *Replica) termOf(index uint64) sm.Term {
	return r.engine.router.termOf(r.shard, r.id, sm.Index(index))
}

// settle returns when dragonboat's workers know the replica: one that is
// stopped before would not be let go of in order. A query is answered by the
// worker that learns of it last, leader or not.
//
// It waits as long as a worker may answer, and so does Engine.Close for it: one
// that has taken up a query panics if the host is closed before.
func (r *Replica) settle() error {
	state, err := r.engine.host.QueryRaftLog(r.shard, 1, 2, 1)
	if err != nil {
		return err
	}
	select {
	case <-state.ResultC():
		return nil
	case <-r.unloaded: // it was removed
		return ErrClosed
	}
}

// leader is what a replica knows about the leader of its shard.
type leader struct {
	mu      sync.Mutex
	replica uint64 // 0 for none
	term    sm.Term
	reign   chan struct{} // closed and replaced when another leader is known
	last    uint64        // the last leader known
	since   sm.Term       // the term in which it was elected
}

func (l *leader) set(replica uint64, term sm.Term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if replica != 0 && (replica != l.last || term != l.since) {
		l.last, l.since = replica, term
		close(l.reign)
		l.reign = make(chan struct{})
	}
	l.replica, l.term = replica, term
}

func (l *leader) get() (replica uint64, term sm.Term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replica, l.term
}

// successor returns a channel that is closed once a leader is elected later.
func (l *leader) successor() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reign
}

// changes tells of changes of the leader and of the membership.
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

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil {
		c.cancel()
		c.ctx, c.cancel = nil, nil
	}
}

// Leader returns the replica that leads the shard, as far as it is known here,
// and its term. It is false while there is no leader.
func (r *Replica) Leader() (replica uint64, term sm.Term, ok bool) {
	replica, term = r.leader.get()
	return replica, term, replica != 0
}

// TransferLeadership asks the leader to hand over to the replica; a replica that does
// not vote cannot ask. It may come to nothing without notice: see whether it did by [Events.LeaderChanged].
// ErrBusy reports that an earlier request was not handled yet.
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

// Campaign makes a replica that bootstrapped a shard elect itself at once,
// instead of an election timeout later. It is for replicas that are still
// alone. It returns at once. The request is repeated until a leader is known, since
// dragonboat ignores it before the bootstrap is applied.
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
	if err := r.engine.transport.inject(request); err != nil {
		return err
	}
	r.repeat(request, &r.campaigning, func() bool {
		select {
		case <-elected:
			return true
		default:
			return false
		}
	})
	return nil
}
