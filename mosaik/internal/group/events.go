package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// applier is the engine's view of the state: it applies entries to it.
type applier struct{ *state.State }

// Apply implements [engine.StateMachine]. It returns nil or a [*consensus.OutdatedError].
func (m applier) Apply(e engine.Entry) error { return m.State.Apply(e.Index, e.Term, e.Data) }

// replicaEvents posts the engine's events about a replica to the group's inbox. Each kind is
// coalesced: the inbox holds at most the latest event of a kind.
type replicaEvents struct {
	g *Group
	l *localReplica
}

// LeaderChanged implements [engine.Events].
func (e replicaEvents) LeaderChanged(leader uint64, term sm.Term) {
	e.post("leader", func() {
		e.l.raftLeader, e.l.raftTerm = leader, term
		e.g.reviewLeader(e.l)
	})
}

// MembershipChanged implements [engine.Events].
func (e replicaEvents) MembershipChanged() {
	e.post("membership", func() { e.g.readMembership(e.l) })
}

// Removed implements [engine.Events].
func (e replicaEvents) Removed() {
	e.post("removed", func() { e.g.replicaRemoved(e.l.epoch, e.l.id) })
}

// LogStalled implements [engine.Events].
func (e replicaEvents) LogStalled(stalled bool, took time.Duration) {
	e.post("stall", func() {
		// The disk may belong to another log that the same worker serves.
		if stalled {
			e.g.log.Error("disk stalled: replica paused", "stalled_for", took, "snapshots", e.g.cfg.Log.SnapshotDir())
		} else {
			e.g.log.Info("disk answered: replica continues", "stalled_for", took, "snapshots", e.g.cfg.Log.SnapshotDir())
		}
		e.l.diskStalled = stalled
		e.g.reviewLeader(e.l)
	})
}

// Lagging implements [engine.Events].
func (e replicaEvents) Lagging(behind bool, entries, bytes int) {
	e.post("lag", func() {
		if behind {
			e.g.log.Warn("machine lags: this member accepts no entries until it has applied more", "entries", entries, "bytes", bytes)
		} else {
			e.g.log.Info("machine has caught up: this member accepts entries again", "entries", entries, "bytes", bytes)
		}
	})
}

// SnapshotTaken implements [engine.Events].
func (e replicaEvents) SnapshotTaken() {
	e.post("snapshot", func() { e.l.snapshot = nil })
}

// SnapshotFailed implements [engine.Events].
func (e replicaEvents) SnapshotFailed(err error) {
	e.post("snapshot", func() {
		e.g.log.Error("snapshot failed: log not pruned until one succeeds", "error", err)
		e.l.snapshot = err
	})
}

// Failed implements [engine.Events].
func (e replicaEvents) Failed(err error) {
	e.post("failed", func() { e.g.end(err) })
}

// post runs f in the group's goroutine, unless the replica has been stopped by then. It replaces
// the queued event of the same kind and replica.
func (e replicaEvents) post(kind string, f func()) {
	e.g.inbox.postLatest(localKey{e.l, kind}, func() {
		if e.g.local == e.l {
			f()
		}
	})
}

// stateEvents posts to the group's inbox what the state reports as it applies entries.
type stateEvents struct {
	g *Group
	l *localReplica
}

func (o stateEvents) applied(index sm.Index, _ sm.Cursor) {
	before := o.l.AppliedIndex()
	if index == before {
		return
	}
	o.g.startServing(o.l, index)
	o.l.appliedIndex.Store(uint64(index))
	if index > o.g.appliedIndex.Get() {
		o.g.appliedIndex.Set(index)
	}
	if before == 0 {
		replicaEvents(o).post("first command", o.g.announce)
	}
}

func (o stateEvents) opened() {
	replicaEvents(o).post("opened", func() {
		o.l.opened = true
		for _, e := range o.l.ancestors {
			o.g.endEpoch(e, allCommands)
		}
		o.g.announce()
		o.g.reconcile()
	})
}

func (o stateEvents) ancestor(epoch [16]byte) {
	replicaEvents(o).post("ancestor "+Epoch(epoch).String(), func() {
		if slices.Contains(o.l.ancestors, epoch) {
			return // each snapshot that is restored names all of them
		}
		o.l.ancestors = append(o.l.ancestors, epoch)
		if o.l.opened {
			o.g.endEpoch(epoch, allCommands)
		}
	})
}

func (o stateEvents) raised(level uint32) {
	replicaEvents(o).post("level", func() {
		o.g.log.Info("schema level raised", "level", level)
		o.g.reconcile()
	})
}

func (o stateEvents) sealed() {
	replicaEvents(o).post("sealed", func() { o.g.epochSealed(o.l) })
}

func (o stateEvents) poisoned(err *consensus.PoisonedError) {
	o.g.cfg.History.Poison(err)
	replicaEvents(o).post("poisoned", func() {
		o.g.log.Error("machine panicked: this member applies no further commands", "doing", err.Doing, "command", err.Command,
			"index", err.Index, "entry", err.Entry, "offset", err.Offset, "error", fmt.Sprint(err.Value),
			"stack", state.Frames(err.Stack))
		o.l.poisoned = err
		o.g.announce()
		o.g.reconcile()
	})
}
