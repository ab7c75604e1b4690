package group

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// stuckLines is a machine whose commands return when release is closed.
type stuckLines struct {
	lines
	began   chan struct{}
	release chan struct{}
}

func (m *stuckLines) Apply(at sm.ApplyContext, level uint32, cmd []byte) (any, error, bool) {
	close(m.began)
	<-m.release
	return m.lines.Apply(at, level, cmd)
}

// TestStuckApplyBlocksNoReview looks, while an Apply does not return, whether a member without a
// leader may continue alone. It may not, and the group's goroutine must be free to end the group.
func TestStuckApplyBlocksNoReview(t *testing.T) {
	t.Parallel()
	m := &stuckLines{began: make(chan struct{}), release: make(chan struct{})}
	s := state.New(state.Config{Machine: m})
	applied := make(chan struct{})
	go func() {
		defer close(applied)
		for e := range tail("x") {
			s.Apply(e.Index, e.Term, e.Data)
		}
	}()
	<-m.began

	self := peerOf("a")
	g := &Group{peers: map[sm.PeerID]Announcement{}, stalled: true}
	g.cfg.Self = self
	l := &localReplica{id: 1, state: s, remotes: map[uint64]*remoteReplica{2: {peer: peerOf("b"), goodbye: true}}}
	l.held = func() (engine.HeldMembership, bool) {
		return engine.HeldMembership{Membership: engine.Membership{Voters: map[uint64]sm.PeerID{1: self, 2: peerOf("b")}}}, true
	}
	g.local = l
	continues := make(chan bool)
	go func() { continues <- g.continueAlone(l) }()
	select {
	case got := <-continues:
		if got {
			t.Error("a member with commands that it has not applied continues alone")
		}
		close(m.release)
	case <-time.After(10 * time.Second):
		t.Error("the review waits for an Apply")
		close(m.release)
		<-continues
	}
	<-applied
}
