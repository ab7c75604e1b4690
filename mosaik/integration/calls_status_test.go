package integration_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// Observers alone never form a group, and say why.
func TestObserversAlone(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	groups := make([]tillGroup, 2)
	for i := range groups {
		n := c.Node(i)
		groups[i] = testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithRole(consensus.Role{Observer: true}).
			WithMembership(consensus.Policy{}).WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None})))
	}
	for _, g := range groups {
		if _, err := g.When().Until(soon(t), bonded(g, 1)); err != nil {
			t.Fatal(err)
		}
		s := g.Status()
		if !strings.Contains(s.Waits, "all connected members are observers") || s.Online || s.Epoch != (consensus.Epoch{}) {
			t.Errorf("the status of an observer among observers is %+v", s)
		}
		_, err := mosaik.Execute(t.Context(), g, pay(1))
		wantError(t, "execute among observers", err, mosaik.ErrForming)
	}
	n := c.Add()
	voter := testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(consensus.Policy{}).
		WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None})))
	testutil.Settle(t, append(groups, voter)...)
	if s := voter.Status(); s.Waits != "" || !s.Settled {
		t.Errorf("a settled member says that it waits for %q", s.Waits)
	}
}

// Members say where they are, how far away and when they were last seen.
func TestMembersInDetail(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	g, lost := groups[0], c.Node(2)
	find := func(s consensus.Status) consensus.Member {
		i := slices.IndexFunc(s.Members, func(m consensus.Member) bool { return m.Peer == lost.Peer() })
		return s.Members[i]
	}
	for find(g.Status()).RTT == 0 {
		mustPay(t, g, 1) // a measurement alone is no change of status to wait for
	}
	m := find(g.Status())
	if !m.Voter || !m.CaughtUp || !m.Bonded || m.Incarnation == (consensus.Incarnation{}) || !m.LastSeen.IsZero() ||
		!slices.Equal(m.Addrs, []string{lost.Addr()}) || m.RTT <= 0 || m.RTT > time.Minute {
		t.Errorf("a member that is here: %+v", m)
	}
	before := time.Now()
	lost.Crash()
	for s := range g.When().Statuses(soon(t)) {
		if m = find(s); !m.Bonded {
			break
		}
	}
	if m.LastSeen.Before(before) || m.LastSeen.After(time.Now()) || !m.Voter || m.RTT != 0 {
		t.Errorf("a member that crashed: %+v", m)
	}
}

// A group over slow links works; connections that are dropped come back.
func TestSlowAndBrokenLinks(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	for i := range 3 {
		c.Delay(i, (i+1)%3, 20*time.Millisecond)
	}
	for _, g := range groups {
		mustPay(t, g, 1)
	}
	for i := range 3 {
		c.Drop(i, (i+1)%3)
	}
	for _, g := range groups {
		if err := g.When().Online(soon(t)); err != nil {
			t.Fatal(err)
		}
		mustPay(t, g, 1)
	}
	testutil.Settle(t, groups...)
	wantSum(t, 6, groups...)
}

// A handle that was closed says so, and so does one whose network was closed.
func TestStatusOfAnEnd(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinAll(c, newTill)[0]
	other := testutil.JoinAll(c, newTill)[0]
	if s := g.Status(); s.Ended != nil || !s.Online {
		t.Errorf("the status of a member: %+v", s)
	}
	if err := g.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	for what, closed := range map[string]tillGroup{"a handle that was closed": g, "a handle whose network was closed": other} {
		if closed == other {
			c.Node(0).Close()
		}
		s := closed.Status()
		if !errors.Is(s.Ended, mosaik.ErrClosed) || !strings.HasPrefix(s.Waits, "nothing: ") || s.Online || s.Settled {
			t.Errorf("%s: %+v", what, s)
		}
		if text, err := json.Marshal(s); err != nil || !strings.Contains(string(text), `"Ended":"mosaik: group `+g.ID().Short()+`: the group is closed"`) {
			t.Errorf("%s: %s, %v", what, text, err)
		}
	}
}
