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
func leaver() (*Group, *localReplica) {
	e, self, b := Epoch{1}, peerOf("a"), peerOf("b")
	g := &Group{peers: map[sm.PeerID]Announcement{}, lastSeen: map[sm.PeerID]time.Time{}, leaveResult: watch.New(leaveResult{}), leaving: true}
	g.timers.inbox = newInbox()
	g.cfg.Self, g.cfg.Clock, g.cfg.Log = self, time.Now, keptIn{}
	g.cfg.Policy = Policy{Expected: 2, MinimumVoters: 1, MaximumVoters: 5, Grace: time.Hour}
	g.cfg.Timing = Timing{ElectionTimeout: time.Second, ElectionLimit: time.Second}
	l := &localReplica{epoch: e, leader: 2, inSync: true, caughtUp: true, remotes: map[uint64]*remoteReplica{}, state: state.New(state.Config{})}
	g.local = l
	l.id = g.announcement().replica(self)
	other := Announcement{Epoch: e, Phase: CaughtUp}
	g.peers[b], l.leader = other, other.replica(b)
	l.members = engine.Membership{ChangeID: 7, Voters: map[uint64]sm.PeerID{l.id: self, l.leader: b}}
	g.leaveProgress = leaveProgress{since: time.Now(), change: 7, leader: l.leader}
	return g, l
}

// replaceableBy lets a third member that could take the vote be here.
func replaceableBy(g *Group, l *localReplica) {
	g.peers[peerOf("c")] = Announcement{Epoch: l.epoch, Phase: CaughtUp}
}

// TestFinishLeaving ends leaving as soon as it is certain how it ends, and no sooner.
func TestFinishLeaving(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what string
		set  func(*Group, *localReplica)
		done bool
		want error
	}{
		{"the vote is needed", func(*Group, *localReplica) {}, true, ErrVoteNeeded},
		{"what this member sees is old", func(_ *Group, l *localReplica) { l.inSync = false }, false, nil},
		{"another member could take the vote", replaceableBy, false, nil},
		{"another member could take the vote, but there is no leader for long", func(g *Group, l *localReplica) {
			replaceableBy(g, l)
			l.leader, l.inSync, g.stalled = 0, false, true
		}, true, ErrStalled},
		{"it is alone", func(_ *Group, l *localReplica) { delete(l.members.Voters, l.leader) }, true, nil},
		{"it has no vote", func(_ *Group, l *localReplica) { delete(l.members.Voters, l.id) }, false, nil},
	} {
		g, l := leaver()
		tc.set(g, l)
		if got := g.finishLeaving(l); got != tc.done {
			t.Errorf("%s: leaving has ended is %t, want %t", tc.what, got, tc.done)
		}
		if got := g.leaveResult.Get(); got.err != tc.want {
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
			g.leaveProgress.since = time.Now().Add(-2 * time.Hour)
		}
		if !votes {
			delete(l.members.Voters, l.id)
		}
		if !led {
			l.leader = 0
		}
		if g.leaveProgress.leader = l.leader; other {
			g.leaveProgress.leader = l.id
		}
		if changed {
			l.members.ChangeID++
		}
		var want leaveResult
		waits := changed || graced && (votes && replaceable || other)
		switch {
		case waits:
		case !led:
			want = leaveResult{done: true, err: ErrStalled}
		case votes:
			want = leaveResult{done: true, err: ErrVoteNeeded}
		default:
			want = leaveResult{done: true, err: errUnconfirmed}
		}
		g.reviewLeave(l)
		if got := g.leaveResult.Get(); got != want {
			t.Errorf("%s: leaving has ended is %t with error %v, want %t with %v", what, got.done, got.err, want.done, want.err)
		}
		if got := g.timers.all["leave"] != nil; got != waits {
			t.Errorf("%s: another look is planned is %t, want %t", what, got, waits)
		}
		if waits && (g.leaveProgress.change != l.members.ChangeID || g.leaveProgress.leader != l.leader) {
			t.Errorf("%s: the same change, or the same leader, counts again", what)
		}
		g.timers.stop()
	}
}

// TestAwaitLeaving waits for a goroutine that handles nothing, until the group has ended, the
// context has, or enough time has passed.
func TestAwaitLeaving(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what  string
		wake  func(g *Group, cancel func())
		after time.Duration
		want  error
	}{
		{"leaving begins", func(g *Group, _ func()) { g.leaveResult.Set(leaveResult{begun: true}) }, 0, nil},
		{"leaving is done", func(g *Group, _ func()) { g.leaveResult.Set(leaveResult{done: true}) }, 0, nil},
		{"the group has ended", func(g *Group, _ func()) { g.leaveResult.End(ErrClosed) }, 0, ErrClosed},
		{"the context ends", func(_ *Group, cancel func()) { cancel() }, 0, context.Canceled},
		{"nothing happens", func(*Group, func()) {}, stopTime, errUnconfirmed},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := &Group{leaveResult: watch.New(leaveResult{})}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				tc.wake(g, cancel)
				began := time.Now()
				if err := g.awaitLeaving(ctx); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
					t.Errorf("error %v, want %v", err, tc.want)
				}
				if got := time.Since(began); got != tc.after {
					t.Errorf("it waited %v, want %v", got, tc.after)
				}
			})
		})
	}
}
