package integration_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/seam"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	ticketjwt "github.com/mosaik-go/mosaik/mosaik/ticket/jwt"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// lease admits every ticket of its class until a time that the test sets.
type lease struct {
	class string
	until *leaseEnd
}

type leaseEnd struct {
	mu       sync.Mutex
	of       map[sm.PeerID]time.Time
	watchers []func()
}

func newLease(class string) lease {
	return lease{class, &leaseEnd{of: map[sm.PeerID]time.Time{}}}
}

func (l lease) ticket() ticket.Ticket { return ticket.Ticket{Class: l.Class()} }
func (l lease) Class() sm.Digest      { return sm.ID(l.class) }
func (l lease) Signature() sm.Digest  { return sm.ID(l.class) }
func (l lease) Validate(_ time.Time, peer sm.PeerID, _ ticket.Ticket) (time.Time, error) {
	l.until.mu.Lock()
	defer l.until.mu.Unlock()
	return l.until.of[peer], nil
}

func (l lease) Watch(f func()) (stop func()) {
	l.until.mu.Lock()
	defer l.until.mu.Unlock()
	l.until.watchers = append(l.until.watchers, f)
	return func() {}
}

// end lets the peer's ticket expire in a while.
func (l lease) end(peer sm.PeerID, in time.Duration) {
	l.until.mu.Lock()
	l.until.of[peer] = time.Now().Add(in)
	watchers := l.until.watchers
	l.until.mu.Unlock()
	for _, f := range watchers {
		f()
	}
}

// joinWith joins all nodes, of which two suffice, with validators.
func joinWith(c *testutil.Cluster, key mosaik.GroupKey, validators func(node int) []ticket.Validator) []tillGroup {
	var groups []tillGroup
	for i := range c.Len() {
		n := c.Node(i)
		b := n.Net().Groups().WithKey(key).WithConsensusConfig(fast(consensus.Config{MaxMissedHeartbeats: 600})).
			WithMembership(consensus.Policy{Expected: 2})
		for _, v := range validators(i) {
			b = b.RequireTicket(v)
		}
		groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(b, newTill)))
	}
	return groups
}

func show(t *testing.T, n *testutil.Node, tickets ...ticket.Ticket) {
	t.Helper()
	for _, shown := range tickets {
		if err := n.Net().AddTicket(shown); err != nil {
			t.Fatal(err)
		}
	}
}

// wantRefusal fails the test unless the nodes end their bonds with another
// because of its tickets.
func wantRefusal(t *testing.T, books []*logbook, peer sm.PeerID) {
	t.Helper()
	for i, book := range books {
		if err := book.wait(soon(t), "bond ended", peer.Short(), "ticket refused"); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
}

// Of two validators the one whose ticket expires first decides when a member is
// out: everywhere, by the clock alone.
func TestTicketExpiresInAGroup(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 3)
	long, short := newLease("long"), newLease("short")
	for i := range 3 {
		show(t, c.Node(i), long.ticket(), short.ticket())
	}
	groups := joinWith(c, c.Key(), func(int) []ticket.Validator { return []ticket.Validator{long, short} })
	testutil.Settle(t, groups...)
	out := c.Node(2).Peer()
	long.end(out, time.Hour)
	short.end(out, 50*time.Millisecond)
	wantRefusal(t, books[:2], out)
	mustPay(t, groups[0], 1)
	wantSum(t, 1, groups[:2]...)
	if _, err := groups[2].When().Until(soon(t), offline); err != nil {
		t.Error(err)
	}
}

// A ticket that is taken back ends the bond with a member that hears of it only
// from a third.
func TestRevocationArrivesByRelay(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 3)
	door := newLease("door")
	for i := range 3 {
		show(t, c.Node(i), door.ticket())
	}
	groups := joinWith(c, c.Key(), func(int) []ticket.Validator { return []ticket.Validator{door} })
	testutil.Settle(t, groups...)
	c.Cut(0, 2)
	if err := c.Node(2).Net().RemoveTicket(door.ticket()); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, books[:2], c.Node(2).Peer())
}

// blocked hangs on the tickets that say so.
type blocked struct{ release chan struct{} }

func (blocked) Class() sm.Digest     { return sm.ID("blocked") }
func (blocked) Signature() sm.Digest { return sm.ID("blocked") }
func (b blocked) Validate(_ time.Time, _ sm.PeerID, t ticket.Ticket) (time.Time, error) {
	switch string(t.Data) {
	case "hang":
		<-b.release
	case "panic":
		panic("out of order")
	}
	return time.Time{}, nil
}

// Validators that hang or panic on one peer keep out that peer; the others form
// their group, and everything closes while the validators still hang.
func TestValidatorThatHangsOrPanics(t *testing.T) {
	t.Parallel()
	door := blocked{make(chan struct{})}
	t.Cleanup(func() { close(door.release) }) // after the cluster has closed
	c, books := newLoggedCluster(t, 4)
	for i, says := range []string{"", "", "hang", "panic"} {
		show(t, c.Node(i), ticket.Ticket{Class: door.Class(), Data: []byte(says)})
	}
	groups := joinWith(c, c.Key(), func(int) []ticket.Validator { return []ticket.Validator{door} })
	testutil.Settle(t, groups[:2]...)
	mustPay(t, groups[0], 1)
	wantSum(t, 1, groups[:2]...)
	for i, book := range books[:2] {
		for out, why := range map[int][]string{2: {"validators hang"}, 3: {"validator panicked", "out of order"}} {
			peer := c.Node(out).Peer().Short()
			if err := errors.Join(book.wait(soon(t), append(why, peer)...), book.wait(soon(t), "no bond", peer, "ticket refused")); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		}
	}
	for i, g := range groups[:2] {
		if bonds := g.Bonds(); len(bonds) != 1 || bonds[0].Peer != c.Node(1-i).Peer() {
			t.Errorf("node %d has the bonds %+v, want one with node %d", i, bonds, 1-i)
		}
	}
}

// issuer signs tokens with a key of its own.
type issuer struct {
	kid     string
	private ed25519.PrivateKey
}

func newIssuer(kid string) issuer {
	seed := sm.ID(kid)
	return issuer{kid, ed25519.NewKeyFromSeed(seed[:])}
}

func (s issuer) key(t *testing.T) ticketjwt.Key {
	t.Helper()
	key, err := ticketjwt.PublicKey(s.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key.WithID(s.kid)
}

func (s issuer) ticket(t *testing.T, peer sm.PeerID) ticket.Ticket {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": peer.String(), "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = s.kid
	text, err := token.SignedString(s.private)
	if err != nil {
		t.Fatal(err)
	}
	return ticketjwt.Ticket(text)
}

// sinces describes the bonds of all members.
func sinces(groups []tillGroup) (all []string) {
	for _, g := range groups {
		for _, b := range g.Bonds() {
			all = append(all, fmt.Sprint(b.Peer.Short(), " since ", b.Since))
		}
	}
	return all
}

// awaitTickets waits until each node knows, of each other one, only the ticket.
func awaitTickets(t *testing.T, c *testutil.Cluster, want []ticket.Ticket) {
	t.Helper()
	for i := range c.Len() {
		catalog := seam.CatalogOf(c.Node(i).Net())
		news := make(chan struct{}, 1)
		stop := catalog.Watch(func(_, _ discovery.Signed) {
			select {
			case news <- struct{}{}:
			default:
			}
		})
		defer stop()
		for j := range c.Len() {
			encoded, err := ticket.Encode(want[j : j+1])
			if err != nil {
				t.Fatal(err)
			}
			for ctx := soon(t); j != i; {
				entry, _ := catalog.Get(c.Node(j).Peer())
				if shown := entry.Extension(1); len(shown) == 1 && string(shown[0]) == string(encoded) {
					break
				}
				select {
				case <-news:
				case <-ctx.Done():
					t.Fatalf("node %d never saw the tickets of node %d", i, j)
				}
			}
		}
	}
}

// A living group changes the keys that its JWTs are signed with, and the tokens,
// and no bond ends. Then a key that is taken away ends them at once.
func TestJWTsAndTheirKeysRotate(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 3)
	old, next := newIssuer("old"), newIssuer("new")
	validators := make([]*ticketjwt.Validator, 3)
	var first, second []ticket.Ticket
	for i := range validators {
		var err error
		if validators[i], err = ticketjwt.New(ticketjwt.Config{Name: "fleet", Keys: []ticketjwt.Key{old.key(t)}}); err != nil {
			t.Fatal(err)
		}
		peer := c.Node(i).Peer()
		first, second = append(first, old.ticket(t, peer)), append(second, next.ticket(t, peer))
		show(t, c.Node(i), first[i])
	}
	key, err := mosaik.KeyFromDigest(validators[0].Signature())
	if err != nil {
		t.Fatal(err)
	}
	groups := joinWith(c, key, func(i int) []ticket.Validator { return []ticket.Validator{validators[i]} })
	testutil.Settle(t, groups...)
	before := sinces(groups)
	if len(before) != 6 {
		t.Fatalf("there are the bonds %q, want 6", before)
	}
	setKeys := func(i int, keys ...ticketjwt.Key) {
		t.Helper()
		if err := validators[i].SetKeys(keys...); err != nil {
			t.Fatal(err)
		}
	}

	for i := range 3 {
		setKeys(i, old.key(t), next.key(t))
	}
	for i := range 3 {
		show(t, c.Node(i), second[i])
		if err := c.Node(i).Net().RemoveTicket(first[i]); err != nil {
			t.Fatal(err)
		}
	}
	awaitTickets(t, c, second)
	for i := range 3 {
		setKeys(i, next.key(t))
	}
	mustPay(t, groups[0], 1)
	wantSum(t, 1, groups...)
	if diff := cmp.Diff(before, sinces(groups)); diff != "" {
		t.Errorf("bonds changed (-before +after):\n%s", diff)
	}

	setKeys(0, newIssuer("third").key(t))
	for _, n := range []int{1, 2} {
		wantRefusal(t, books[:1], c.Node(n).Peer())
	}
	wantSum(t, 1, groups[1:]...)
}

// The order of validators is part of the group's id.
func TestValidatorOrderMakesTheGroup(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	a, b := newLease("a"), newLease("b")
	join := func(validators ...ticket.Validator) sm.Digest {
		return joinWith(c, c.Key(), func(int) []ticket.Validator { return validators })[0].ID()
	}
	ids := map[sm.Digest]bool{join(): true, join(a): true, join(b): true, join(a, b): true, join(b, a): true, join(a, a): true}
	if len(ids) != 6 {
		t.Errorf("6 lists of validators make %d groups", len(ids))
	}
}

// Three members restart one by one, twice, each time with the next step from one
// secret to another. All the while the others have a quorum, and in the end
// who knows only the first secret is out.
func TestSecretChangesWhileTheGroupLives(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 4)
	first, second := c.Key(), mosaik.RandomKey()
	join := func(i int, key mosaik.GroupKey) tillGroup {
		n := c.Node(i)
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Net().Groups().WithKey(key).
			WithConsensusConfig(testutil.FastConsensus()).WithMembership(consensus.Policy{Expected: 3}), newTill))
	}
	var groups []tillGroup
	for i := range 3 {
		groups = append(groups, join(i, first))
	}
	testutil.Settle(t, groups...)
	paid := mustPay(t, groups[0], 1)
	for _, key := range []mosaik.GroupKey{first.Rotate(second).Accepting(first), first.Rotate(second)} {
		for i := range 3 {
			c.Node(i).Close()
			paid = mustPay(t, groups[(i+1)%3], 1)
			c.Node(i).Restart()
			groups[i] = join(i, key)
			testutil.Settle(t, groups...)
			wantSum(t, paid, groups...)
		}
	}
	if paid != 7 || groups[0].ID() != groups[1].ID() {
		t.Errorf("paid %d times, want 7", paid)
	}
	late := join(3, first)
	if late.ID() != groups[0].ID() {
		t.Error("the change of the secret changed the group's id")
	}
	if err := books[3].wait(soon(t), "no bond", "wrong proof of the group key"); err != nil {
		t.Error(err)
	}
	if bonds := late.Bonds(); len(bonds) != 0 {
		t.Errorf("the first secret still makes the bonds %+v", bonds)
	}
}
