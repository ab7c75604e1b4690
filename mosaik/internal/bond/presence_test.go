package bond

import (
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// TestRefusalsBringTheHello has one end refuse the other. Both receive the other's hello and know
// its presence.
func TestRefusalsBringTheHello(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	ar.accept = func(sm.PeerID, []byte) consensus.CloseCode { return consensus.CodePolicy }
	hellos := map[*recorder]chan []byte{ar: make(chan []byte, 1000), br: make(chan []byte, 1000)}
	for r, c := range hellos {
		r.refused = func(hello []byte) { c <- hello }
	}
	am, bm := a.join(testGroup(ar, "of a")), b.join(testGroup(br, "of b"))
	ar.want(t, refused(b, consensus.CodePolicy))
	br.want(t, refused(a, consensus.CodePolicy))
	if got := string(<-hellos[ar]); got != "of b" {
		t.Errorf("the end that refused got %q, want %q", got, "of b")
	}
	if got := string(<-hellos[br]); got != "of a" {
		t.Errorf("the end that was refused got %q, want %q", got, "of a")
	}
	if at := am.Presence(b.peer()); !at.Connected || !at.Listed {
		t.Errorf("the end that was refused is %+v, want connected and listed", at)
	}
	if at := am.Presence(sm.PeerID{9}); at != (Presence{}) {
		t.Errorf("an unknown peer is %+v", at)
	}
	bm.Leave()
	if _, err := b.catalog.Update(func(e *discovery.Entry) { e.Groups = nil }); err != nil {
		t.Fatal(err)
	}
	a.awaitEntry(b.peer(), func(s discovery.Signed) bool { return len(s.Groups) == 0 })
	if at := am.Presence(b.peer()); !at.Connected || at.Listed {
		t.Errorf("an end that left the group is %+v, want connected and not listed", at)
	}
	b.stop()
	a.eventually("the end is not connected", func() bool { return a.manager.peers[b.peer()] == nil || a.manager.peers[b.peer()].current == nil })
	if at := am.Presence(b.peer()); at != (Presence{}) {
		t.Errorf("an end that has left is %+v, want one that is forgotten", at)
	}
}
