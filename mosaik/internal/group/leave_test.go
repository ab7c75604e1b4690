package group

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// leaver returns a member that has begun to leave a group of two voters, where two members are
// expected. The other voter is here and leads.
func leaver() (*Group, *life) {
	e, self, b := Epoch{1}, peerOf("a"), peerOf("b")
	g := &Group{peers: map[sm.PeerID]Announcement{}, lastSeen: map[sm.PeerID]time.Time{}, left: watch.New(farewell{}), leaving: true}
	g.timers.post = func(func()) {}
	g.cfg.Self, g.cfg.Clock, g.cfg.Log = self, time.Now, keptIn{}
	g.cfg.Policy = Policy{Expected: 2, Minimum: 1, Maximum: 5, Grace: time.Hour}
	g.cfg.Timing = Timing{ElectionTimeout: time.Second, ElectionLimit: time.Second}
	l := &life{epoch: e, leader: 2, level: true, caughtUp: true, met: map[uint64]*met{}, state: state.New(state.Config{})}
	g.life = l
	l.id = g.announcement().replica(self)
	other := Announcement{Epoch: e, Phase: CaughtUp}
	g.peers[b], l.leader = other, other.replica(b)
	l.members = engine.Membership{ChangeID: 7, Voters: map[uint64]sm.PeerID{l.id: self, l.leader: b}}
	g.leave = leave{since: time.Now(), change: 7, leader: l.leader}
	return g, l
}

// replaceableBy lets a third member that could take the vote be here.
func replaceableBy(g *Group, l *life) {
	g.peers[peerOf("c")] = Announcement{Epoch: l.epoch, Phase: CaughtUp}
}

// TestLetGo ends leaving as soon as it is certain how it ends, and no sooner.
func TestLetGo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what string
		set  func(*Group, *life)
		done bool
		want error
	}{
		{"the vote is needed", func(*Group, *life) {}, true, ErrVoteNeeded},
		{"what this member sees is old", func(_ *Group, l *life) { l.level = false }, false, nil},
		{"another member could take the vote", replaceableBy, false, nil},
		{"another member could take the vote, but there is no leader for long", func(g *Group, l *life) {
			replaceableBy(g, l)
			l.leader, l.level, g.stalled = 0, false, true
		}, true, ErrStalled},
		{"it is alone", func(_ *Group, l *life) { delete(l.members.Voters, l.leader) }, true, nil},
		{"it has no vote", func(_ *Group, l *life) { delete(l.members.Voters, l.id) }, false, nil},
	} {
		g, l := leaver()
		tc.set(g, l)
		if got := g.letGo(l); got != tc.done {
			t.Errorf("%s: leaving has ended is %t, want %t", tc.what, got, tc.done)
		}
		if got := g.left.Get(); got.err != tc.want {
			t.Errorf("%s: leaving ended with error %v, want %v", tc.what, got.err, tc.want)
		}
	}
}

// TestReviewLeave ends leaving where nothing shows how it will end: not while the membership
// changes, and for a grace not while a member is here that could take the vote, or another leader
// has been elected.
func TestReviewLeave(t *testing.T) {
	t.Parallel()
	conditions := []string{"a change", "replaceable", "within the grace", "a vote", "a leader", "another leader than before"}
	for drawn := range 1 << len(conditions) {
		what, has := "leaving with", make([]bool, len(conditions))
		for i, c := range conditions {
			if has[i] = drawn&(1<<i) != 0; has[i] {
				what += ", " + c
			}
		}
		changed, replaceable, graced, votes, led, other := has[0], has[1], has[2], has[3], has[4], has[5]
		g, l := leaver()
		if replaceable {
			replaceableBy(g, l)
		}
		if !graced {
			g.leave.since = time.Now().Add(-2 * time.Hour)
		}
		if !votes {
			delete(l.members.Voters, l.id)
		}
		if !led {
			l.leader = 0
		}
		if g.leave.leader = l.leader; other {
			g.leave.leader = l.id
		}
		if changed {
			l.members.ChangeID++
		}
		var want farewell
		waits := changed || graced && (votes && replaceable || other)
		switch {
		case waits:
		case !led:
			want = farewell{true, ErrStalled}
		case votes:
			want = farewell{true, ErrVoteNeeded}
		default:
			want = farewell{true, errUnconfirmed}
		}
		g.reviewLeave(l)
		if got := g.left.Get(); got != want {
			t.Errorf("%s: leaving has ended is %t with error %v, want %t with %v", what, got.done, got.err, want.done, want.err)
		}
		if got := g.timers.all["leave"] != nil; got != waits {
			t.Errorf("%s: another look is planned is %t, want %t", what, got, waits)
		}
		if waits && (g.leave.change != l.members.ChangeID || g.leave.leader != l.leader) {
			t.Errorf("%s: the same change, or the same leader, counts again", what)
		}
		g.timers.stop()
	}
}

// TestAwait waits for a loop that takes nothing up, until the loop has ended, the context has,
// or enough time has passed.
func TestAwait(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what  string
		wake  func(g *Group, begun chan struct{}, cancel func())
		after time.Duration
		want  error
	}{
		{"the loop takes it up", func(_ *Group, begun chan struct{}, _ func()) { close(begun) }, 0, nil},
		{"the loop has ended", func(g *Group, _ chan struct{}, _ func()) { close(g.done) }, 0, nil},
		{"the context ends", func(_ *Group, _ chan struct{}, cancel func()) { cancel() }, 0, context.Canceled},
		{"nothing happens", func(*Group, chan struct{}, func()) {}, stopTime, errUnconfirmed},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g, begun := &Group{done: make(chan struct{})}, make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				tc.wake(g, begun, cancel)
				began := time.Now()
				if err := g.await(ctx, begun); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
					t.Errorf("error %v, want %v", err, tc.want)
				}
				if got := time.Since(began); got != tc.after {
					t.Errorf("it waited %v, want %v", got, tc.after)
				}
			})
		})
	}
}
