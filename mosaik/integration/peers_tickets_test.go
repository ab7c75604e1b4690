package integration_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// password admits peers whose ticket is the password.
type password struct{ word string }

func (password) Class() sm.Digest       { return sm.ID("password") }
func (p password) Signature() sm.Digest { return p.Class().Derive([]byte(p.word)) }
func (p password) Validate(_ time.Time, _ sm.PeerID, t ticket.Ticket) (time.Time, error) {
	if string(t.Data) != p.word {
		return time.Time{}, errors.New("that is not the password")
	}
	return time.Time{}, nil
}

func (p password) ticket() ticket.Ticket {
	return ticket.Ticket{Class: p.Class(), Data: []byte(p.word)}
}

// savedTill is a till with snapshots.
type savedTill struct{ till }

func (*savedTill) Snapshot(io.Writer) error { return nil }
func (*savedTill) Restore(io.Reader) error  { return nil }

// newLoggedCluster starts nodes that each log into a book.
func newLoggedCluster(t *testing.T, n int) (*testutil.Cluster, []*logbook) {
	books := make([]*logbook, n)
	for i := range books {
		books[i] = newLogbook()
	}
	return testutil.NewCluster(t, n, testutil.WithNodeOptions(func(i int) []mosaik.Option {
		return []mosaik.Option{books[i].option()}
	})), books
}

// apart fails the test unless the two members, which refuse each other for the
// reason given, have no bond.
func apart(t *testing.T, books []*logbook, reason string, groups ...tillGroup) {
	t.Helper()
	for i, g := range groups {
		if err := books[i].wait(soon(t), "no bond", "group="+g.ID().Short(), reason); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	for i, g := range groups {
		if bonds := g.Bonds(); len(bonds) != 0 {
			t.Errorf("node %d has the bonds %+v, want none", i, bonds)
		}
	}
}

func TestPoliciesThatDifferDoNotBond(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 2)
	var groups []tillGroup
	for i := range 2 {
		n := c.Node(i)
		groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).
			WithMembership(consensus.Policy{Expected: 2 + i})))
	}
	apart(t, books, "another membership policy", groups...)
	// Both values are named where the difference is found.
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	found := make(chan error, 2)
	for _, book := range books {
		go func() {
			found <- book.wait(ctx, "membership policies differ", "expected=2 ", "expected=3 ")
		}()
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
}

func TestWrongSecretDoesNotBond(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 3)
	next := mosaik.RandomKey()
	join := func(i int, key mosaik.GroupKey) tillGroup {
		n := c.Node(i)
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Net().Groups().WithKey(key).
			WithConsensusConfig(testutil.FastConsensus()).WithMembership(consensus.Policy{Expected: 2}), newTill))
	}
	old, rotated := join(0, c.Key()), join(1, c.Key().Rotate(next))
	if old.ID() != rotated.ID() {
		t.Fatal("rotating the key changed the group's id")
	}
	apart(t, books, "wrong proof of the group key", old, rotated)

	other := join(2, c.Key().Rotate(next))
	testutil.Settle(t, rotated, other)
	mustPay(t, other, 1)
	wantSum(t, 1, rotated, other)
	if bonds := old.Bonds(); len(bonds) != 0 {
		t.Errorf("the member with the old secret has the bonds %+v, want none", bonds)
	}
}

func TestTicketsDecideOnBonds(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 3)
	door := password{"swordfish"}
	for i := range 2 {
		if err := c.Node(i).Net().AddTicket(door.ticket()); err != nil {
			t.Fatal(err)
		}
	}
	var groups []tillGroup
	for i := range 3 {
		n := c.Node(i)
		b := mosaik.WithStateMachine(n.Builder().RequireTicket(door), newTill).WithMembership(consensus.Policy{Expected: 2})
		groups = append(groups, testutil.JoinWith(n, b))
	}
	testutil.Settle(t, groups[:2]...)
	mustPay(t, groups[0], 1)
	for i := range 2 {
		if err := books[i].wait(soon(t), "no bond", c.Node(2).Peer().Short(), "ticket refused"); err != nil {
			t.Error(err)
		}
	}
	apart(t, books[2:], "ticket refused", groups[2])

	// The third shows its ticket, and is in.
	if err := c.Node(2).Net().AddTicket(door.ticket()); err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, groups[2])
	wantSum(t, 1, groups[2])

	// A ticket that is taken back ends the bonds, and with them the membership.
	if err := c.Node(2).Net().RemoveTicket(door.ticket()); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := books[i].wait(soon(t), "bond ended", c.Node(2).Peer().Short(), "ticket refused"); err != nil {
			t.Error(err)
		}
	}
	mustPay(t, groups[0], 1)
	mustPay(t, groups[1], 1)
	wantSum(t, 3, groups[:2]...)
	if _, err := groups[2].When().Until(soon(t), offline); err != nil {
		t.Error(err)
	}
}
