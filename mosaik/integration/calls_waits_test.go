package integration_test

import (
	"context"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// Waits end with their handle, also if the group continues under another handle.
func TestWaitsEndWithTheirHandle(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	other := testutil.JoinAll(c, newTill)[0]
	g := testutil.Join(c.Node(0), newTill)
	waiting := make(chan struct{}, 2)
	results := make(chan error, 2)
	go func() {
		began := sync.OnceFunc(func() { waiting <- struct{}{} })
		_, err := g.When().Until(soon(t), func(consensus.Status) bool {
			began()
			return false
		})
		results <- err
	}()
	go func() {
		began := sync.OnceFunc(func() { waiting <- struct{}{} })
		for range g.When().Statuses(soon(t)) {
			began()
		}
		results <- mosaik.ErrClosed
	}()
	<-waiting
	<-waiting
	if err := g.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantError(t, "a wait on a closed handle", <-results, mosaik.ErrClosed)
	}
	if err := other.When().Online(soon(t)); err != nil {
		t.Errorf("the other handle: %v", err)
	}
}

// Until returns the status that met the condition, and the last one beside an error.
func TestUntil(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	testutil.Settle(t, groups...)
	leader := leaderOf(t, c, groups[0])
	g := without(groups, leader)[0]
	if s, err := g.When().Until(gone(), ledBy(leader.Peer())); err != nil || s.Leader != leader.Peer() {
		t.Errorf("what is so already: leader %s, error %v", s.Leader.Short(), err)
	}
	calls := 0
	s, err := g.When().Until(gone(), func(consensus.Status) bool { calls++; return false })
	wantError(t, "what never is", err, context.Canceled)
	wantOutcome(t, "what never is", err, mosaik.NotApplied)
	if calls == 0 || s.Leader != leader.Peer() {
		t.Errorf("the condition was called %d times, the last status has leader %s", calls, s.Leader.Short())
	}

	changed := make(chan consensus.Status, 1)
	go func() {
		s, err := g.When().Until(soon(t), ledByOtherThan(leader.Peer()))
		if err != nil {
			t.Error(err)
		}
		changed <- s
	}()
	leader.Crash()
	if s := <-changed; s.Leader.IsZero() || s.Leader == leader.Peer() {
		t.Errorf("the leader changed to %s", s.Leader.Short())
	}
}

// Leading returns the claim that Leadership returns.
func TestLeading(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	leader := leaderOf(t, c, groups[0])
	claim, err := groups[leader.Index()].When().Leading(soon(t))
	if now, ok := groups[leader.Index()].Leadership(); err != nil || !ok || claim != now || claim.Token == 0 {
		t.Errorf("the claim is %+v, error %v, and then %+v, %t", claim, err, now, ok)
	}
	follower := groups[(leader.Index()+1)%3]
	if claim, err := follower.When().Leading(gone()); err == nil || claim != (consensus.Leadership{}) {
		t.Errorf("the claim of a follower is %+v, error %v", claim, err)
	}
}
