package integration_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/seam"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// openDoor accepts every ticket of its class.
type openDoor struct{}

var openDoorClass = sm.ID("open door")

func (openDoor) Signature() sm.Digest { return openDoorClass }
func (openDoor) Class() sm.Digest     { return openDoorClass }
func (openDoor) Validate(time.Time, sm.PeerID, ticket.Ticket) (time.Time, error) {
	return time.Time{}, nil
}

// TestRechecksOfTickets counts how often the groups of two processes look at each
// other's tickets again: not when groups are joined or left, which changes the
// entries, but when tickets change, and then only groups that require tickets.
func TestRechecksOfTickets(t *testing.T) {
	t.Parallel()
	const plain, guarded = 20, 3
	id := mosaik.NetworkID(t.Name())
	shown := ticket.Ticket{Class: openDoorClass, Data: []byte("1")}
	a := openNetwork(t, id)
	b := openNetwork(t, id, mosaik.WithSeeds(a.Addr().String()))
	nets := []*mosaik.Network{a, b}
	for _, n := range nets {
		if err := n.Connected(soon(t)); err != nil {
			t.Fatal(err)
		}
		if err := n.AddTicket(shown); err != nil {
			t.Fatal(err)
		}
	}
	awaitListed(t, a, b.Self(), 1, 0)
	awaitListed(t, b, a.Self(), 1, 0)
	var groups []tillGroup
	for i := range plain + guarded {
		key := mosaik.RandomKey()
		for _, n := range nets {
			builder := mosaik.WithStateMachine(n.Groups().WithKey(key), newTill).
				WithMembership(consensus.Policy{Expected: 2})
			if i >= plain {
				builder = builder.RequireTicket(openDoor{})
			}
			g, err := builder.Join(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			groups = append(groups, g)
		}
	}
	for _, g := range groups {
		if err := g.When().Online(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := groups[0].Leave(soon(t)); err != nil && !errors.Is(err, mosaik.ErrVoteNeeded) {
		t.Fatal(err)
	}
	awaitListed(t, b, a.Self(), 1, plain+guarded-1)
	awaitListed(t, a, b.Self(), 1, plain+guarded)
	for i, n := range nets {
		if got := seam.RechecksOf(n); got != 0 {
			t.Errorf("process %d rechecked tickets %d times though none has changed", i, got)
		}
	}
	if err := b.RemoveTicket(shown); err != nil {
		t.Fatal(err)
	}
	awaitListed(t, a, b.Self(), 0, plain+guarded)
	if got := seam.RechecksOf(a); got != guarded {
		t.Errorf("rechecked %d times when the tickets of a peer changed, want once for each of %d groups", got, guarded)
	}
	for i, g := range groups[2*plain:] { // members of both processes in turn
		if i%2 == 1 {
			continue
		}
		if _, err := g.When().Until(soon(t), bondless(g)); err != nil {
			t.Errorf("a peer without a ticket keeps its bond: %v", err)
		}
	}
}

// awaitListed waits until a network knows an entry of the peer with so many tickets'
// extensions and groups.
func awaitListed(t *testing.T, n *mosaik.Network, peer sm.PeerID, tickets, groups int) {
	t.Helper()
	catalog := seam.CatalogOf(n)
	news := make(chan struct{}, 1)
	defer catalog.Watch(func(_, _ discovery.Signed) {
		select {
		case news <- struct{}{}:
		default:
		}
	})()
	for ctx := soon(t); ; {
		e, known := catalog.Get(peer)
		if known && len(e.Groups) == groups && len(e.Extension(1)) == tickets {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("peer %s is never seen with %d groups and %d tickets, at last with %d and %d",
				peer.Short(), groups, tickets, len(e.Groups), len(e.Extension(1)))
		}
	}
}
