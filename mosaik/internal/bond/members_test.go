package bond

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// crowdOut fills the node's room for strangers. The rest is too small for the entries of these
// tests.
func (n *node) crowdOut() {
	n.t.Helper()
	for _, s := range fillers(n.t) {
		n.catalog.Put(s)
	}
	if n.catalog.Room(sm.PeerID{1}, 48<<10) {
		n.t.Fatal("the catalog is not full")
	}
}

var (
	fillersOnce sync.Once
	fillersOf   []discovery.Signed
)

// fillers returns entries of up to MaxCatalogBytes, the large ones first.
func fillers(t testing.TB) []discovery.Signed {
	t.Helper()
	fillersOnce.Do(func() {
		ids := identities(t, 60, func(peer sm.PeerID) bool { return peer[0] < 128 })
		fillersOf = crowdEntries(t, ids[:50], 1, large)
		fillersOf = append(fillersOf, crowdEntries(t, ids[50:], 1, func(e *discovery.Entry) { e.Groups = manyGroups()[:1000] })...)
	})
	return fillersOf
}

// withGroups returns an entry that lists the group among many.
func (r *raw) withGroups(version uint64, group sm.Digest) discovery.Signed {
	r.t.Helper()
	return r.entry(version, append(manyGroups()[:1500:1500], group)...)
}

// TestMembersOutgrowAFullCatalog has a peer with a bond enlarge its entry while strangers fill the
// catalog.
func TestMembersOutgrowAFullCatalog(t *testing.T) {
	t.Parallel()
	a, r, _, _ := rawBond(t, nil)
	c := r.end(a)
	a.eventually("the entry is kept", func() bool { return c.kept })
	a.crowdOut()
	r.sendEntries(r.withGroups(2, testGroup(nil, "").ID))
	r.settle()
	if got, _ := a.catalog.Get(r.id.Peer()); got.Version != 2 {
		t.Errorf("the catalog has version %d, want 2", got.Version)
	}
}

// TestNewcomerInAFullCatalog has a peer with the key connect to a member whose catalog is full of
// strangers. It bonds, and its entry is kept.
func TestNewcomerInAFullCatalog(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	rec := newRecorder()
	g := testGroup(rec, "of a")
	a.join(g)
	a.crowdOut()
	r := connectRaw(t, a, 1)
	a.bearWith(r)
	own := r.withGroups(1, g.ID)
	rec.accept = func(peer sm.PeerID, _ []byte) consensus.CloseCode {
		if e, known := a.manager.Entry(peer); !known || !bytes.Equal(e.Bytes(), own.Bytes()) {
			t.Error("its entry, with its tickets, is not known while it is examined")
		}
		return 0
	}
	r.sendEntries(own)
	if kind := r.past(kindEntries); kind != kindOpen {
		t.Fatalf("got a frame of kind %d, want OPEN", kind)
	}
	if _, known := a.catalog.Get(r.id.Peer()); known {
		t.Fatal("the catalog is not full")
	}
	r.open(1)
	if kind := r.past(kindEntries); kind != kindIntro {
		t.Fatalf("got a frame of kind %d, want INTRO", kind)
	}
	r.send(kindIntro, introFrame{g.ID, 1, 1, []byte("of raw")}.append(nil))
	r.send(kindAccept, acceptFrame{g.ID, 1, 1}.append(nil))
	rec.want(t, report{"up", r.id.Peer(), 0, "of raw"})
	a.awaitEntry(r.id.Peer(), anyEntry)
	r.sendEntries(r.withGroups(2, g.ID))
	a.awaitEntry(r.id.Peer(), func(s discovery.Signed) bool { return s.Version == 2 })
	c := r.end(a)
	a.eventually("the connection keeps no entry", func() bool { return c.own.IsZero() })
}

// TestStrangerInAFullCatalog has a peer without the key connect and list the group.
func TestStrangerInAFullCatalog(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, func(s *setup) { s.config.HandshakeTimeout = 300 * time.Millisecond })
	g := testGroup(newRecorder(), "of a")
	a.join(g)
	a.crowdOut()
	r := connectRaw(t, a, 1)
	r.sendEntries(r.withGroups(1, g.ID))
	r.expectGoodbye(consensus.CodeUnknownPeer)
	if _, known := a.manager.Entry(r.id.Peer()); known {
		t.Error("its entry is kept")
	}
}

// TestMembersAreIntroduced has a newcomer connect to a member whose catalog is full. The other
// members receive its entry, and it receives theirs.
func TestMembersAreIntroduced(t *testing.T) {
	t.Parallel()
	a, first, _, rec := rawBond(t, nil)
	a.crowdOut()
	group := testGroup(nil, "").ID
	second := connectRaw(t, a, 2)
	a.bearWith(second)
	entry := second.entry(7, group)
	second.sendEntries(entry)
	second.past(kindEntries)
	second.open(1)
	second.past(kindEntries)
	second.send(kindIntro, introFrame{group, 1, 1, nil}.append(nil))
	second.send(kindAccept, acceptFrame{group, 1, 1}.append(nil))
	rec.want(t, report{"up", second.id.Peer(), 0, ""})
	for _, want := range []struct {
		to    *raw
		entry discovery.Signed
	}{{first, entry}, {second, first.entry(1, group)}} {
		kind, payload := want.to.read()
		for kind == kindEntries || kind == kindAccept {
			kind, payload = want.to.read()
		}
		if kind != kindMembers || !bytes.Equal(payload, appendEntries([]discovery.Signed{want.entry})[0]) {
			t.Errorf("got a frame of kind %d with %d bytes, want the entry of peer %s", kind, len(payload), want.entry.Peer.Short())
		}
	}
}

// TestIntroductions has a member and a stranger send MEMBERS frames to a member whose catalog is
// full.
func TestIntroductions(t *testing.T) {
	t.Parallel()
	a, member, _, _ := rawBond(t, nil)
	group := testGroup(nil, "").ID
	ids := crowd(t, 3)
	known := signEntry(t, ids[2], discovery.Entry{Network: network, Version: 1, Groups: []sm.Digest{group}})
	a.catalog.Put(known)
	a.crowdOut()
	stranger := connectRaw(t, a, 2)
	a.bearWith(stranger)
	listing := crowdEntries(t, ids[:2], 1, func(e *discovery.Entry) { e.Groups = append(manyGroups()[:1500:1500], group) })
	other := crowdEntries(t, ids[1:2], 1, func(e *discovery.Entry) { e.Groups = manyGroups()[:1500] })
	has := func(i int) bool { _, known := a.catalog.Get(ids[i].Peer()); return known }

	for _, payload := range appendEntries(listing) {
		stranger.send(kindMembers, payload)
	}
	stranger.settle()
	member.send(kindMembers, appendEntries(other)[0])
	member.settle()
	if has(0) || has(1) {
		t.Error("an entry was accepted that a stranger introduced or that does not list the group")
	}
	for _, payload := range appendEntries(append(listing, known)) { // it moves to the room for members
		member.send(kindMembers, payload)
	}
	member.settle()
	if !has(0) || !has(1) {
		t.Error("a member's introduction was refused")
	}
	larger := signEntry(t, ids[2], discovery.Entry{Network: network, Version: 2, Groups: manyGroups()[:1500]})
	stranger.sendEntries(larger)
	stranger.settle()
	if got, _ := a.catalog.Get(ids[2].Peer()); got.Version != 2 {
		t.Errorf("a member's larger entry was refused: version %d, want 2", got.Version)
	}
}
