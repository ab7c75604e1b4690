package integration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// joinLone joins with a policy of its own, by which a member alone is a group.
func joinLone(n *testutil.Node, grace time.Duration) tillGroup {
	return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder().WithMembership(consensus.Policy{Grace: grace}), newTill))
}

// TestRefusedMemberFoundsNoGroup has a process join beside a group of three with
// another policy. It is refused, says so, and accepts no command for as long as the
// group is there; when that has been gone for the grace, it founds its own.
func TestRefusedMemberFoundsNoGroup(t *testing.T) {
	t.Parallel()
	const grace = 2 * time.Second
	c := testutil.NewCluster(t, 4)
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	testutil.Settle(t, groups...)
	lone := joinLone(c.Node(3), grace)
	ctx := soon(t)
	for s := range lone.When().Statuses(ctx) {
		if strings.Contains(s.Waits, "whose group accepts commands") && strings.Contains(s.Waits, "another membership policy") {
			break
		}
	}
	// Much longer than the delay after which a member that meets nobody founds a group.
	short, cancel := context.WithTimeout(ctx, 3*time.Second+grace)
	defer cancel()
	if err := lone.When().Online(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("beside a group that refuses it, it waits with %v, want the end of the context; status %+v", err, lone.Status())
	}
	if s := lone.Status(); !s.Epoch.IsZero() || s.AcceptsCommands {
		t.Fatalf("it is in epoch %v and accepts commands: %t", s.Epoch, s.AcceptsCommands)
	}
	_, err := mosaik.Execute(ctx, lone, pay(1))
	wantError(t, "execute beside a group that refuses it", err, mosaik.ErrForming)
	mustPay(t, groups[0], 1)

	for i := range groups {
		c.Node(i).Crash()
	}
	if err := lone.When().Online(ctx); err != nil {
		t.Fatal(err)
	}
	mustPay(t, lone, 2)
}

// TestGroupThatLeavesBarsNobody has the members that refuse a process leave the group
// while their networks stay.
func TestGroupThatLeavesBarsNobody(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	other := joinOne(c.Node(0))
	if err := other.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	lone := joinLone(c.Node(1), time.Second)
	for s := range lone.When().Statuses(soon(t)) {
		if strings.Contains(s.Waits, "whose group accepts commands") {
			break
		}
	}
	if err := other.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := lone.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
}

// joinOne joins as one of one, with another policy than joinLone's.
func joinOne(n *testutil.Node) tillGroup {
	return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder().WithMembership(consensus.Policy{Expected: 1}), newTill))
}

// TestRevokedMemberBarsNobody has a process form a group while it is connected to a
// member of another one that it refuses: it waits only if the ticket of that member
// counts.
func TestRevokedMemberBarsNobody(t *testing.T) {
	t.Parallel()
	door := password{"sesame"}
	for name, revoked := range map[string]bool{"revoked": true, "member": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 2)
			join := func(n *testutil.Node, policy consensus.Policy) tillGroup {
				return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder().RequireTicket(door), newTill).WithMembership(policy))
			}
			ctx := soon(t)
			for i := range 2 {
				if err := c.Node(i).Net().AddTicket(door.ticket()); err != nil {
					t.Fatal(err)
				}
			}
			old := join(c.Node(0), consensus.Policy{Expected: 1})
			if err := old.When().Online(ctx); err != nil {
				t.Fatal(err)
			}
			if revoked {
				if err := c.Node(0).Net().RemoveTicket(door.ticket()); err != nil {
					t.Fatal(err)
				}
			}
			lone := join(c.Node(1), consensus.Policy{})
			if revoked {
				if err := lone.When().Online(ctx); err != nil {
					t.Fatal(err)
				}
				mustPay(t, lone, 1)
				return
			}
			for s := range lone.When().Statuses(ctx) {
				if s.AcceptsCommands {
					t.Fatal("it accepts commands beside a member that it refuses")
				}
				if strings.Contains(s.Waits, "whose group accepts commands") {
					break
				}
			}
		})
	}
}
