package group

import (
	"encoding/binary"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/sm"
)

// numbered returns the peer of a number.
func numbered(n int) (p sm.PeerID) {
	binary.BigEndian.PutUint64(p[:], uint64(n)+1)
	return p
}

// newAbsentGroup returns a group that looks for no epoch. The test is its goroutine.
func newAbsentGroup() *Group {
	g := &Group{
		log: slog.New(slog.DiscardHandler), inbox: newInbox(), leaving: true,
		peers: map[sm.PeerID]Announcement{}, lastSeen: map[sm.PeerID]time.Time{}, endedEpochs: map[Epoch]sm.Index{},
		successions: map[sm.PeerID]*succession{}, blockers: map[sm.PeerID]blocker{},
	}
	g.timers.inbox = g.inbox
	return g
}

// comeAndGo has a process with a new identity bond and end its bond.
func (g *Group) comeAndGo(n int) {
	peer := numbered(n)
	g.peers[peer] = Announcement{}
	g.succession(peer).note(NewOrigin(0, Directory{}, testClock).newIncarnation(Incarnation{}), admitted)
	g.bondDown(peer, consensus.CodeUnexpectedClose)
}

// TestAbsentPeersAreBounded has more identities come and go than maxAbsent. The latest are
// remembered.
func TestAbsentPeersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that times differ
		g := newAbsentGroup()
		for n := range 2 * maxAbsent {
			g.comeAndGo(n)
			time.Sleep(time.Millisecond)
		}
		if len(g.lastSeen) != maxAbsent || len(g.successions) != maxAbsent {
			t.Errorf("%d absent peers and %d successions are remembered, want %d", len(g.lastSeen), len(g.successions), maxAbsent)
		}
		for n := range 2 * maxAbsent {
			_, seen := g.lastSeen[numbered(n)]
			if _, known := g.successions[numbered(n)]; seen != (n >= maxAbsent) || known != seen {
				t.Fatalf("of %d identities, number %d: last seen %t, succession %t", 2*maxAbsent, n, seen, known)
			}
		}
	})
}

// TestAbsentMembersAreKept has more members and strangers absent than maxAbsent. All members are
// remembered.
func TestAbsentMembersAreKept(t *testing.T) {
	t.Parallel()
	g := newAbsentGroup()
	g.local = &localReplica{members: engine.Membership{Voters: map[uint64]sm.PeerID{}, NonVoting: map[uint64]sm.PeerID{}}}
	const members, strangers = maxAbsent + 1, 10
	for n := range members + strangers {
		switch {
		case n >= members:
		case n%2 == 0:
			g.local.members.Voters[uint64(n)] = numbered(n)
		default:
			g.local.members.NonVoting[uint64(n)] = numbered(n)
		}
		g.lastSeen[numbered(n)] = testClock.Add(time.Duration(n))
		g.forgetAbsent()
	}
	for n := range members {
		if _, seen := g.lastSeen[numbered(n)]; !seen {
			t.Fatalf("member %d is forgotten", n)
		}
	}
	if len(g.lastSeen) != members {
		t.Errorf("%d absent peers are remembered, want the %d members", len(g.lastSeen), members)
	}
}

// TestStrangersLeaveNoSuccession has peers ask for a bond that they do not get. Nothing is
// remembered.
func TestStrangersLeaveNoSuccession(t *testing.T) {
	t.Parallel()
	g := newAbsentGroup()
	for n := range 10 {
		if code := g.handshakeCode(numbered(n), NewOrigin(0, Directory{}, testClock).newIncarnation(Incarnation{})); code != consensus.CodeAccepted {
			t.Errorf("the first process of a peer is refused: %v", code)
		}
	}
	if n := len(g.successions); n > 0 {
		t.Errorf("%d successions are remembered, want none", n)
	}
}

// TestEndedEpochsAreBounded has peers report more ended epochs than maxEndedEpochs.
func TestEndedEpochsAreBounded(t *testing.T) {
	t.Parallel()
	g := newAbsentGroup()
	for n := range 2 * maxEndedEpochs {
		var e Epoch
		binary.BigEndian.PutUint64(e[:], uint64(n)+1)
		g.receiveSealed(e, 1)
		g.receiveSealed(Epoch{7: 1}, sm.Index(n)) // the first one again
	}
	if n := len(g.endedEpochs); n != maxEndedEpochs {
		t.Errorf("%d epochs are remembered, want %d", n, maxEndedEpochs)
	}
	if got, want := g.endedEpochs[Epoch{7: 1}], sm.Index(2*maxEndedEpochs-1); got != want {
		t.Errorf("the first epoch was over with %d commands, want %d, as reported last", got, want)
	}
}

// TestFiredTimersAreForgotten lets timers fire. They are forgotten, except for one that was set
// again before its event was handled, which then does not run.
func TestFiredTimersAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		timers := timers{inbox: in}
		fired := 0
		for n := range 100 {
			timers.set(numbered(n).String(), time.Second, func() { fired++ })
		}
		time.Sleep(time.Second)
		synctest.Wait()
		timers.set(numbered(0).String(), time.Hour, func() { fired += 1000 })
		for _, handle := range in.take() {
			handle()
		}
		if fired != 99 || len(timers.all) != 1 {
			t.Errorf("%d timers ran and %d are remembered, want 99 and 1", fired, len(timers.all))
		}
		timers.stop()
	})
}
