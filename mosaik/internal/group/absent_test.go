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

// numbered returns a peer that stands for a number.
func numbered(n int) (p sm.PeerID) {
	binary.BigEndian.PutUint64(p[:], uint64(n)+1)
	return p
}

// newAbsentGroup returns a group that seeks nothing, and whose loop is the test.
func newAbsentGroup() *Group {
	g := &Group{
		log: slog.New(slog.DiscardHandler), inbox: newMailbox(), leaving: true,
		peers: map[sm.PeerID]Announcement{}, lastSeen: map[sm.PeerID]time.Time{}, ended: map[Epoch]sm.Index{},
		successions: map[sm.PeerID]*succession{}, opponents: map[sm.PeerID]opponent{},
	}
	g.timers.post = func(f func()) { f() }
	return g
}

// comeAndGo has a process bond with a new identity, and end.
func (g *Group) comeAndGo(n int) {
	peer := numbered(n)
	g.peers[peer] = Announcement{}
	g.succession(peer).note(NewOrigin(0, Directory{}, testClock).begin(Incarnation{}), admitted)
	g.unbonded(peer, consensus.CodeUnexpectedClose)
}

// However many identities come and go, no more are remembered than maxAbsent, the latest.
func TestAbsentPeersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which orders the times
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

// Members are remembered whenever they were seen, and however many they are; strangers
// take no place of theirs.
func TestAbsentMembersAreKept(t *testing.T) {
	t.Parallel()
	g := newAbsentGroup()
	g.life = &life{members: engine.Membership{Voters: map[uint64]sm.PeerID{}, NonVoting: map[uint64]sm.PeerID{}}}
	const members, strangers = maxAbsent + 1, 10
	for n := range members + strangers {
		switch {
		case n >= members:
		case n%2 == 0:
			g.life.members.Voters[uint64(n)] = numbered(n)
		default:
			g.life.members.NonVoting[uint64(n)] = numbered(n)
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

// A peer that asks for a bond and gets none leaves nothing behind.
func TestStrangersLeaveNoSuccession(t *testing.T) {
	t.Parallel()
	g := newAbsentGroup()
	for n := range 10 {
		if code := g.receive(numbered(n), NewOrigin(0, Directory{}, testClock).begin(Incarnation{})); code != consensus.CodeAccepted {
			t.Errorf("a process that nobody came before is refused: %v", code)
		}
	}
	if n := len(g.successions); n > 0 {
		t.Errorf("%d successions are remembered, want none", n)
	}
}

// Epochs of which others say that they are over are remembered up to maxEnded.
func TestEndedEpochsAreBounded(t *testing.T) {
	t.Parallel()
	g := newAbsentGroup()
	for n := range 2 * maxEnded {
		var e Epoch
		binary.BigEndian.PutUint64(e[:], uint64(n)+1)
		g.toldSealed(e, 1)
		g.toldSealed(Epoch{7: 1}, sm.Index(n)) // the first one again
	}
	if n := len(g.ended); n != maxEnded {
		t.Errorf("%d epochs are remembered, want %d", n, maxEnded)
	}
	if got, want := g.ended[Epoch{7: 1}], sm.Index(2*maxEnded-1); got != want {
		t.Errorf("the first epoch was over with %d commands, want %d, of which was told last", got, want)
	}
}

// A timer that has fired is forgotten, and one that took its place is not.
func TestFiredTimersAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		events := make(chan func(), 200)
		timers := timers{post: func(f func()) { events <- f }}
		fired := 0
		for n := range 100 {
			timers.set(numbered(n).String(), time.Second, func() { fired++ })
		}
		time.Sleep(time.Second)
		synctest.Wait()
		timers.set(numbered(0).String(), time.Hour, func() { fired += 1000 })
		for len(events) > 0 {
			(<-events)()
		}
		if fired != 100 || len(timers.all) != 1 {
			t.Errorf("%d timers fired and %d are remembered, want 100 and 1", fired, len(timers.all))
		}
		timers.stop()
	})
}
