package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/transport"
	"github.com/mosaik-go/mosaik/sm"
)

// Replica is one running member of one shard. Its methods may be called concurrently.
type Replica struct {
	engine   *Engine
	shard    uint64
	id       uint64
	election time.Duration   // the election timeout
	session  *client.Session // of proposals

	applier  applier
	durable  *snapstore.Log      // nil for a log in memory
	endpoint *transport.Endpoint // nil before start has registered the log
	stall    raftlog.Stall
	leader   leader
	reads    reads
	changes  changes
	stop     func() error // sync.OnceValue

	done     chan struct{} // closed when Stop or Engine.Close begins, or the replica fails
	ends     sync.Once     // closes done
	unloaded chan struct{} // closed when dragonboat has let go of the replica
	unloads  sync.Once     // closes unloaded

	isTakingOver  atomic.Bool           // repeatTransfer repeats the leader's request
	isCampaigning atomic.Bool           // Campaign repeats its request
	failure       atomic.Pointer[error] // why the replica is fenced, nil if it has not failed

	mu     sync.Mutex // held during calls of events
	events Events     // nil once the replica is stopped
}

func newReplica(e *Engine, cfg ReplicaConfig) *Replica {
	r := &Replica{
		engine:   e,
		shard:    cfg.Shard,
		id:       cfg.Replica,
		election: cfg.ElectionTimeout,
		session:  session(cfg.Shard),
		done:     make(chan struct{}),
		unloaded: make(chan struct{}),
		events:   cfg.Events,
	}
	r.applier.replica, r.applier.patience, r.applier.user = r, e.patience, cfg.Machine
	r.applier.load = load{entries: cfg.SnapshotEvery, bytes: cfg.SnapshotBytes}
	r.applier.queue.init(cmp.Or(cfg.MaxBacklog, DefaultMaxBacklog), func(e lagging) { r.report(e) })
	times := newReadTimes(cfg.ReadTimeout)
	r.reads.ask = func() error { return r.ask(times) }
	r.leader.replaced = make(chan struct{})
	r.stall = raftlog.Stall{Limit: cfg.ElectionTimeout, Report: func(stalled bool, took time.Duration) {
		r.report(logStalled{stalled, took})
	}}
	r.stop = sync.OnceValue(r.shutdown)
	return r
}

// Stop ends the replica and forgets its snapshots in memory; its log remains unchanged. The
// state machine, the log and the events are not used once it has returned. Stopping again also
// waits and returns the same error. Events must not call it.
func (r *Replica) Stop() error { return r.stop() }

func (r *Replica) shutdown() error {
	r.quiesce()
	err := r.leave()
	if errors.Is(err, ErrClosed) {
		return r.engine.Close() // which stops the replica
	}
	if err == nil {
		r.applier.wait() // outside of the engine's gate, because a call may never return
		err = r.engine.forget(r)
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
	if err != nil && !errors.Is(err, dragonboat.ErrShardNotFound) { // the replica was removed
		return err
	}
	// dragonboat panics when the shard starts again before its workers have let go.
	select {
	case <-r.unloaded:
		return nil
	case <-e.ctx.Done():
		return ErrClosed
	}
}

// quiesce makes calls of the replica fail. The replica makes no calls from then on, but one of
// the state machine may still run.
func (r *Replica) quiesce() {
	r.end()
	r.reads.close()
	r.applier.queue.close()
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

// unload notes that dragonboat has let go of the replica.
func (r *Replica) unload() { r.unloads.Do(func() { close(r.unloaded) }) }

// fail fences the replica for good: nothing of it leaves the process, is applied or is
// acknowledged.
func (r *Replica) fail(err error) {
	if r.failure.CompareAndSwap(nil, &err) {
		r.end()
		r.report(failed{err})
	}
}

// abandon fences the replica because the rest of its log needs a newer program, for which the
// log stays as it is.
func (r *Replica) abandon(err error) {
	var level uint32
	var newer interface{ NeedsLevel() uint32 }
	if errors.As(err, &newer) {
		level = newer.NeedsLevel()
	}
	if l := r.engine.logs.Find(r.shard, r.id); l != nil {
		l.Abandon(level)
	}
	r.fail(err)
}

// isFenced reports whether the replica or its log has failed.
func (r *Replica) isFenced() bool {
	return r.failure.Load() != nil || r.engine.logs.Find(r.shard, r.id).Fenced()
}

// ended returns why calls of the replica fail, or nil.
func (r *Replica) ended() error {
	if cause := r.failure.Load(); cause != nil {
		return fmt.Errorf("%w: replica %d of shard %d failed: %w", ErrClosed, r.id, r.shard, *cause)
	}
	if r.isDone() || r.isFenced() {
		return ErrClosed
	}
	return nil
}

// report queues a call of the owner.
func (r *Replica) report(e event) { r.engine.events.post(r, e) }

// reportInOrder queues a call of the owner once everything before it is applied.
func (r *Replica) reportInOrder(e event) {
	r.applier.queue.call(func() { r.report(e) })
}

// reportSnapshot reports a snapshot that was copied to disk, or the error of one that was not.
func (r *Replica) reportSnapshot(err error) {
	if err != nil {
		r.report(snapshotFailed{err})
		return
	}
	r.report(snapshotTaken{})
}

// dispatch calls the owner, unless the replica is stopped.
func (r *Replica) dispatch(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events != nil {
		e.notify(r.events)
	}
}

// Backlog returns how many committed entries the state machine has yet to apply, and their size in
// bytes. It does not count those that dragonboat has not handed over.
func (r *Replica) Backlog() (entries, bytes int) { return r.applier.queue.backlog() }

// awaitTicket waits until the state includes a task of the applier's queue. A replica that has
// ended skips tasks, and returns [ErrClosed]; ctx returns its error.
func (r *Replica) awaitTicket(ctx context.Context, ticket uint64) error {
	w := r.applier.queue.await(ticket)
	if w == nil {
		return r.ended()
	}
	select {
	case <-w.done:
		return r.ended()
	case <-ctx.Done():
		r.applier.queue.forget(w)
		return ctx.Err()
	case <-r.done:
		return r.ended()
	}
}

// settle returns when dragonboat's workers know the replica. dragonboat would not let go of a
// replica in order that is stopped before. The worker that learns of the replica last answers a
// query, whether or not there is a leader.
//
// It waits as long as a worker may answer, and Engine.Close waits for it: a worker that has
// accepted a query panics if the host is closed before it answers.
func (r *Replica) settle() error {
	state, err := r.engine.host.QueryRaftLog(r.shard, 1, 2, 1)
	if err != nil {
		return err
	}
	select {
	case <-state.ResultC():
		return nil
	case <-r.unloaded: // the replica was removed
		return ErrClosed
	}
}

// awaitRestore returns when the snapshot with which the replica starts is restored, or could not
// be restored. It returns [ErrClosed] if the engine closes first.
func (r *Replica) awaitRestore() error {
	w := r.applier.queue.await(r.applier.restored.Load())
	if w == nil {
		return nil
	}
	select {
	case <-w.done:
		return nil
	case <-r.engine.ctx.Done():
		return ErrClosed
	}
}

// endpointOwner is a replica as the transport sees it.
type endpointOwner struct{ r *Replica }

var _ transport.Owner = endpointOwner{}

// Leader implements [transport.Owner].
func (o endpointOwner) Leader() (replica uint64, term sm.Term) { return o.r.leader.get() }

// IsFailed implements [transport.Owner].
func (o endpointOwner) IsFailed() bool { return o.r.failure.Load() != nil }

// IsEnding implements [transport.Owner].
func (o endpointOwner) IsEnding() bool { return o.r.isDone() }

// IsBehind implements [transport.Owner].
func (o endpointOwner) IsBehind() bool { return o.r.applier.queue.isBehind() }

// Fail implements [transport.Owner].
func (o endpointOwner) Fail(err error) { o.r.fail(err) }

// Repeat implements [transport.Owner].
func (o endpointOwner) Repeat(request pb.Message) { o.r.repeatTransfer(request) }
