package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/sm"
)

// applier is a replica's state machine as dragonboat sees it. dragonboat's workers serve many
// replicas, so its methods hand everything over to a goroutine of the replica, which calls the
// user's state machine. dragonboat ends the process over every error that a method returns,
// except ErrSnapshotAborted and ErrSnapshotStopped of SaveSnapshot.
type applier struct {
	replica  *Replica
	patience patience
	log      *raftlog.Log // set before dragonboat starts the replica
	queue    queue
	running  sync.WaitGroup // the goroutine, and those that write views
	views    atomic.Int32   // views that are not closed
	restored atomic.Uint64  // the ticket of the last snapshot to restore
	latest   atomic.Pointer[received]

	// The goroutine owns these.
	user   StateMachine
	load   load
	due    sm.Index // through which the log may be pruned by the snapshot that is due, 0 if none is
	hasGap bool     // entries are missing, which the next snapshot to restore holds
}

var _ statemachine.IConcurrentStateMachine = (*applier)(nil)

// start starts the goroutine.
func (a *applier) start() { a.running.Go(a.run) }

// wait returns when the user's state machine is no longer called. The replica has ended.
func (a *applier) wait() { a.running.Wait() }

// run applies what dragonboat hands over until the replica ends.
func (a *applier) run() {
	for tasks := a.queue.take(nil); tasks != nil; tasks = a.queue.take(tasks) {
		for i := range tasks {
			t := &tasks[i]
			switch {
			case t.call != nil:
				t.call()
			case t.isRange():
				a.reread(t)
			default:
				a.apply(t.entry)
			}
			a.queue.finish(t, a.hasGap)
			*t = task{} // releases the data
		}
	}
}

// isOff reports whether the user's state machine must not be called: the replica stops or has
// failed.
func (a *applier) isOff() bool { return a.replica.isDone() || a.replica.isFenced() }

// Update implements [statemachine.IConcurrentStateMachine]. The value of a result is the ticket
// of the entry.
func (a *applier) Update(entries []statemachine.Entry) ([]statemachine.Entry, error) {
	for i := range entries {
		e := &entries[i]
		e.Result.Value = a.queue.push(Entry{
			Index: sm.Index(e.Index),
			Term:  a.log.TermAt(sm.Index(e.Index)), // a received snapshot may replace the log soon
			Data:  e.Cmd,
		})
	}
	a.queue.wake()
	return entries, nil
}

// apply applies one entry.
func (a *applier) apply(e Entry) {
	if a.hasGap || a.isOff() {
		return
	}
	defer a.isolate("apply")
	if err := a.user.Apply(e); err != nil {
		a.replica.abandon(fmt.Errorf("engine: apply entry %d: %w", e.Index, err))
		return
	}
	through, due := a.load.add(e.Index, len(e.Data))
	if due && a.views.Load() == 0 && a.user.CanSnapshot() {
		a.due = through
	}
	// The freeze comes behind everything that was handed over, and a worker waits for it.
	if a.due != 0 && !a.queue.drain(len(e.Data)) {
		a.replica.report(snapshotDue{a.replica, a.due})
		a.due = 0
	}
}

// reread applies entries for which the queue had no room.
func (a *applier) reread(t *task) {
	for low := t.entry.Index; low <= t.through && !a.hasGap && !a.isOff(); {
		entries, next, err := a.replica.engine.logs.Committed(a.replica.shard, a.replica.id, low, t.through+1)
		switch {
		case errors.Is(err, raftlog.ErrReplaced):
			a.hasGap = true // dragonboat hands the snapshot over next
			return
		case err != nil && a.isOff():
			return // what fenced the log is the cause, and is reported
		case err != nil:
			a.replica.fail(fmt.Errorf("%w: read entries from %d on: %w", ErrStorage, low, err))
			return
		}
		for _, e := range entries {
			a.apply(e)
			a.queue.applied(t, e.Index, len(e.Data))
		}
		low = next
	}
	if t.count != 0 && !a.hasGap && !a.isOff() {
		a.replica.fail(fmt.Errorf("%w: entries through %d: read %d too few", ErrStorage, t.through, t.count))
	}
}

// isolate fences the replica when the user's state machine panics. It must be deferred.
func (a *applier) isolate(doing string) {
	if r := recover(); r != nil {
		a.replica.fail(fmt.Errorf("engine: %s: the machine panicked: %v", doing, r))
	}
}

// Lookup implements [statemachine.IConcurrentStateMachine]. Reads use the user's state machine
// directly.
func (a *applier) Lookup(any) (any, error) { return nil, nil }

// PrepareSnapshot implements [statemachine.IConcurrentStateMachine]. dragonboat hands nothing over
// meanwhile, so the freeze comes behind the entries that the snapshot covers and before all
// others. It must not fail: dragonboat would end the process.
func (a *applier) PrepareSnapshot() (any, error) {
	s := newSaving(&a.views)
	a.queue.call(func() { a.freeze(s) })
	return s, nil
}

// freeze offers a view to SaveSnapshot. If the view is not concurrent, it returns when the view
// is closed.
func (a *applier) freeze(s *saving) {
	if s.over() || a.isOff() {
		return
	}
	a.load.restart()
	switch {
	case a.hasGap:
		s.offer(nil, errSuperseded)
		return
	case a.views.Load() > 0:
		s.offer(nil, errViewNotEnded)
		return
	}
	var view sm.View
	var concurrent bool
	err := guarded(func() (err error) {
		view, concurrent, err = a.user.Freeze()
		return err
	})
	if err != nil {
		s.offer(nil, err)
		return
	}
	s.offer(view, nil)
	if concurrent {
		return
	}
	select {
	case <-s.closed:
	case <-a.replica.done:
		s.giveUp()
		<-s.closed
	}
}

// SaveSnapshot implements [statemachine.IConcurrentStateMachine]. It gives up on a state machine
// that hangs, because it runs on a worker that other replicas need.
func (a *applier) SaveSnapshot(prepared any, w io.Writer, _ statemachine.ISnapshotFileCollection, _ <-chan struct{}) error {
	err := a.save(prepared.(*saving), w)
	switch {
	case a.isOff():
		return statemachine.ErrSnapshotStopped
	case errors.Is(err, errSuperseded):
		return statemachine.ErrSnapshotAborted // the log was replaced by a snapshot just now
	case err != nil:
		a.replica.report(snapshotFailed{fmt.Errorf("engine: write snapshot: %w", err)})
		return statemachine.ErrSnapshotAborted
	}
	if a.replica.durable == nil {
		a.replica.report(snapshotTaken{})
	}
	return nil
}

// save writes the view to w once it is frozen.
func (a *applier) save(s *saving, w io.Writer) error {
	done := a.replica.done
	if !awaitProgress(s.ready, done, a.patience.freeze, a.queue.progress) {
		s.giveUp()
		return errNotFrozen
	}
	view, err := s.take()
	if err != nil {
		return err
	}
	if a.isOff() { // nothing new may run
		return errors.Join(errNotFrozen, s.release(view))
	}
	out := &output{w: w}
	defer out.cut()
	written := make(chan struct{})
	a.running.Go(func() {
		err = guarded(func() error { return view.Snapshot(out) })
		err = errors.Join(err, s.release(view))
		close(written)
	})
	if !awaitProgress(written, done, a.patience.write, out.writes) {
		return errViewStalled
	}
	return err
}

// received is a snapshot that is handed over to be restored. Its content is in memory, so only the
// latest one keeps it: a machine that hangs may be sent any number of snapshots.
type received struct {
	content atomic.Pointer[io.Reader] // nil once it is restored, or a later one was received
}

// RecoverFromSnapshot implements [statemachine.IConcurrentStateMachine]. The goroutine reads the
// snapshot later: dragonboat has closed the file by then, but a file in memory stays readable
// (package snapstore).
func (a *applier) RecoverFromSnapshot(r io.Reader, _ []statemachine.SnapshotFile, _ <-chan struct{}) error {
	s := new(received)
	s.content.Store(&r)
	if earlier := a.latest.Swap(s); earlier != nil {
		earlier.content.Store(nil)
	}
	a.restored.Store(a.queue.call(func() { a.restore(s) }))
	return nil
}

// restore replaces the state. If the user's state machine fails, it fences the replica:
// dragonboat continues after the snapshot in any case.
func (a *applier) restore(s *received) {
	if a.isOff() {
		return
	}
	content := s.content.Swap(nil)
	if content == nil {
		a.hasGap = true // until the later snapshot is restored
		return
	}
	a.hasGap = false
	a.load.last = 0 // dragonboat does not reveal the snapshot's index
	a.load.restart()
	defer a.isolate("restore snapshot")
	if err := a.user.Restore(*content); err != nil {
		a.replica.abandon(fmt.Errorf("engine: restore snapshot: %w", err))
	}
}

// Close implements [statemachine.IConcurrentStateMachine].
func (a *applier) Close() error { return nil }
