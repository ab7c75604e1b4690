package bond

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

func TestReflectedProof(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	rec := newRecorder()
	g := testGroup(rec, "of a")
	a.join(g)
	r := connectRaw(t, a, 1, g.ID)
	payload := r.expect(kindOpen)
	r.send(kindOpen, payload) // the node's own OPEN
	r.expectClose(closeFrame{group: g.ID, mine: 1, theirs: 1, code: consensus.CodeWrongProof})
	rec.want(t, report{"refused", r.id.Peer(), consensus.CodeWrongProof, ""})
}

// TestProofOfAnotherConnection replays a proof that was valid on another connection.
func TestProofOfAnotherConnection(t *testing.T) {
	t.Parallel()
	a, old, _, rec := rawBond(t, nil)
	proof := old.proof(old.id.Peer())
	old.conn.Close()
	rec.want(t, report{"down", old.id.Peer(), consensus.CodeUnexpectedClose, ""})
	r := dialRaw(t, a, 1)
	r.greet(2)
	r.expect(kindHello)
	r.expect(kindSelect)
	r.expect(kindEntries)
	r.expect(kindOpen)
	group := testGroup(nil, "").ID
	r.send(kindOpen, openFrame{group: group, number: 1, proofs: []sm.Digest{proof}}.append(nil))
	r.expectClose(closeFrame{group: group, mine: 1, theirs: 1, code: consensus.CodeWrongProof})
}

func TestOpenOfAStranger(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	a.join(testGroup(newRecorder(), "of a"))
	r := connectRaw(t, a, 1) // sends no entry
	r.open(1)
	r.expectClose(closeFrame{group: testGroup(nil, "").ID, theirs: 1, code: consensus.CodeUnknownPeer})
}

func TestOpenOnABond(t *testing.T) {
	t.Parallel()
	_, r, _, rec := rawBond(t, nil)
	r.open(2)
	r.expectClose(closeFrame{group: testGroup(nil, "").ID, theirs: 2, code: consensus.CodeAlreadyBonded})
	r.send(kindMessage, messageFrame{testGroup(nil, "").ID, []byte("still up")}.append(nil))
	rec.want(t, report{"message", r.id.Peer(), 0, "still up"})
}

// TestFramesOfEarlierHandshakes sends frames that can cross with a CLOSE.
func TestFramesOfEarlierHandshakes(t *testing.T) {
	t.Parallel()
	_, r, ms, rec := rawBond(t, nil)
	group := testGroup(nil, "").ID
	ms.Close(r.id.Peer(), consensus.CodeTicketRefused)
	rec.want(t, report{"down", r.id.Peer(), consensus.CodeTicketRefused, ""})
	r.expectClose(closeFrame{group: group, mine: 1, theirs: 1, code: consensus.CodeTicketRefused})

	r.send(kindMessage, messageFrame{group, []byte("late")}.append(nil))
	r.send(kindAccept, acceptFrame{group, 1, 1}.append(nil))
	r.send(kindClose, closeFrame{group, 1, 1, 4711}.append(nil))
	r.bond(2, 2)
	rec.want(t, report{"up", r.id.Peer(), 0, "of raw"})
	r.send(kindClose, closeFrame{group, 1, 1, 4711}.append(nil))
	r.send(kindMessage, messageFrame{group, []byte("on time")}.append(nil))
	rec.want(t, report{"message", r.id.Peer(), 0, "on time"})
	if got := len(ms.Bonds()); got != 1 {
		t.Errorf("%d bonds, want 1", got)
	}
}

func TestAcceptOfOtherNumbers(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	rec := newRecorder()
	g := testGroup(rec, "of a")
	ms := a.join(g)
	r := connectRaw(t, a, 1, g.ID)
	r.expect(kindOpen)
	r.send(kindAccept, acceptFrame{g.ID, 1, 1}.append(nil)) // before our OPEN
	r.open(1)
	r.send(kindMessage, messageFrame{g.ID, []byte("too early")}.append(nil))
	r.expect(kindIntro)
	for _, numbers := range [][2]uint32{{1, 2}, {2, 1}} {
		r.send(kindIntro, introFrame{g.ID, numbers[0], numbers[1], nil}.append(nil))
	}
	r.sync() // and no ACCEPT
	r.send(kindIntro, introFrame{g.ID, 1, 1, nil}.append(nil))
	r.expect(kindAccept)
	r.send(kindAccept, acceptFrame{g.ID, 1, 2}.append(nil))
	r.send(kindAccept, acceptFrame{g.ID, 2, 1}.append(nil))
	r.sync()
	rec.wantNothing(t)
	if ms.Send(r.id.Peer(), nil) {
		t.Error("sent without a bond")
	}
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, func(s *setup) { s.config.HandshakeTimeout = 300 * time.Millisecond })
	rec := newRecorder()
	g := testGroup(rec, "of a")
	a.join(g)
	r := connectRaw(t, a, 1, g.ID)
	for number := range uint32(2) {
		r.expect(kindOpen) // and no answer
		r.expectClose(closeFrame{group: g.ID, mine: number + 1, code: consensus.CodeTimeout})
		rec.want(t, report{"refused", r.id.Peer(), consensus.CodeTimeout, ""})
	}
}

// TestHandshakeEndsWithinHello has a handshake fail while Hello runs. The hello must not be sent.
func TestHandshakeEndsWithinHello(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, func(s *setup) { s.config.Redial = rate.Bounds{Min: 10 * patience} })
	rec := newRecorder()
	g := testGroup(rec, "")
	entered, release := make(chan struct{}), make(chan struct{})
	g.Hello = func() []byte {
		close(entered)
		<-release
		return nil
	}
	a.join(g)
	r := connectRaw(t, a, 1, g.ID)
	r.expect(kindOpen)
	r.open(1)
	<-entered
	r.send(kindClose, closeFrame{group: g.ID, mine: 1, theirs: 1, code: 4711}.append(nil))
	r.sync()
	close(release)
	rec.want(t, report{"refused", r.id.Peer(), 4711, ""})
	r.sync()
}

// TestNothingIsSaidBeforeTheProof sends a wrong proof. The peer receives only the node's proofs, and
// neither Hello nor Accept is called.
func TestNothingIsSaidBeforeTheProof(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	rec := newRecorder()
	g := testGroup(rec, "")
	g.Hello = func() []byte { t.Error("Hello was called for a peer without proof"); return nil }
	rec.accept = func(sm.PeerID, []byte) consensus.CloseCode {
		t.Error("Accept was called for a peer without proof")
		return 0
	}
	a.join(g)
	r := connectRaw(t, a, 1, g.ID)
	if got := len(r.expect(kindOpen)); got != openHead+sm.DigestSize {
		t.Errorf("OPEN has %d bytes, want no more than one proof", got)
	}
	r.send(kindIntro, introFrame{g.ID, 1, 1, []byte("let me in")}.append(nil))
	r.send(kindAccept, acceptFrame{g.ID, 1, 1}.append(nil))
	r.send(kindOpen, openFrame{group: g.ID, number: 1, proofs: []sm.Digest{{}, {}, {}, {}}}.append(nil))
	r.expectClose(closeFrame{group: g.ID, mine: 1, theirs: 1, code: consensus.CodeWrongProof})
	rec.want(t, report{"refused", r.id.Peer(), consensus.CodeWrongProof, ""})
}

func TestSetupTimeout(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, func(s *setup) { s.config.HandshakeTimeout = 100 * time.Millisecond })
	dialRaw(t, a, 1).expectGoodbye(consensus.CodeTimeout) // no HELLO
	b := startNode(t, 2, func(s *setup) { s.config.HandshakeTimeout = 100 * time.Millisecond })
	r := dialRaw(t, b, 1)
	r.greet(1)
	r.expectGoodbye(consensus.CodeTimeout) // no SELECT
}

func TestMalformedFramesCostTheConnection(t *testing.T) {
	t.Parallel()
	for kind := kindHello; kind <= kindIntro; kind++ {
		t.Run(fmt.Sprint("kind ", kind), func(t *testing.T) {
			t.Parallel()
			a := startNode(t, 0, nil)
			r := connectRaw(t, a, 1)
			payload := []byte{1, 2, 3}
			if kind == kindHello {
				r = dialRaw(t, a, 2)
			}
			r.send(uint8(kind), payload)
			r.expectGoodbye(consensus.CodeUndecodable)
		})
	}
	t.Run("too large", func(t *testing.T) {
		// At most as much as the node drains: otherwise its reset would end this
		// write.
		t.Parallel()
		r := connectRaw(t, startNode(t, 0, nil), 1)
		r.send(kindMessage, make([]byte, maxStrangerFrame+1))
		r.expectGoodbye(consensus.CodeUndecodable)
	})
}

// TestUnknownKindsAreIgnored sends frames of kinds that a newer program may have. They must be
// ignored on a selected connection, within the size limits.
func TestUnknownKindsAreIgnored(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := connectRaw(t, a, 1)
	for kind := range 256 {
		if kind >= kindHello && kind <= kindCallback {
			continue
		}
		for _, payload := range [][]byte{nil, {1, 2, 3}} {
			r.send(uint8(kind), payload)
			r.sync()
		}
	}
	r.send(99, make([]byte, maxStrangerFrame))
	r.sync()
	r.send(99, make([]byte, maxStrangerFrame+1))
	r.expectGoodbye(consensus.CodeUndecodable)
}

func TestProtocolViolations(t *testing.T) {
	t.Parallel()
	for name, violate := range map[string]func(a *node, r *raw){
		"entries before HELLO": func(_ *node, r *raw) { r.sendEntries(r.entry(1)) },
		"OPEN before HELLO":    func(_ *node, r *raw) { r.open(1) },
		"unknown before HELLO": func(_ *node, r *raw) { r.send(99, nil) },
		"two HELLOs":           func(_ *node, r *raw) { r.greet(1); r.greet(2) },
		"SELECT of the higher": func(_ *node, r *raw) { r.greet(1); r.send(kindSelect, appendNumber(nil, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startNode(t, 0, nil)
			r := dialRaw(t, a, 1)
			violate(a, r)
			r.expectGoodbye(consensus.CodeProtocolViolation)
		})
	}
	t.Run("unknown before SELECT", func(t *testing.T) {
		t.Parallel()
		r := dialRaw(t, startNode(t, 2, nil), 1) // which must select
		r.greet(1)
		r.send(99, nil)
		r.expectGoodbye(consensus.CodeProtocolViolation)
	})
	t.Run("OPEN with an old number", func(t *testing.T) {
		t.Parallel()
		for _, number := range []uint32{1, 2} {
			_, r, ms, _ := rawBond(t, nil)
			r.open(2)
			r.expect(kindClose)
			ms.Close(r.id.Peer(), 4711)
			r.expect(kindClose)
			r.open(number)
			r.expectGoodbye(consensus.CodeProtocolViolation)
		}
	})
	t.Run("two INTROs", func(t *testing.T) {
		t.Parallel()
		_, r, _, _ := rawBond(t, nil)
		r.send(kindIntro, introFrame{testGroup(nil, "").ID, 1, 1, []byte("another")}.append(nil))
		r.expectGoodbye(consensus.CodeProtocolViolation)
	})
	t.Run("OPEN before SELECT", func(t *testing.T) {
		t.Parallel()
		r := dialRaw(t, startNode(t, 1, nil), 0)
		r.greet(1)
		r.open(1)
		r.expectGoodbye(consensus.CodeProtocolViolation)
	})
}

// TestSelection opens connections of one peer to the end that selects.
func TestSelection(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	hello := func(instance byte, flags uint32, seq uint64) []byte {
		return helloFrame{instance: instanceID{instance}, version: 1, flags: flags, seq: seq}.append(nil)
	}
	var current *raw
	for _, step := range []struct {
		name  string
		hello []byte
		wins  bool
	}{
		{"the first", hello(1, flagOnly, 5), true},
		{"one that is older", hello(1, flagOnly, 4), false},
		{"one beside another", hello(1, 0, 6), false},
		{"one whose peer has lost the current", hello(1, flagOnly, 7), true},
		{"one of a restarted peer", hello(2, flagOnly, 1), true},
	} {
		r := dialRaw(t, a, 1)
		r.send(kindHello, step.hello)
		r.expect(kindHello)
		if !step.wins {
			r.expectGoodbye(consensus.CodeAlreadyBonded)
			current.sync()
			continue
		}
		if got, _ := r.read(); got != kindSelect {
			t.Fatalf("%s: got a frame of kind %d, want SELECT", step.name, got)
		}
		if current != nil {
			current.expectGoodbye(consensus.CodeUnexpectedClose)
		}
		r.expect(kindEntries)
		current = r
	}
}

// TestOwnDialIsPreferred has a connection arrive at the end that selects while that end has a live
// connection that it dialled.
func TestOwnDialIsPreferred(t *testing.T) {
	t.Parallel()
	accepted := make(chan *link.Conn)
	r := newRaw(t, 1)
	r.link.Handle(link.Bond, func(ctx context.Context, c *link.Conn) {
		accepted <- c
		<-ctx.Done()
	})
	r.link.Serve()
	a := startNode(t, 0, func(s *setup) { s.config.Seeds = []string{r.link.Addr().String()} })
	dialled := *r
	dialled.conn = <-accepted
	dialled.expect(kindHello)

	r.dial(a)
	r.greet(1)
	r.expectGoodbye(consensus.CodeAlreadyBonded)
	dialled.greet(2)
	dialled.expect(kindSelect)
}

// TestStaleSelect sends two SELECTs in the wrong order to the end that does not select.
func TestStaleSelect(t *testing.T) {
	t.Parallel()
	a := startNode(t, 1, nil)
	older, younger := dialRaw(t, a, 0), dialRaw(t, a, 0)
	older.greet(1)
	younger.greet(2)
	younger.send(kindSelect, appendNumber(nil, 2))
	younger.expect(kindHello)
	younger.expect(kindEntries)
	older.send(kindSelect, appendNumber(nil, 1))
	older.expectGoodbye(consensus.CodeAlreadyBonded)
	younger.sync()
}

// TestEntriesOfOthers relays entries like a hostile or outdated peer.
func TestEntriesOfOthers(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := connectRaw(t, a, 1)
	other := connectRaw(t, a, 2)
	x := identity(t, 3)
	v2 := signEntry(t, x, discovery.Entry{Network: network, Version: 2, Tags: []string{"two"}})
	r.sendEntries(v2)
	r.sync() // and it is not sent back
	if got := other.expect(kindEntries); !bytes.Equal(got, appendEntries([]discovery.Signed{v2})[0]) {
		t.Errorf("relayed % x, want % x", got, v2.Bytes())
	}

	self := a.catalog.Self()
	frame := appendEntries([]discovery.Signed{
		v2, // again
		signEntry(t, x, discovery.Entry{Network: network, Version: 1, Tags: []string{"one"}}),
		signEntry(t, x, discovery.Entry{Network: sm.ID("another"), Version: 9}),
		signEntry(t, a.id, discovery.Entry{Network: network, Version: 1, Tags: []string{"self"}}),
	})[0]
	r.send(kindEntries, frame)
	r.sync()
	other.sync()
	if got, _ := a.catalog.Get(x.Peer()); !bytes.Equal(got.Bytes(), v2.Bytes()) {
		t.Errorf("the catalog has version %d, want 2", got.Version)
	}
	if got := a.catalog.Self(); got.Version != self.Version {
		t.Errorf("the own entry has version %d, want %d", got.Version, self.Version)
	}
	r.sendEntries(signEntry(t, x, discovery.Entry{Network: network, Version: 3}))
	other.expect(kindEntries)
}

// TestOldEntryOfItsOwn has a peer send an entry about itself that is older than the known one. The
// node must send it the known one, so that it signs a newer one. This happens if the peer's clock
// was ahead before a restart, or if another process has its identity.
func TestOldEntryOfItsOwn(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r, other := connectRaw(t, a, 1), connectRaw(t, a, 2)
	v9 := signEntry(t, identity(t, 1), discovery.Entry{Network: network, Version: 9})
	other.sendEntries(v9)
	other.sync()
	r.sync() // a peer is not sent its own entry
	v2 := signEntry(t, identity(t, 1), discovery.Entry{Network: network, Version: 2})
	r.sendEntries(v2)
	if got := r.expect(kindEntries); !bytes.Equal(got, appendEntries([]discovery.Signed{v9})[0]) {
		t.Errorf("sent % x, want % x", got, v9.Bytes())
	}
	r.sendEntries(v2)
	r.sync() // once is enough
}

// TestTombstone relays the entry of a forgotten peer.
func TestTombstone(t *testing.T) {
	t.Parallel()
	logs := newLogs()
	a := startNode(t, 0, func(s *setup) { s.config.Logger = slog.New(logs) })
	r := connectRaw(t, a, 1)
	x := identity(t, 3)
	entry := func(version uint64) discovery.Signed {
		return signEntry(t, x, discovery.Entry{Network: network, Version: version})
	}
	r.sendEntries(entry(5))
	r.sync()
	a.manager.mu.Lock()
	p := a.manager.peers[x.Peer()]
	p.alive = time.Now().Add(-a.manager.cfg.ForgetAfter)
	p.touch()
	a.manager.mu.Unlock()
	logs.await(t, "forgot a peer")
	r.sendEntries(entry(5))
	r.sync()
	if _, known := a.catalog.Get(x.Peer()); known {
		t.Error("another peer brought a forgotten entry back")
	}
	r.sendEntries(entry(6))
	r.sync()
	if _, known := a.catalog.Get(x.Peer()); !known {
		t.Error("a newer entry of a forgotten peer was not accepted")
	}
}

// TestStrangersLeaveNothing connects peers that never send an entry.
func TestStrangersLeaveNothing(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := connectRaw(t, a, 1)
	a.manager.mu.Lock()
	p := a.manager.peers[r.id.Peer()]
	changed := p.changed
	a.manager.mu.Unlock()
	r.conn.Close()
	<-changed
	a.manager.mu.Lock()
	defer a.manager.mu.Unlock()
	if got := len(a.manager.peers); got != 0 {
		t.Errorf("%d peers are kept, want none", got)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	_, r, ms, _ := rawBond(t, func(g *GroupConfig) {
		g.Heartbeat = Heartbeat{Interval: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, MaxMissed: 1_000_000}
	})
	ping := func() []byte {
		kind, payload, err := r.conn.ReadFrame(maxFrame, nil)
		if err != nil || kind != kindPing {
			t.Fatalf("got kind %d, error %v, want PING", kind, err)
		}
		return payload
	}
	first := ping()
	if second := ping(); !bytes.Equal(first, second) {
		t.Errorf("unanswered PING % x was followed by % x", first, second)
	}
	if got := ms.Bonds()[0].RTT; got != 0 {
		t.Errorf("round-trip time is %v before the first PONG", got)
	}
	r.send(kindPong, appendNumber(nil, 1)) // not the nonce
	r.sync()
	if got := ms.Bonds()[0].RTT; got != 0 {
		t.Errorf("round-trip time is %v after a wrong PONG", got)
	}
	r.send(kindPong, first)
	r.sync()
	if got := ms.Bonds()[0].RTT; got <= 0 {
		t.Errorf("round-trip time is %v after PONG", got)
	}
	for bytes.Equal(first, ping()) {
	}
}

// TestHandlerThatDoesNotReturn sends messages while the handler blocks.
func TestHandlerThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	_, r, _, rec := rawBond(t, func(g *GroupConfig) {
		g.Handler.(*recorder).on = func(rep report) {
			if rep.What == "message" {
				<-release
			}
		}
	})
	f := messageFrame{testGroup(nil, "").ID, nil}.append(nil)
	for range maxPending + 2 {
		r.send(kindMessage, f)
	}
	r.expectGoodbye(consensus.CodeProtocolViolation)
	close(release)
	rec.await(t, report{"down", r.id.Peer(), consensus.CodeProtocolViolation, ""})
}

// TestPeerThatDoesNotRead fills the queue of a connection.
func TestPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	_, r, ms, rec := rawBond(t, nil)
	payload := make([]byte, MaxPayload)
	for ms.Send(r.id.Peer(), payload) {
	}
	rec.want(t, report{"down", r.id.Peer(), consensus.CodeUnexpectedClose, ""})
}

// TestHandlerCallsBack has a handler call its membership.
func TestHandlerCallsBack(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	members := make(chan *GroupBonds, 1)
	ar.on = func(rep report) {
		if rep.What == "message" {
			ms := <-members
			if !ms.Send(rep.Peer, []byte("pong")) || len(ms.Bonds()) != 1 {
				t.Error("no bond within Message")
			}
			ms.Close(rep.Peer, 4711)
		}
	}
	members <- a.join(testGroup(ar, "of a"))
	bm := b.join(testGroup(br, "of b"))
	ar.want(t, up(b, "of b"))
	br.want(t, up(a, "of a"))
	bm.Send(a.peer(), []byte("ping"))
	br.want(t, message(a, "pong"))
	br.want(t, down(a, 4711))
	ar.want(t, message(b, "ping"))
	ar.want(t, down(b, 4711))
}

func TestLeaveDoesNotWaitForTheHandler(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	entered, release := make(chan struct{}), make(chan struct{})
	ar.on = func(rep report) {
		if rep.What == "message" {
			close(entered)
			<-release
		}
	}
	am, bm := a.join(testGroup(ar, "")), b.join(testGroup(br, ""))
	br.want(t, up(a, ""))
	bm.Send(a.peer(), nil)
	<-entered
	am.Leave()
	br.want(t, down(a, consensus.CodeCancelled))
	if am.Send(b.peer(), nil) {
		t.Error("sent after leaving")
	}
	close(release)
	ar.want(t, up(b, ""))
	ar.want(t, message(b, ""))
	ar.want(t, down(b, consensus.CodeCancelled))
	ar.wantNothing(t)
}

// TestRelay relays entries over a third node to ends that cannot dial each other.
func TestRelay(t *testing.T) {
	t.Parallel()
	middle := startNode(t, 1, nil)
	unreachable := func(s *setup) { seeds(middle)(s); s.noAddr = true }
	a, c := startNode(t, 0, unreachable), startNode(t, 2, unreachable)
	c.awaitEntry(a.peer(), anyEntry)
	if _, err := a.catalog.Update(func(e *discovery.Entry) { e.Tags = []string{"news"} }); err != nil {
		t.Fatal(err)
	}
	c.awaitEntry(a.peer(), func(s discovery.Signed) bool { return len(s.Tags) == 1 })
}

// TestNewEntryIsDialledSoon has a peer change its entry during a long pause before the next dial.
func TestNewEntryIsDialledSoon(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, func(s *setup) { s.config.Unreached = time.Hour })
	b := startNode(t, 2, nil)
	r := connectRaw(t, a, 1)
	r.sendEntries(signEntry(t, b.id, discovery.Entry{Network: network, Version: 1}))
	r.sync()
	a.manager.mu.Lock()
	for range 30 { // the pause doubles up to an hour
		a.manager.peers[b.peer()].target.Pause(time.Now())
	}
	a.manager.mu.Unlock()
	r.sendEntries(signEntry(t, b.id, discovery.Entry{Network: network, Version: 2, Addrs: []string{b.addr()}}))
	a.awaitConn(b.peer(), anyConn)
}

func TestJoinErrors(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	good := testGroup(newRecorder(), "")
	for name, change := range map[string]func(*GroupConfig){
		"GroupConfig.ID":           func(g *GroupConfig) { g.ID = sm.Digest{} },
		"GroupConfig.Hello":        func(g *GroupConfig) { g.Hello = nil },
		"GroupConfig.Handler":      func(g *GroupConfig) { g.Handler = nil },
		"Heartbeat.Interval is 0s": func(g *GroupConfig) { g.Heartbeat.Interval = 0 },
		"Heartbeat.Jitter":         func(g *GroupConfig) { g.Heartbeat.Jitter = g.Heartbeat.Interval },
		"Heartbeat.MaxMissed is 0": func(g *GroupConfig) { g.Heartbeat.MaxMissed = 0 },
	} {
		g := good
		change(&g)
		_, err := a.manager.Join(g)
		wantText(t, err, name)
	}
	a.join(good)
	_, err := a.manager.Join(good)
	wantIs(t, err, ErrJoined)
	a.stop()
	_, err = a.manager.Join(good)
	wantIs(t, err, ErrClosed)
}
