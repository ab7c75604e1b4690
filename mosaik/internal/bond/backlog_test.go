package bond

import (
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// TestBacklogOfAllIsBounded has two peers send more messages than may wait for a handler. The
// peer with the most waiting messages loses its connection and its messages.
func TestBacklogOfAllIsBounded(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	a, first, ms, rec := rawBond(t, func(g *GroupConfig) {
		g.Handler.(*recorder).on = func(rep report) {
			if rep.Text == "block" {
				close(entered)
				<-release
			}
		}
	})
	goOn := sync.OnceFunc(func() { close(release) })
	t.Cleanup(goOn)
	second := connectRaw(t, a, 2)
	a.bearWith(second)
	group := testGroup(nil, "").ID
	second.sendEntries(second.entry(1, group))
	second.past(kindEntries)
	second.open(1)
	second.past(kindEntries)
	second.send(kindIntro, introFrame{group, 1, 1, nil}.append(nil))
	second.send(kindAccept, acceptFrame{group, 1, 1}.append(nil))
	rec.want(t, report{"up", second.id.Peer(), 0, ""})
	second.past(kindEntries) // ACCEPT

	say := func(r *raw, text string) { r.send(kindMessage, messageFrame{group, []byte(text)}.append(nil)) }
	say(first, "block")
	<-entered
	say(second, "a long message of the second")
	say(second, "another")
	second.settle()
	a.manager.mu.Lock()
	ms.pending.bytes += maxPendingAllBytes - ms.pending.bytes - 3
	a.manager.mu.Unlock()
	say(first, "one")
	first.settle()
	say(first, "two")
	second.expectGoodbye(consensus.CodeProtocolViolation)
	first.settle()
	goOn()
	for _, want := range []report{
		{"message", first.id.Peer(), 0, "block"},
		{"message", first.id.Peer(), 0, "one"},
		{"message", first.id.Peer(), 0, "two"},
		{"down", second.id.Peer(), consensus.CodeProtocolViolation, ""},
	} {
		rec.want(t, want)
	}
	if got := len(ms.Bonds()); got != 1 {
		t.Errorf("%d bonds are left, want 1", got)
	}
}

// TestHandshakesAreBounded fills the backlog of a group with events that cannot be dropped. The
// handshake of another peer is then dropped, and completes once there is space again.
func TestHandshakesAreBounded(t *testing.T) {
	t.Parallel()
	a, _, ms, rec := rawBond(t, nil)
	fill := func(n int) {
		a.manager.mu.Lock()
		defer a.manager.mu.Unlock()
		ms.pending.calls += n
	}
	fill(maxPendingAll)
	second := connectRaw(t, a, 2)
	a.bearWith(second)
	group := testGroup(nil, "").ID
	second.sendEntries(second.entry(1, group))
	second.past(kindEntries)
	second.open(1)
	second.settle()
	rec.wantNothing(t)
	if got := ms.queued(); got != 0 {
		t.Errorf("%d events of a handshake wait above the bound, want none", got)
	}
	fill(-maxPendingAll)
	second.send(kindClose, closeFrame{group: group, mine: 1, code: consensus.CodeCancelled}.append(nil))
	second.settle()
	rec.want(t, report{"refused", second.id.Peer(), consensus.CodeCancelled, ""})
}

// TestEventsCountUntilHandled checks the backlog while the handler runs and after it
// has returned.
func TestEventsCountUntilHandled(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	var post func(func())
	a, first, ms, rec := rawBond(t, func(g *GroupConfig) {
		post = g.Post
		g.Handler.(*recorder).on = func(rep report) {
			if rep.Text == "block" {
				close(entered)
				<-release
			}
		}
	})
	group := testGroup(nil, "").ID
	pending := func() backlog {
		a.manager.mu.Lock()
		defer a.manager.mu.Unlock()
		return ms.pending
	}
	first.send(kindMessage, messageFrame{group, []byte("block")}.append(nil))
	<-entered
	if got, want := pending(), (backlog{1, len("block")}); got != want {
		t.Errorf("while the handler runs %+v is pending, want %+v", got, want)
	}
	close(release)
	rec.want(t, report{"message", first.id.Peer(), 0, "block"})
	handled := make(chan struct{})
	post(func() { close(handled) })
	<-handled
	if got := pending(); got != (backlog{}) {
		t.Errorf("after the handler has returned %+v is pending", got)
	}
}

// queued returns the number of events that the handler has not begun to handle.
func (ms *GroupBonds) queued() (n int) {
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	for b := range ms.waiting {
		n += len(b.events)
	}
	return n
}
