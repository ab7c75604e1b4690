package bond

import (
	"crypto/subtle"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// bond is what a connection knows about one group. It exists from the first attempt until
// the group is left or the connection ends. The manager's mutex guards all of it, and its
// methods are called with the mutex held.
type bond struct {
	c      *conn
	ms     *GroupBonds
	proofs []sm.Digest // of each secret, derived for this connection, not yet for a sender

	handshake
	listed  bool         // the other end's entry lists the group
	retry   time.Time    // when to open again; zero while a handshake or a bond exists
	backoff rate.Backoff // of retry
	since   time.Time    // when the bond came up last

	events  []*event // that wait for the handler, oldest first, without the one being handled
	pending backlog  // their size, with the one being handled
	counted Info     // of the bond that is up or was up last
}

// bond returns the connection's bond of the group, which it makes if there is none, or nil if
// the connection cannot have one.
func (c *conn) bond(ms *GroupBonds) *bond {
	if b := c.bonds[ms.group.ID]; b != nil || c.ended {
		return b
	}
	exported, err := c.lc.Exporter(string(ms.group.ID[:]), []byte(link.Bond))
	if err != nil {
		c.m.cfg.Logger.Error("cannot export keying material", "peer", c.p.id.Short(), "error", err)
		return nil
	}
	b := &bond{
		c:       c,
		ms:      ms,
		backoff: rate.NewBackoff(c.m.cfg.Redial),
	}
	for _, secret := range ms.group.Secrets {
		b.proofs = append(b.proofs, secret.Derive(exported[:]))
	}
	c.bonds[ms.group.ID] = b
	return b
}

// offer opens a bond of the group after the other end's entry has changed: if the entry now
// lists the group, or if a bond waits for its retry, since the new entry may remove the
// reason of the refusal.
func (c *conn) offer(ms *GroupBonds, entry discovery.Signed) {
	listed := entry.HasGroup(ms.group.ID)
	if !listed && c.bonds[ms.group.ID] == nil {
		return
	}
	b := c.bond(ms)
	if b == nil {
		return
	}
	news := listed && !b.listed
	b.listed = listed
	if news || listed && !b.retry.IsZero() {
		b.open()
	}
}

// offerAll calls offer for every group that is joined.
func (c *conn) offerAll(entry discovery.Signed) {
	for _, ms := range c.m.groups {
		c.offer(ms, entry)
	}
}

// open begins a handshake unless there is one, or a bond.
func (b *bond) open() {
	if b.c.ended || !b.begin(b.c.opens+1, time.Now().Add(b.c.m.cfg.HandshakeTimeout)) {
		return
	}
	b.c.opens++
	b.retry = time.Time{}
	b.c.wakeHeartbeat()
	f := openFrame{group: b.ms.group.ID, number: b.ours, proofs: b.proofsOf(b.c.m.self)}
	b.c.send(kindOpen, f.append(nil))
}

// introduce sends our INTRO. The group's goroutine makes the hello, so the handshake may have
// ended by then.
func (b *bond) introduce() {
	number := b.theirs
	b.ms.post(b, eventHandshake, 0, func() {
		hello := b.ms.group.Hello() // foreign code: without the mutex
		b.c.m.mu.Lock()
		defer b.c.m.mu.Unlock()
		switch {
		case b.theirs != number: // numbers do not repeat
		case len(hello) > MaxHello:
			b.c.m.cfg.Logger.Error("hello too large: handshake refused",
				"group", b.ms.group.ID.Short(), "bytes", len(hello), "limit", MaxHello)
			b.refuse(b.theirs, consensus.CodeUndecodable)
		default:
			f := introFrame{group: b.ms.group.ID, mine: b.ours, theirs: b.theirs, hello: hello}
			b.c.send(kindIntro, f.append(nil))
		}
	})
}

// proofsOf returns the proofs of our secrets by a sender on this connection. The sender is
// part of a proof, so that a peer cannot send our own proofs back.
func (b *bond) proofsOf(sender sm.PeerID) []sm.Digest {
	proofs := make([]sm.Digest, len(b.proofs))
	for i, p := range b.proofs {
		proofs[i] = p.Derive(sender[:])
	}
	return proofs
}

// proven reports whether the other end holds one of our secrets. It compares every pair in
// constant time, so that its duration reveals nothing.
func (b *bond) proven(proofs []sm.Digest) bool {
	equal := 0
	for _, want := range b.proofsOf(b.c.p.id) {
		for _, got := range proofs {
			equal |= subtle.ConstantTimeCompare(got[:], want[:])
		}
	}
	return equal == 1
}

func (c *conn) handleOpen(f openFrame) consensus.CloseCode {
	if f.number <= c.opened {
		return consensus.CodeProtocolViolation
	}
	c.opened = f.number
	ms := c.m.groups[f.group]
	if ms == nil {
		c.sendClose(closeFrame{group: f.group, theirs: f.number, code: consensus.CodeUnknownGroup})
		return consensus.CodeAccepted
	}
	if _, known := c.m.entry(c.p.id); !known {
		c.sendClose(closeFrame{group: f.group, theirs: f.number, code: consensus.CodeUnknownPeer})
		return consensus.CodeAccepted
	}
	b := c.bond(ms)
	if b == nil {
		return consensus.CodeUnexpectedClose
	}
	if b.isUp() {
		c.sendClose(closeFrame{group: f.group, theirs: f.number, code: consensus.CodeAlreadyBonded})
		return consensus.CodeAccepted
	}
	if !b.proven(f.proofs) {
		b.rejectProof(f.number)
		return consensus.CodeAccepted
	}
	b.open()
	if b.opened(f.number) { // false if sending our OPEN ended the connection
		b.introduce()
	}
	return consensus.CodeAccepted
}

// rejectProof ends the handshake because of an OPEN that proves no secret of ours. The
// handler learns of it even when this end had not begun a handshake.
func (b *bond) rejectProof(number uint32) {
	ours := b.ours
	b.fail(consensus.CodeWrongProof)
	b.c.sendClose(closeFrame{group: b.ms.group.ID, mine: ours, theirs: number, code: consensus.CodeWrongProof})
}

func (c *conn) handleIntro(f introFrame) consensus.CloseCode {
	b := c.bonds[f.group]
	switch {
	case b == nil || !b.names(f.mine, f.theirs):
		return consensus.CodeAccepted // it crossed with our CLOSE
	case !b.introduced(slices.Clone(f.hello)):
		return consensus.CodeProtocolViolation // a second one
	case len(f.hello) > MaxHello:
		return consensus.CodeUndecodable
	}
	b.examine()
	return consensus.CodeAccepted
}

// examine has the handler decide about the other end's INTRO. The handler is foreign code
// whose verdicts come back through calls that lock the manager, from this goroutine or
// another one: it is called on the group's goroutine and never with the mutex held.
func (b *bond) examine() {
	m, number, hello := b.c.m, b.theirs, b.hello
	awaited := func() bool { return b.theirs == number && b.isDeciding() } // numbers do not repeat
	b.ms.post(b, eventHandshake, len(hello), func() {
		m.mu.Lock()
		stale := !awaited()
		m.mu.Unlock()
		if stale {
			return
		}
		b.ms.group.Handler.Accept(b.c.p.id, hello, func(code consensus.CloseCode) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if awaited() {
				b.answer(code)
			}
		})
	})
}

// answer carries out what the handler decided about the other end. The caller has checked
// that the answer is awaited.
func (b *bond) answer(code consensus.CloseCode) {
	if code != consensus.CodeAccepted {
		b.refuse(b.theirs, code)
		return
	}
	f := acceptFrame{group: b.ms.group.ID, mine: b.ours, theirs: b.theirs}
	b.c.send(kindAccept, f.append(nil))
	if b.step(sentAccept) && b.isUp() { // false if sending it ended the connection
		b.cameUp()
	}
}

func (c *conn) handleAccept(f acceptFrame) consensus.CloseCode {
	b := c.bonds[f.group]
	if b != nil && b.names(f.mine, f.theirs) && b.step(receivedAccept) && b.isUp() {
		b.cameUp()
	}
	return consensus.CodeAccepted // an invalid ACCEPT crossed with our CLOSE or is a duplicate
}

// cameUp does what a bond that has just come up entails.
func (b *bond) cameUp() {
	b.since = time.Now()
	b.c.count(+1)
	b.c.p.member = true
	peer, hello := b.c.p.id, b.takeHello()
	b.counted = Info{Peer: peer, Since: b.since}
	b.ms.post(b, eventBond, len(hello), func() { b.ms.group.Handler.Up(peer, hello) })
	b.introduceMember()
	if entry, known := b.c.m.entry(peer); known {
		b.c.m.knownPeers.record(b.c.p, entry)
	}
	b.c.rescheduleProbe()
}

func (c *conn) handleClose(f closeFrame) consensus.CloseCode {
	b := c.bonds[f.group]
	if b != nil && (f.theirs != 0 && f.theirs == b.ours || f.mine != 0 && f.mine == b.theirs) {
		c.m.cfg.Link.Counters().Refused(f.code, link.Received)
		b.reset(f.code)
	}
	return consensus.CodeAccepted
}

// refuse ends the bond or the handshake and sends a CLOSE. theirs is the number of the other
// end's OPEN, 0 for none.
func (b *bond) refuse(theirs uint32, code consensus.CloseCode) {
	b.c.sendClose(closeFrame{group: b.ms.group.ID, mine: b.ours, theirs: theirs, code: code})
	b.reset(code)
}

// withdraw ends the bond or the handshake, if there is one, from our side.
func (b *bond) withdraw(code consensus.CloseCode) {
	if b.state != stateIdle {
		b.refuse(b.theirs, code)
	}
}

// reset ends the bond or the handshake, if there is one, without telling the other end.
func (b *bond) reset(code consensus.CloseCode) {
	if b.state != stateIdle {
		b.fail(code)
	}
}

// fail returns the handshake to its first state and tells the handler what ended. While the
// other end lists the group, the bond is tried again after a pause.
func (b *bond) fail(code consensus.CloseCode) {
	now := time.Now()
	was := b.clear()
	if was.isUp() {
		b.backoff.Succeeded(now.Sub(b.since))
		b.c.count(-1)
	}
	b.retry = now.Add(b.backoff.Pause())
	b.c.wakeHeartbeat()

	peer, handler := b.c.p.id, b.ms.group.Handler
	if was.isUp() {
		b.ms.post(b, eventBond, 0, func() { handler.Down(peer, code) })
		return
	}
	b.c.m.cfg.Logger.Debug("bond refused",
		"peer", peer.Short(), "group", b.ms.group.ID.Short(), "code", uint32(code), "reason", code.String())
	b.ms.post(b, eventHandshake, len(was.hello), func() { handler.Refused(peer, code, was.hello) })
}

func (c *conn) sendClose(f closeFrame) {
	c.m.cfg.Link.Counters().Refused(f.code, link.Sent)
	c.send(kindClose, f.append(nil))
}

func (c *conn) handleMessage(f messageFrame) consensus.CloseCode {
	b := c.bonds[f.group]
	if b == nil || !b.isUp() {
		return consensus.CodeAccepted // it crossed with our CLOSE
	}
	payload := slices.Clone(f.payload)
	b.counted.MessagesReceived++
	b.counted.BytesReceived += uint64(len(payload))
	b.ms.post(b, eventMessage, len(payload), func() { b.ms.group.Handler.Message(c.p.id, payload) })
	return consensus.CodeAccepted
}
