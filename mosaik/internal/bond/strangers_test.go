package bond

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// TestStrangersAreGivenLittleTime connects a peer that never sends its entry.
func TestStrangersAreGivenLittleTime(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, func(s *setup) { s.config.HandshakeTimeout = 200 * time.Millisecond })
	connectRaw(t, a, 1).expectGoodbye(consensus.CodeUnknownPeer)
}

func TestStrangersAreBounded(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	known := connectRaw(t, a, 1, sm.ID("some group"))
	known.sync()
	a.manager.mu.Lock()
	for i := range maxStrangers {
		a.manager.peers[sm.PeerID{1, byte(i)}] = nil
	}
	a.manager.mu.Unlock()
	r := newRaw(t, 2)
	_, err := r.link.Dial(t.Context(), a.addr(), a.peer(), link.Bond)
	wantRefused(t, err, consensus.CodeUnknownPeer)
	known.dial(a) // a peer with a known entry is not a stranger
	a.manager.mu.Lock()
	for i := range maxStrangers {
		delete(a.manager.peers, sm.PeerID{1, byte(i)})
	}
	a.manager.mu.Unlock()
	r.dial(a)
}

func wantRefused(t *testing.T, err error, code consensus.CloseCode) {
	t.Helper()
	var refused *consensus.RefusedError
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("error %v, want a refusal with code %d", err, code)
	}
}

// TestRaftIsForPeersThatProvedAKey dials for Raft at each step of a handshake.
func TestRaftIsForPeersThatProvedAKey(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	rec := newRecorder()
	g := testGroup(rec, "of a")
	ms := a.join(g)
	r := newRaw(t, 1)
	want := func(when string, code consensus.CloseCode) {
		t.Helper()
		for _, p := range []link.Protocol{link.Raft, link.Snapshot} {
			if got := a.manager.Admit(r.id.Peer(), p); got != code {
				t.Errorf("%s %s: %d, want %d", when, p, got, code)
			}
		}
	}
	want("before a connection", consensus.CodeUnknownPeer)
	r = connectRaw(t, a, 1, g.ID)
	r.expect(kindOpen)
	want("before the proof", consensus.CodeUnknownPeer)
	r.open(1)
	r.expect(kindIntro)
	want("after the proof", consensus.CodeAccepted)
	r.send(kindIntro, introFrame{g.ID, 1, 1, nil}.append(nil))
	r.expect(kindAccept)
	r.send(kindAccept, acceptFrame{g.ID, 1, 1}.append(nil))
	rec.want(t, report{"up", r.id.Peer(), 0, ""})
	want("on a bond", consensus.CodeAccepted)
	ms.Close(r.id.Peer(), consensus.CodeTicketRefused)
	want("after the bond", consensus.CodeUnknownPeer)
	a.stop()
	want("after the end", consensus.CodeCancelled)
}

// TestFloodIsSlowed sends a node more than the budgets of strangers allow at once. Other peers must
// be served meanwhile.
func TestFloodIsSlowed(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]uint8{"entries": kindEntries, "unknown kind": 99} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flood(t, kind)
		})
	}
}

func flood(t *testing.T, kind uint8) {
	a := startNode(t, 0, nil)
	rec := newRecorder()
	g := testGroup(rec, "of a")
	a.join(g)
	r, flood := connectRaw(t, a, 1), connectRaw(t, a, 2)
	entry := flood.entry(1)
	flood.sendEntries(entry)
	r.expect(kindEntries)
	payload := appendEntries([]discovery.Signed{entry})[0]
	for len(payload) < entriesSoft {
		payload = append(payload, payload...)
	}
	frames := strangerBurst/len(payload) + 2
	sent := make(chan error, 1)
	go func() {
		for range frames {
			if err := flood.conn.WriteFrame(kind, payload); err != nil {
				sent <- err
				return
			}
		}
		sent <- flood.conn.WriteFrame(kindPing, appendNumber(nil, 42))
	}()
	begin := time.Now()
	r.sendEntries(r.entry(1, g.ID))
	r.bond(1, 1)
	rec.want(t, report{"up", r.id.Peer(), 0, "of raw"})
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	for kind := uint8(0); kind != kindPong; {
		kind, _ = flood.read()
	}
	excess := frames*(len(payload)+frameCost) - strangerBurst
	if got, least := time.Since(begin), time.Duration(excess)*time.Second/strangerRate/2; got < least {
		t.Errorf("%d bytes too many were read within %v, want %v or more", excess, got, least)
	}
}

// TestRefusalsAreCountedByCode has a raw peer provoke refusals and refuse.
func TestRefusalsAreCountedByCode(t *testing.T) {
	t.Parallel()
	type count struct {
		Code consensus.CloseCode
		By   link.Direction
	}
	counted := func(a *node) map[count]int64 {
		counts := map[count]int64{}
		a.link.Counters().EachRefused(func(code consensus.CloseCode, d link.Direction, n int64) { counts[count{code, d}] = n })
		return counts
	}
	group := testGroup(nil, "").ID
	for name, c := range map[string]struct {
		provoke func(a *node, r *raw)
		want    map[count]int64
	}{
		"unknown group": {func(_ *node, r *raw) {
			r.send(kindOpen, openFrame{group: sm.ID("no such group"), number: 2, proofs: []sm.Digest{{}}}.append(nil))
			r.expect(kindClose)
		}, map[count]int64{{consensus.CodeUnknownGroup, link.Sent}: 1}},
		"already bonded": {func(_ *node, r *raw) {
			r.open(2)
			r.expect(kindClose)
		}, map[count]int64{{consensus.CodeAlreadyBonded, link.Sent}: 1}},
		"it refuses": {func(_ *node, r *raw) {
			r.send(kindClose, closeFrame{group, 1, 1, consensus.CodeTicketRefused}.append(nil))
			r.send(kindClose, closeFrame{group, 1, 1, consensus.CodeTicketRefused}.append(nil)) // counts once
		}, map[count]int64{{consensus.CodeTicketRefused, link.Received}: 1}},
		"it leaves": {func(a *node, r *raw) {
			r.send(kindGoodbye, appendCode(nil, 4711))
			_, _ = io.Copy(io.Discard, r.conn) // until the node closes the connection
		}, map[count]int64{{consensus.CodeAccepted, link.Received}: 1}},
		"it talks nonsense": {func(_ *node, r *raw) {
			r.send(kindOpen, nil)
			r.expectGoodbye(consensus.CodeUndecodable)
		}, map[count]int64{{consensus.CodeUndecodable, link.Sent}: 1}},
		"it breaks the rules": {func(_ *node, r *raw) {
			r.greet(9)
			r.expectGoodbye(consensus.CodeProtocolViolation)
		}, map[count]int64{{consensus.CodeProtocolViolation, link.Sent}: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, r, _, rec := rawBond(t, nil)
			c.provoke(a, r)
			if name == "it refuses" {
				rec.want(t, report{"down", r.id.Peer(), consensus.CodeTicketRefused, ""})
			}
			if diff := cmp.Diff(c.want, counted(a)); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefusedPeerIsNotRead has a peer send as fast as it can after it was refused. The node reads no
// more than the bytes that may have been in flight.
func TestRefusedPeerIsNotRead(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := dialRaw(t, a, 1)
	r.open(1) // before HELLO
	r.expectGoodbye(consensus.CodeProtocolViolation)
	const most = 16 << 20 // the kernel's buffers of a connection are much smaller
	written := 0
	for b := make([]byte, 64<<10); ; {
		n, err := r.conn.Write(b)
		if written += n; err != nil {
			break
		}
		if written > most {
			t.Fatalf("%d bytes were taken from a peer that was refused, want at most %d and the kernel's buffers", written, lingerBytes)
		}
	}
}

// TestViolationBars has a peer violate the protocol. Its address is barred for a while, unless a
// member is there.
func TestViolationBars(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := dialRaw(t, a, 1)
	r.open(1) // before HELLO
	r.expectGoodbye(consensus.CodeProtocolViolation)
	again := func() error {
		c, err := r.link.Dial(t.Context(), a.addr(), a.peer(), link.Bond)
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := again(); !errors.Is(err, link.ErrHandshake) {
		t.Fatalf("dialled again after a violation: error %v, want one of the handshake", err)
	}

	a, r, _, _ = rawBond(t, nil)
	other := newRaw(t, 3)
	other.dial(a)
	other.open(1)
	other.expectGoodbye(consensus.CodeProtocolViolation)
	if err := again(); err != nil {
		t.Errorf("dialled again from the address of a member: %v", err)
	}
}
