package group

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// others are the states of another voter that this member may know. gone reports whether the voter
// and all voters that it knew have provably ended.
var others = []struct {
	what   string
	gone   bool
	remote *remoteReplica // nil if there was never a bond
	here   bool           // there is a bond
}{
	{"never bonded", false, nil, false},
	{"bonded", false, &remoteReplica{}, true},
	{"cannot be reached", false, &remoteReplica{}, false},
	{"its addresses refuse", false, &remoteReplica{vacant: true}, false},
	{"sent goodbye", true, &remoteReplica{goodbye: true, change: sm.Cursor{Term: 2, Index: 7}}, false},
	{"sent goodbye with an earlier leader's change", true, &remoteReplica{goodbye: true, change: sm.Cursor{Term: 1, Index: 30}}, false},
	{"sent goodbye and knew more voters", false, &remoteReplica{goodbye: true, change: sm.Cursor{Term: 2, Index: 21}, voters: []uint64{1, 9}}, false},
	{"sent goodbye and knew a later leader", false, &remoteReplica{goodbye: true, change: sm.Cursor{Term: 3, Index: 9}, voters: []uint64{1, 9}}, false},
	{"sent goodbye and knew that this one lost its vote", false, &remoteReplica{goodbye: true, change: sm.Cursor{Term: 3, Index: 9}}, false},
	{"sent goodbye and knew fewer voters", true, &remoteReplica{goodbye: true, change: sm.Cursor{Term: 2, Index: 21}, voters: []uint64{1}}, false},
	{"later incarnation", true, &remoteReplica{superseded: true}, true},
}

// TestLastVoter combines all states of two other voters.
func TestLastVoter(t *testing.T) {
	e := Epoch{1}
	self, b, c, d := peerOf("a"), peerOf("b"), peerOf("c"), peerOf("d")
	for _, x := range others {
		for _, y := range others {
			g := &Group{peers: map[sm.PeerID]Announcement{}}
			g.cfg.Self = self
			l := &localReplica{epoch: e, id: 1, remotes: map[uint64]*remoteReplica{}}
			held := engine.HeldMembership{
				Membership: engine.Membership{ChangeID: 7, Voters: map[uint64]sm.PeerID{1: self, 2: b, 3: c}},
				LastChange: sm.Cursor{Term: 2, Index: 7}, Last: sm.Cursor{Term: 2, Index: 20},
			}
			l.held = func() (engine.HeldMembership, bool) { return held, true }
			for i, o := range []struct {
				remote *remoteReplica
				here   bool
			}{{x.remote, x.here}, {y.remote, y.here}} {
				if o.remote != nil {
					m := *o.remote
					m.peer = held.Voters[uint64(i+2)]
					l.remotes[uint64(i+2)] = &m
				}
				if o.here {
					g.peers[held.Voters[uint64(i+2)]] = Announcement{Epoch: e, Change: 7}
				}
			}
			want := x.gone && y.gone
			check := func(what string, want bool) {
				t.Helper()
				if got := g.isLastVoter(l); got != want {
					t.Errorf("one %s, the other %s, %s: last voter is %t, want %t", x.what, y.what, what, got, want)
				}
			}
			check("nothing else", want)
			held.Promoted, held.LastChange = []uint64{4}, sm.Cursor{Term: 2, Index: 9}
			check("one that may have been promoted and was never bonded", false)
			l.remotes[4] = &remoteReplica{peer: d}
			check("one that may have been promoted and cannot be reached", false)
			l.remotes[4].goodbye = true
			check("one that may have been promoted and has ended", want)
			here := Announcement{Epoch: e, Change: 9}
			held.Promoted, g.peers[d] = []uint64{here.replica(d)}, here
			l.remotes[here.replica(d)] = &remoteReplica{peer: d}
			check("one that may have got the vote and is here", want)
			held.Promoted = nil
			g.peers[d] = Announcement{Epoch: Epoch{2}, Change: 10}
			check("one of another epoch", want)
			g.peers[d] = Announcement{Epoch: e, Change: 10}
			check("one that knows of a later change", false)
			delete(g.peers, d)
			held.Voters = map[uint64]sm.PeerID{2: b, 3: c}
			check("no vote here", false)
		}
	}
}

// TestMayContinueAlone combines all conditions that keep a member from continuing alone after every
// other voter has sent goodbye.
func TestMayContinueAlone(t *testing.T) {
	t.Parallel()
	self, b := peerOf("a"), peerOf("b")
	conditions := []struct {
		what string
		set  func(g *Group, l *localReplica, sealed *bool)
	}{
		{"there may be a leader", func(g *Group, _ *localReplica, _ *bool) { g.stalled = false }},
		{"the disk is stalled", func(_ *Group, l *localReplica, _ *bool) { l.diskStalled = true }},
		{"it leaves", func(g *Group, _ *localReplica, _ *bool) { g.leaving = true }},
		{"it is an observer", func(g *Group, _ *localReplica, _ *bool) { g.cfg.Role.Observer = true }},
		{"its machine panicked", func(_ *Group, l *localReplica, _ *bool) { l.poisoned = errors.New("broken") }},
		{"it must take over a carryover", func(_ *Group, l *localReplica, _ *bool) { l.carryover = slices.Values([][]byte(nil)) }},
		{"the epoch is sealed", func(_ *Group, _ *localReplica, sealed *bool) { *sealed = true }},
		{"another voter may be alive", func(_ *Group, l *localReplica, _ *bool) { l.remotes[2].goodbye = false }},
	}
	for drawn := range 1 << len(conditions) {
		for _, commands := range []bool{false, true} {
			for _, optedIn := range []bool{false, true} {
				g := &Group{peers: map[sm.PeerID]Announcement{}, stalled: true}
				g.cfg.Self, g.cfg.Commandless, g.cfg.Policy.ContinueAlone = self, !commands, optedIn
				l := &localReplica{epoch: Epoch{1}, id: 1, remotes: map[uint64]*remoteReplica{2: {peer: b, goodbye: true}}}
				l.held = func() (engine.HeldMembership, bool) {
					return engine.HeldMembership{Membership: engine.Membership{Voters: map[uint64]sm.PeerID{1: self, 2: b}}}, true
				}
				what, sealed := fmt.Sprintf("commands %t, opted in %t", commands, optedIn), false
				for i, c := range conditions {
					if drawn&(1<<i) != 0 {
						c.set(g, l, &sealed)
						what += ", " + c.what
					}
				}
				if got, want := g.mayContinueAlone(l, func() bool { return sealed }), drawn == 0 && (!commands || optedIn); got != want {
					t.Errorf("%s: may continue alone is %t, want %t", what, got, want)
				}
			}
		}
	}
}

// TestGoodbyeSpeaksForItsSender sends goodbyes about several replicas. Only those of the peer whose
// replica it is count.
func TestGoodbyeSpeaksForItsSender(t *testing.T) {
	e, b := Epoch{1}, peerOf("b")
	for _, tc := range []struct {
		from    string
		epoch   Epoch
		replica uint64
		want    bool
	}{
		{"c", e, 5, false}, {"b", Epoch{2}, 5, false}, {"b", e, 6, false}, {"b", e, 5, true},
	} {
		l := &localReplica{epoch: e, remotes: map[uint64]*remoteReplica{5: {peer: b}}}
		if got := l.noteGoodbye(peerOf(tc.from), tc.epoch, tc.replica, sm.Cursor{}, nil); got != tc.want || l.remotes[5].goodbye != tc.want {
			t.Errorf("%s about replica %d of %s: noted %t, want %t", tc.from, tc.replica, tc.epoch, got, tc.want)
		}
	}
}

// TestAllVacant combines all answers of two addresses. Each must refuse or answer as another peer.
func TestAllVacant(t *testing.T) {
	all := []bond.Answer{bond.NoAnswer, bond.Refused, bond.AnotherPeer, bond.SamePeer}
	if allVacant(nil) {
		t.Error("no address counts as proof")
	}
	for _, x := range all {
		for _, y := range all {
			proof := func(a bond.Answer) bool { return a == bond.Refused || a == bond.AnotherPeer }
			if got, want := allVacant([]bond.Answer{x, y}), proof(x) && proof(y); got != want {
				t.Errorf("answers %d and %d: %t, want %t", x, y, got, want)
			}
		}
	}
}

// TestWithoutOpenEntry removes the open entry from a carryover.
func TestWithoutOpenEntry(t *testing.T) {
	content := state.NewCarryover([16]byte{1}, state.New(state.Config{}))
	kinds := func(entries func(func([]byte) bool)) (kinds []format.Kind) {
		for entry := range entries {
			e, err := format.Parse(entry)
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, e.Kind)
		}
		return kinds
	}
	if got, want := kinds(allEntries(content.Entries())), []format.Kind{format.KindAncestor, format.KindOpen}; !slices.Equal(got, want) {
		t.Errorf("the carryover has entries of kinds %v, want %v", got, want)
	}
	if got, want := kinds(withoutOpenEntry(content.Entries())), []format.Kind{format.KindAncestor}; !slices.Equal(got, want) {
		t.Errorf("without its open entry the carryover has entries of kinds %v, want %v", got, want)
	}
}

// TestNewcomersStayInADeadEpoch has a member join an epoch without a leader. It stays while a peer
// vouches for the epoch, because it would join it again, and leaves otherwise.
func TestNewcomersStayInADeadEpoch(t *testing.T) {
	e := Epoch{1}
	vouches := Announcement{Epoch: e, Phase: CaughtUp, Opened: true}
	for _, tc := range []struct {
		what string
		a    Announcement
		want abandonDecision
	}{
		{"a spare that caught up in an open epoch", vouches, decideStay},
		{"a spare of another epoch", Announcement{Epoch: Epoch{2}, Phase: CaughtUp, Opened: true}, decideQuit},
		{"a peer that catches up as well", Announcement{Epoch: e, Phase: CatchingUp}, decideQuit},
		{"a spare of an epoch that is closed", Announcement{Epoch: e, Phase: CaughtUp}, decideQuit},
	} {
		l := &localReplica{epoch: e}
		o := abandonment{}
		g := &Group{local: l, peers: map[sm.PeerID]Announcement{peerOf("b"): tc.a}, appliedIndex: watch.New(sm.Index(0))}
		g.notePeers(l, &o)
		if got := o.decide(); got != tc.want {
			t.Errorf("%s: decision %d, want %d", tc.what, got, tc.want)
		}
	}
}
