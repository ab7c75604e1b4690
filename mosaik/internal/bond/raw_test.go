package bond

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// raw is a peer that sends exactly the frames of a test.
type raw struct {
	t    testing.TB
	id   link.Identity
	link *link.Link
	conn *link.Conn
}

// newRaw returns the n-th identity, without a connection.
func newRaw(t testing.TB, n int) *raw {
	t.Helper()
	r := &raw{t: t, id: identity(t, n)}
	var err error
	r.link, err = link.Listen(link.Config{Identity: r.id, Network: network, Listen: "127.0.0.1:0", HandshakeTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.link.Close() })
	return r
}

// dial connects to the node and sends nothing.
func (r *raw) dial(to *node) {
	r.t.Helper()
	var err error
	if r.conn, err = r.link.Dial(context.Background(), to.addr(), to.peer(), link.Bond); err != nil {
		r.t.Fatal(err)
	}
	r.conn.SetDeadline(time.Now().Add(2 * patience))
}

// dialRaw connects the n-th identity to the node and sends nothing.
func dialRaw(t testing.TB, to *node, n int) *raw {
	t.Helper()
	r := newRaw(t, n)
	r.dial(to)
	return r
}

// connectRaw connects an identity higher than the node's until the connection is selected. With
// groups it sends an entry that lists them.
func connectRaw(t testing.TB, to *node, n int, groups ...sm.Digest) *raw {
	t.Helper()
	r := dialRaw(t, to, n)
	r.greet(1)
	r.expect(kindHello)
	r.expect(kindSelect)
	r.expect(kindEntries)
	if groups != nil {
		r.sendEntries(r.entry(1, groups...))
	}
	return r
}

func (r *raw) greet(seq uint64) {
	r.send(kindHello, helloFrame{instance: instanceID{1}, version: 1, flags: flagOnly, seq: seq}.append(nil))
}

func (r *raw) send(kind uint8, payload []byte) {
	r.t.Helper()
	if err := r.conn.WriteFrame(kind, payload); err != nil {
		r.t.Fatal(err)
	}
}

// read returns the next frame other than PING.
func (r *raw) read() (kind uint8, payload []byte) {
	r.t.Helper()
	for {
		kind, payload, err := r.conn.ReadFrame(math.MaxInt32, nil)
		if err != nil {
			r.t.Fatalf("read a frame: %v", err)
		}
		if kind != kindPing {
			return kind, payload
		}
	}
}

// expect returns the payload of the next frame other than PING, which must be of the kind.
func (r *raw) expect(kind uint8) []byte {
	r.t.Helper()
	got, payload := r.read()
	if got != kind {
		r.t.Fatalf("got a frame of kind %d (% x), want kind %d", got, payload, kind)
	}
	return payload
}

// sync returns when the node has handled all frames that were sent. It fails the test if the node
// answers with another frame.
func (r *raw) sync() {
	r.t.Helper()
	r.send(kindPing, appendNumber(nil, 42))
	kind, got := r.read()
	for kind == kindPing { // the node's own, on a busy machine
		kind, got = r.read()
	}
	if kind != kindPong || !bytes.Equal(got, appendNumber(nil, 42)) {
		r.t.Fatalf("got a frame of kind %d (% x), want PONG with 42", kind, got)
	}
}

// expectGoodbye skips frames up to GOODBYE, which must have the code.
func (r *raw) expectGoodbye(want consensus.CloseCode) {
	r.t.Helper()
	for {
		kind, payload := r.read()
		if kind == kindGoodbye {
			if got, err := parseGoodbye(payload); got != want {
				r.t.Errorf("GOODBYE has code %d, error %v, want %d", got, err, want)
			}
			return
		}
	}
}

func (r *raw) expectClose(want closeFrame) {
	r.t.Helper()
	if got, err := parseClose(r.expect(kindClose)); got != want || err != nil {
		r.t.Errorf("CLOSE is %+v, error %v, want %+v", got, err, want)
	}
}

// entry returns the raw peer's own entry.
func (r *raw) entry(version uint64, groups ...sm.Digest) discovery.Signed {
	r.t.Helper()
	return signEntry(r.t, r.id, discovery.Entry{Network: network, Version: version, Groups: groups})
}

func signEntry(t testing.TB, id link.Identity, e discovery.Entry) discovery.Signed {
	t.Helper()
	s, err := discovery.Sign(id, e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *raw) sendEntries(entries ...discovery.Signed) {
	r.t.Helper()
	for _, payload := range appendEntries(entries) {
		r.send(kindEntries, payload)
	}
}

// proof returns the sender's proof of the test group's secret on this connection. It is computed
// from the definition, not with the code under test.
func (r *raw) proof(sender sm.PeerID) sm.Digest {
	r.t.Helper()
	g := testGroup(nil, "")
	exported, err := r.conn.Exporter(string(g.ID[:]), []byte("mosaik/bond/1"))
	if err != nil {
		r.t.Fatal(err)
	}
	ofConnection := sm.Parts(g.Secrets[0][:], exported[:])
	return sm.Parts(ofConnection[:], sender[:])
}

// open sends an OPEN with a valid proof.
func (r *raw) open(number uint32) {
	r.t.Helper()
	f := openFrame{group: testGroup(nil, "").ID, number: number, proofs: []sm.Digest{r.proof(r.id.Peer())}}
	r.send(kindOpen, f.append(nil))
}

// rawBond starts a node and a raw peer and returns them with a bond between their
// OPENs with number 1.
func rawBond(t *testing.T, change func(*GroupConfig)) (*node, *raw, *GroupBonds, *recorder) {
	t.Helper()
	a := startNode(t, 0, nil)
	rec := newRecorder()
	g := testGroup(rec, "of a")
	if change != nil {
		change(&g)
	}
	ms := a.join(g)
	r := connectRaw(t, a, 1, g.ID)
	r.bond(1, 1)
	rec.want(t, report{"up", r.id.Peer(), 0, "of raw"})
	return a, r, ms, rec
}

// bond completes a handshake that the node began.
func (r *raw) bond(mine, theirs uint32) {
	r.t.Helper()
	f, err := parseOpen(r.expect(kindOpen))
	want := openFrame{group: testGroup(nil, "").ID, number: theirs, proofs: []sm.Digest{r.proof(r.conn.Peer())}}
	if err != nil || !slices.Equal(f.append(nil), want.append(nil)) {
		r.t.Fatalf("OPEN is %+v, error %v, want %+v", f, err, want)
	}
	r.open(mine)
	intro, err := parseIntro(r.expect(kindIntro))
	if err != nil || string(intro.hello) != "of a" || intro.mine != theirs || intro.theirs != mine {
		r.t.Fatalf("INTRO is %+v, error %v", intro, err)
	}
	r.send(kindIntro, introFrame{f.group, mine, theirs, []byte("of raw")}.append(nil))
	r.send(kindAccept, acceptFrame{f.group, mine, theirs}.append(nil))
	if got, err := parseAccept(r.expect(kindAccept)); err != nil || got != (acceptFrame{f.group, theirs, mine}) {
		r.t.Fatalf("ACCEPT is %+v, error %v", got, err)
	}
}
