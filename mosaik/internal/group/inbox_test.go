package group

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

func TestInboxKeepsTheOrderOfEachSender(t *testing.T) {
	t.Parallel()
	const senders, events = 4, 1000
	in := newInbox()
	var sending sync.WaitGroup
	var got [senders][]int // appended by the handlers, which run one at a time
	for s := range senders {
		sending.Go(func() {
			for n := range events {
				if !in.post(func() { got[s] = append(got[s], n) }) {
					t.Errorf("an open inbox refused event %d", n)
				}
			}
		})
	}
	for handled := 0; handled < senders*events; {
		<-in.wake
		for _, handle := range in.take() {
			handle()
			handled++
		}
	}
	sending.Wait()
	for s := range senders {
		if len(got[s]) != events || !slices.IsSorted(got[s]) {
			t.Errorf("%d events of sender %d arrived, sorted: %t; want %d in order", len(got[s]), s, slices.IsSorted(got[s]), events)
		}
	}
}

func TestClosedInbox(t *testing.T) {
	t.Parallel()
	in := newInbox()
	in.post(func() { t.Error("an event that was queued when the inbox closed was handled") })
	in.close()
	in.close()
	if in.post(func() {}) || in.postLatest(keyClose, func() {}) {
		t.Error("a closed inbox accepted an event")
	}
	<-in.wake // the group's goroutine is woken
	if batch := in.take(); len(batch) != 0 {
		t.Errorf("a closed inbox returned %d events", len(batch))
	}
}

// TestLatestEventReplaces has a later event replace the queued one of its key and no other, and
// follow the events between them. An event that was taken is not replaced.
func TestLatestEventReplaces(t *testing.T) {
	t.Parallel()
	in := newInbox()
	var got []string
	event := func(name string) func() { return func() { got = append(got, name) } }
	in.postLatest(keyRecheck, event("first recheck"))
	in.postLatest(keyLeave, event("leave"))
	in.post(event("unnamed"))
	in.postLatest(keyRecheck, event("second recheck"))
	in.post(event("unnamed again"))
	batch := in.take()
	in.postLatest(keyRecheck, event("third recheck"))
	for _, handle := range append(batch, in.take()...) {
		handle()
	}
	want := []string{"leave", "unnamed", "second recheck", "unnamed again", "third recheck"}
	if !slices.Equal(got, want) {
		t.Errorf("handled %q, want %q", got, want)
	}
}

// TestCallsAreBounded has as many callers wait as may. The next one blocks until one of these is
// answered, which taking its event is not, or its context ends, or the inbox is closed.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		var answers []func()
		call := func(ctx context.Context) error {
			return in.call(ctx, func(done func()) { answers = append(answers, done) })
		}
		for range maxCalls {
			if err := call(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call above the bound: %v, want %v", err, context.DeadlineExceeded)
		}
		if got := in.size(); got != maxCalls {
			t.Errorf("%d events are queued, want %d", got, maxCalls)
		}
		queued, closed := make(chan error, 1), make(chan error, 1)
		go func() { queued <- call(t.Context()) }()
		for _, handle := range in.take() {
			handle()
		}
		synctest.Wait()
		select {
		case err := <-queued:
			t.Errorf("a call above the bound was queued before another was answered, error %v", err)
		default:
		}
		answers[0]()
		if err := <-queued; err != nil {
			t.Errorf("a call after another was answered: %v", err)
		}
		go func() { closed <- call(t.Context()) }()
		synctest.Wait()
		in.close()
		if err := <-closed; err != nil {
			t.Errorf("a call that blocks when the inbox is closed: %v", err)
		}
	})
}

// memory returns a log in memory.
func memory(t *testing.T) logstore.Log {
	t.Helper()
	log, err := logstore.NewMemory[int]().Open(logstore.OpenOptions[int]{})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// newStalledGroup returns a group whose goroutine handles nothing.
func newStalledGroup(log logstore.Log) (*Group, *localReplica) {
	g := &Group{
		cfg: Config{Log: log, History: state.NewHistory(1 << 10)},
		log: slog.New(slog.DiscardHandler), inbox: newInbox(), done: make(chan struct{}),
		status: watch.New(Status{}), leaveResult: watch.New(leaveResult{}), appliedIndex: watch.New(sm.Index(0)),
		peers: map[sm.PeerID]Announcement{},
	}
	g.timers.inbox = g.inbox
	return g, &localReplica{epoch: Epoch{1}, id: 1}
}

// sources has each source of events that the group does not bound itself report n events.
func (g *Group) sources(ctx context.Context, l *localReplica, n int) {
	for i := range n {
		e := replicaEvents{g, l}
		e.LeaderChanged(uint64(i), sm.Term(i))
		e.MembershipChanged()
		e.Removed()
		e.LogStalled(i%2 == 0, time.Second)
		e.SnapshotTaken()
		e.SnapshotFailed(errors.New("full"))
		e.Failed(errors.New("failed"))
		o := stateEvents{g, l}
		o.opened()
		o.raised(uint32(i))
		o.sealed()
		o.poisoned(&consensus.PoisonedError{})
		o.slow(nil)
		g.Recheck(numbered(i))
		g.RecheckAll()
		g.Supersede()
		g.storageFailed(errors.New("failed"))
		_ = g.Leave(ctx)
		_ = g.TransferLeadership(ctx, sm.PeerID{})
		_ = g.Recover(ctx)
		_ = g.Remove(ctx, numbered(i))
	}
}

// TestStalledGroupIsBounded has all sources of events report while the group's goroutine handles
// nothing. The number of queued events does not depend on how much they report.
func TestStalledGroupIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // stopTime passes at once
		g, l := newStalledGroup(memory(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // no caller waits
		g.sources(ctx, l, 2*maxCalls)
		const kinds = 20
		if got := g.inbox.size(); got > maxCalls+kinds {
			t.Errorf("%d events are queued, want at most %d calls and %d others", got, maxCalls, kinds)
		}
		if peers, all := g.rechecks.take(); len(peers) > maxRechecks || !all {
			t.Errorf("%d rechecks are requested, all: %t", len(peers), all)
		}
	})
}

// TestLatestStateCounts has the engine report several changes before the group handles any. What it
// handles is the last one of each kind.
func TestLatestStateCounts(t *testing.T) {
	t.Parallel()
	g, l := newStalledGroup(memory(t))
	g.local = l
	e := replicaEvents{g, l}
	full := errors.New("full")
	e.LogStalled(false, time.Second)
	e.SnapshotTaken()
	e.SnapshotFailed(full)
	e.LogStalled(true, time.Second)
	for _, handle := range g.inbox.take() {
		handle()
	}
	if l.snapshot != full || !l.diskStalled {
		t.Errorf("snapshot %v, disk stalled %t; want %v and true", l.snapshot, l.diskStalled, full)
	}
	e.SnapshotFailed(full)
	e.SnapshotTaken()
	for _, handle := range g.inbox.take() {
		handle()
	}
	if l.snapshot != nil {
		t.Errorf("snapshot %v after one succeeded", l.snapshot)
	}
}

// TestCloseWithAFullInbox closes a group whose inbox is full of calls while callers wait for
// space. All of them return.
func TestCloseWithAFullInbox(t *testing.T) {
	t.Parallel()
	g, _ := newStalledGroup(memory(t))
	var callers sync.WaitGroup
	results := make(chan error, 2*maxCalls)
	for range cap(results) {
		callers.Go(func() { results <- g.ask(t.Context(), func() error { return nil }) })
	}
	for len(g.inbox.calls) < maxCalls { // as many as fit are queued
		<-g.inbox.wake
	}
	var ended error = ErrClosed
	g.endCause.Store(&ended)
	g.inbox.close()
	close(g.done)
	callers.Wait()
	for range cap(results) {
		if err := <-results; !errors.Is(err, ErrClosed) {
			t.Fatalf("a call when the group closes: %v, want %v", err, ErrClosed)
		}
	}
}

// TestBondEventsAreHandledAtOnce hands the events of a bond to the handler, as the group's
// goroutine does. It handles them without queueing them a second time.
func TestBondEventsAreHandledAtOnce(t *testing.T) {
	t.Parallel()
	g := newAbsentGroup()
	h := bondHandler{g}
	h.Down(peerOf("p"), consensus.CodeTimeout)
	h.Message(peerOf("p"), append(append([]byte{messageSealed}, make([]byte, 16)...), 0, 0, 0, 0, 0, 0, 0, 7))
	if got := g.inbox.size(); got != 0 {
		t.Errorf("%d events are queued, want none", got)
	}
	if got := g.endedEpochs[Epoch{}]; got != 7 {
		t.Errorf("the epoch is over with %d commands, want 7", got)
	}
}

// TestTimersReplaceEachOther sets, replaces and clears timers. One that was replaced or cleared
// does not run, also when its event was queued before.
func TestTimersReplaceEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		timers := timers{inbox: in}
		var ran []string
		handle := func() {
			time.Sleep(time.Second)
			synctest.Wait()
			for _, handle := range in.take() {
				handle()
			}
		}
		set := func(name, what string, d time.Duration) { timers.set(name, d, func() { ran = append(ran, what) }) }
		set("a", "replaced", time.Hour)
		set("b", "cleared", time.Hour)
		set("a", "last", 0)
		timers.clear("b")
		timers.clear("never set")
		handle()
		if want := []string{"last"}; !slices.Equal(ran, want) {
			t.Errorf("the timers %q ran, want %q", ran, want)
		}
		set("a", "replaced when queued", 0)
		set("b", "cleared when queued", 0)
		synctest.Wait()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		set("a", "after it", time.Hour)
		timers.clear("b")
		handle()
		if len(ran) != 1 {
			t.Errorf("the timers %q ran, want only the first", ran)
		}
		set("c", "stopped", 0)
		timers.stop()
		handle()
		if len(timers.all) != 0 || len(ran) != 1 {
			t.Errorf("after stop there are the timers %v, and %q ran", timers.all, ran)
		}
	})
}
