package bond

import (
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// TestBacklogOfAllIsBounded has two peers send more messages than may wait for a handler. The
// peer of which most wait loses its connection and its messages.
func TestBacklogOfAllIsBounded(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	a, first, ms, rec := rawBond(t, func(g *Group) {
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
