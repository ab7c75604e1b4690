package bond

import (
	"crypto/ed25519"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// crowd returns n identities, all higher than those of orderedSeeds. They are the same in each
// call.
func crowd(t testing.TB, n int) []link.Identity {
	t.Helper()
	highest := identity(t, len(orderedSeeds())-1).Peer()
	return identities(t, n, func(peer sm.PeerID) bool { return peer.Compare(highest) > 0 })
}

// identities returns n identities for which ok is true. They are the same in each call.
func identities(t testing.TB, n int, ok func(sm.PeerID) bool) []link.Identity {
	t.Helper()
	ids := make([]link.Identity, 0, n)
	for i := uint64(1000); len(ids) < n; i++ {
		key := ed25519.NewKeyFromSeed(binary.BigEndian.AppendUint64(make([]byte, ed25519.SeedSize-8), i))
		if !ok(sm.PeerID(key.Public().(ed25519.PublicKey))) {
			continue
		}
		id, err := link.NewIdentity(key)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func anyPeer(sm.PeerID) bool { return true }

// crowdRaw connects an identity of a crowd to the node and reads frames up to the node's entry.
// Silence does not end the connection.
func crowdRaw(t testing.TB, to *node, id link.Identity) *raw {
	t.Helper()
	r := &raw{t: t, id: id}
	var err error
	r.link, err = link.Listen(link.Config{Identity: id, Network: network, Listen: "127.0.0.1:0", HandshakeTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.link.Close() })
	r.dial(to)
	r.greet(1)
	r.expect(kindHello)
	r.expect(kindSelect)
	r.expect(kindEntries)
	to.bearWith(r)
	return r
}

// bearWith makes the node tolerate the silence of a connection without a bond, which can be long
// if many tests share a processor.
func (n *node) bearWith(r *raw) {
	c := r.end(n)
	n.manager.mu.Lock()
	defer n.manager.mu.Unlock()
	c.paused = true
}

// crowdEntries returns an entry of each identity.
func crowdEntries(t testing.TB, ids []link.Identity, version uint64, change func(*discovery.Entry)) []discovery.Signed {
	t.Helper()
	entries := make([]discovery.Signed, len(ids))
	for i, id := range ids {
		e := discovery.Entry{Network: network, Version: version}
		if change != nil {
			change(&e)
		}
		entries[i] = signEntry(t, id, e)
	}
	return entries
}

// large fills an entry up to the size limit.
func large(e *discovery.Entry) {
	e.Groups = manyGroups()
	e.Extensions = []discovery.Extension{{Type: 4711, Data: make([]byte, discovery.MaxExtensionBytes)}}
}

var manyGroups = sync.OnceValue(func() []sm.Digest {
	groups := make([]sm.Digest, discovery.MaxGroups)
	for i := range groups {
		binary.BigEndian.PutUint32(groups[i][:], uint32(i+1))
	}
	return groups
})

// eventually waits until ok is true. It calls ok with the mutex held.
func (n *node) eventually(what string, ok func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n.manager.mu.Lock()
		good := ok()
		n.manager.mu.Unlock()
		if good {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("not in time: %s", what)
		}
	}
}

// conn returns the node's end of the connection.
func (r *raw) end(of *node) *conn {
	return of.awaitConn(r.id.Peer(), anyConn)
}

// limit replaces the budgets of strangers. It is called before the first one connects.
func (n *node) limit(change func(*budgets)) {
	n.manager.mu.Lock()
	defer n.manager.mu.Unlock()
	change(&n.manager.budgets)
}

// settle returns when the node has handled all frames that were sent. It skips the entries that
// the node relays.
func (r *raw) settle() {
	r.t.Helper()
	r.send(kindPing, appendNumber(nil, 43))
	if kind := r.past(kindEntries); kind != kindPong {
		r.t.Fatalf("got a frame of kind %d, want PONG", kind)
	}
}

// past skips frames of a kind and returns the kind of the next one.
func (r *raw) past(skip uint8) uint8 {
	r.t.Helper()
	for {
		if kind, _ := r.read(); kind != skip {
			return kind
		}
	}
}
