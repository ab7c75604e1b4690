package group

import (
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// machine lets the engine apply entries to the state.
type machine struct{ *state.State }

// Apply implements [engine.StateMachine]. Its error is a [*state.OutdatedError].
func (m machine) Apply(e engine.Entry) error { return m.State.Apply(e.Index, e.Term, e.Data) }

// events posts what the engine reports about a replica.
type events struct {
	g *Group
	l *life
}

func (e events) LeaderChanged(leader uint64, term sm.Term) {
	e.post(func() {
		e.l.raftLeader, e.l.raftTerm = leader, term
		e.g.reviewLeader(e.l)
	})
}

func (e events) MembershipChanged() {
	e.post(func() { e.g.readMembership(e.l) })
}

func (e events) Removed() {
	e.post(func() { e.g.removed(e.l.epoch, e.l.id) })
}

func (e events) LogStalled(stalled bool, took time.Duration) {
	e.post(func() {
		// The disk may be that of another log, whose calls the same worker makes.
		if stalled {
			e.g.log.Error("disk stalled: replica paused", "stalled_for", took, "snapshots", e.g.cfg.Log.SnapshotDir())
		} else {
			e.g.log.Info("disk answered: replica continues", "stalled_for", took, "snapshots", e.g.cfg.Log.SnapshotDir())
		}
		e.l.hangs = stalled
		e.g.reviewLeader(e.l)
	})
}

func (e events) Lagging(behind bool, entries, bytes int) {
	if behind {
		e.g.log.Warn("machine lags: this member accepts no entries until it has applied more", "entries", entries, "bytes", bytes)
	} else {
		e.g.log.Info("machine has caught up: this member accepts entries again", "entries", entries, "bytes", bytes)
	}
}

func (e events) SnapshotTaken() {
	e.post(func() { e.l.snapshot = nil })
}

func (e events) SnapshotFailed(err error) {
	e.g.log.Error("a snapshot failed; the log is kept whole until one succeeds", "error", err)
	e.post(func() { e.l.snapshot = err })
}

func (e events) Failed(err error) {
	e.post(func() { e.g.end(err) })
}

// post lets f run in the loop unless the life is over by then.
func (e events) post(f func()) {
	e.g.inbox.post(func() {
		if e.g.life == e.l {
			f()
		}
	})
}

// observer posts what the state reports as it applies entries.
type observer struct {
	g *Group
	l *life
}

func (o observer) applied(index sm.Index, _ sm.Cursor) {
	before := o.l.count()
	if index == before {
		return
	}
	o.g.serve(o.l, index)
	o.l.applied.Store(uint64(index))
	if index > o.g.applied.Get() {
		o.g.applied.Set(index)
	}
	if before == 0 {
		events(o).post(o.g.announce)
	}
}

func (o observer) opened() {
	events(o).post(func() {
		o.l.opened = true
		for _, e := range o.l.ancestors {
			o.g.conclude(e, everything)
		}
		o.g.announce()
		o.g.reconcile()
	})
}

func (o observer) ancestor(epoch [16]byte) {
	events(o).post(func() { o.l.ancestors = append(o.l.ancestors, epoch) })
}

func (o observer) raised(level uint32) {
	events(o).post(func() {
		o.g.log.Info("the level of the schema is raised", "level", level)
		o.g.reconcile()
	})
}

func (o observer) sealed() {
	events(o).post(func() { o.g.sawSeal(o.l) })
}

func (o observer) poisoned(err *state.PoisonedError) {
	o.g.cfg.History.Poison(err)
	events(o).post(func() {
		o.g.log.Error("machine panicked: this member applies nothing more", "doing", err.Doing, "command", err.Command,
			"index", err.Index, "entry", err.Entry, "offset", err.Offset, "error", fmt.Sprint(err.Value),
			"stack", state.Frames(err.Stack))
		o.l.poisoned = err
		o.g.announce()
		o.g.reconcile()
	})
}
