package bond

import (
	"crypto/subtle"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// How a bond comes up
//
// Each end sends an OPEN of its own, either because the other's entry lists the
// group or because an OPEN arrived. It proves the key and says nothing else: an
// end tells about itself, in its INTRO, when it has checked the proof of the
// other. An end that likes the other's INTRO sends an ACCEPT that names both
// OPENs; an end that has sent and received the ACCEPT of the same two is up. OPENs are numbered, so that frames about earlier
// ones, which cross with a CLOSE, are recognised and ignored. After a CLOSE its
// sender holds nothing of either OPEN.

// bond is what a connection knows about one group. It exists from the first
// attempt until the group is left or the connection ends. All is guarded by the
// manager's mutex, and its methods are called with it held.
type bond struct {
	c      *conn
	ms     *Membership
	proofs []sm.Digest // of each secret, derived for this connection, not yet for a sender

	listed  bool      // the other end's entry lists the group
	sent    uint32    // number of our OPEN, 0 for none
	recv    uint32    // number of the other end's OPEN whose proof was right, 0 for none
	met     bool      // the other end's INTRO of sent and recv has come
	agreed  bool      // we sent ACCEPT of sent and recv
	acked   bool      // the other end did
	hello   []byte    // of the INTRO
	until   time.Time // the handshake must be through by then
	retry   time.Time // when to open again, zero for not
	backoff backoff

	up    bool
	since time.Time

	pending backlog
	counted Info
}

// bond returns the connection's bond of the group, which it makes if need be,
// or nil when the connection cannot have one.
func (c *conn) bond(ms *Membership) *bond {
	if b := c.bonds[ms.group.ID]; b != nil || c.ended {
		return b
	}
	exported, err := c.lc.Exporter(string(ms.group.ID[:]), []byte(link.Bond))
	if err != nil {
		c.m.cfg.Logger.Error("a connection has no keying material", "peer", c.p.id.Short(), "error", err)
		return nil
	}
	b := &bond{
		c:       c,
		ms:      ms,
		backoff: backoff{bounds: c.m.cfg.Redial},
	}
	for _, secret := range ms.group.Secrets {
		b.proofs = append(b.proofs, secret.Derive(exported[:]))
	}
	c.bonds[ms.group.ID] = b
	return b
}

// offer opens a bond of the group if the other end's entry, which is new, lists
// it newly or may make good what a bond was refused for.
func (c *conn) offer(ms *Membership, entry discovery.Signed) {
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

// offerAll is offer for every group that is joined.
func (c *conn) offerAll(entry discovery.Signed) {
	for _, ms := range c.m.groups {
		c.offer(ms, entry)
	}
}

// busy reports whether a handshake is under way.
func (b *bond) busy() bool { return !b.up && (b.sent != 0 || b.recv != 0) }

// open begins a handshake unless there is one, or a bond.
func (b *bond) open() {
	if b.up || b.sent != 0 || b.c.ended {
		return
	}
	b.retry = time.Time{}
	b.until = time.Now().Add(b.c.m.cfg.HandshakeTimeout)
	b.c.wakeProbe()
	b.c.opens++
	b.sent = b.c.opens
	f := openFrame{group: b.ms.group.ID, number: b.sent, proofs: b.proofsOf(b.c.m.self)}
	b.c.send(kindOpen, f.append(nil))
}

// introduce asks for our hello and sends it, unless the handshake has ended
// meanwhile.
func (b *bond) introduce() {
	number := b.recv
	b.ms.post(b, 0, func() {
		hello := b.ms.group.Hello()
		b.c.m.mu.Lock()
		defer b.c.m.mu.Unlock()
		switch {
		case b.recv != number: // numbers do not repeat
		case len(hello) > MaxHello:
			b.c.m.cfg.Logger.Error("the payload of a handshake is too large", "group", b.ms.group.ID.Short(), "bytes", len(hello), "limit", MaxHello)
			b.refuse(b.recv, link.CodeUndecodable)
		default:
			f := introFrame{group: b.ms.group.ID, mine: b.sent, theirs: b.recv, hello: hello}
			b.c.send(kindIntro, f.append(nil))
		}
	})
}

// proofsOf returns the proofs of our secrets that the peer would send on this
// connection. The sender is part of them, so that a proof cannot be sent back.
func (b *bond) proofsOf(sender sm.PeerID) []sm.Digest {
	proofs := make([]sm.Digest, len(b.proofs))
	for i, p := range b.proofs {
		proofs[i] = p.Derive(sender[:])
	}
	return proofs
}

// proven reports whether the other end holds one of our secrets. Every pair is
// compared, in constant time, so that how long it takes tells nothing.
func (b *bond) proven(proofs []sm.Digest) bool {
	equal := 0
	for _, want := range b.proofsOf(b.c.p.id) {
		for _, got := range proofs {
			equal |= subtle.ConstantTimeCompare(got[:], want[:])
		}
	}
	return equal == 1
}

func (c *conn) handleOpen(f openFrame) link.Code {
	if f.number <= c.opened {
		return link.CodeProtocolViolation
	}
	c.opened = f.number
	ms := c.m.groups[f.group]
	if ms == nil {
		c.sendClose(closeFrame{group: f.group, theirs: f.number, code: link.CodeUnknownGroup})
		return link.CodeAccepted
	}
	if _, known := c.m.entry(c.p.id); !known {
		c.sendClose(closeFrame{group: f.group, theirs: f.number, code: link.CodeUnknownPeer})
		return link.CodeAccepted
	}
	b := c.bond(ms)
	if b == nil {
		return link.CodeUnexpectedClose
	}
	if b.up {
		c.sendClose(closeFrame{group: f.group, theirs: f.number, code: link.CodeAlreadyBonded})
		return link.CodeAccepted
	}
	b.recv = f.number
	b.met, b.agreed, b.acked = false, false, false
	if !b.proven(f.proofs) {
		b.refuse(f.number, link.CodeWrongProof)
		return link.CodeAccepted
	}
	b.open()
	b.introduce()
	return link.CodeAccepted
}

func (c *conn) handleIntro(f introFrame) link.Code {
	b := c.bonds[f.group]
	switch {
	case b == nil || f.mine != b.recv || f.theirs != b.sent:
		return link.CodeAccepted // it crossed with our CLOSE
	case b.met:
		return link.CodeProtocolViolation
	case len(f.hello) > MaxHello:
		return link.CodeUndecodable
	}
	b.met = true
	b.hello = slices.Clone(f.hello)
	b.consult()
	return link.CodeAccepted
}

// consult has the handler decide about the other end's INTRO.
func (b *bond) consult() {
	m, number, hello := b.c.m, b.recv, b.hello
	current := func() bool { return b.recv == number } // numbers do not repeat
	b.ms.post(b, len(hello), func() {
		m.mu.Lock()
		stale := !current()
		m.mu.Unlock()
		if stale {
			return
		}
		b.ms.group.Handler.Accept(b.c.p.id, hello, func(code link.Code) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if current() && !b.agreed {
				b.answer(code)
			}
		})
	})
}

// answer carries out what the handler decided about the other end.
func (b *bond) answer(code link.Code) {
	if code != link.CodeAccepted {
		b.refuse(b.recv, code)
		return
	}
	b.agreed = true
	f := acceptFrame{group: b.ms.group.ID, mine: b.sent, theirs: b.recv}
	b.c.send(kindAccept, f.append(nil))
	b.rise()
}

func (c *conn) handleAccept(f acceptFrame) link.Code {
	b := c.bonds[f.group]
	if b != nil && !b.up && f.theirs == b.sent && f.mine == b.recv {
		b.acked = true
		b.rise()
	}
	return link.CodeAccepted
}

// rise makes the bond up when both ends have accepted.
func (b *bond) rise() {
	if !b.agreed || !b.acked {
		return
	}
	b.up, b.since = true, time.Now()
	b.c.count(+1)
	b.c.p.member = true
	peer, hello := b.c.p.id, b.hello
	b.hello = nil
	b.counted = Info{Peer: peer, Since: b.since}
	b.ms.post(b, len(hello), func() { b.ms.group.Handler.Up(peer, hello) })
	b.vouch()
	if entry, known := b.c.m.entry(peer); known {
		b.c.m.sightings.note(b.c.p, entry)
	}
	b.c.hasten()
}

func (c *conn) handleClose(f closeFrame) link.Code {
	b := c.bonds[f.group]
	if b != nil && (f.theirs != 0 && f.theirs == b.sent || f.mine != 0 && f.mine == b.recv) {
		c.m.cfg.Link.Tally().Refused(f.code, link.Received)
		b.reset(f.code)
	}
	return link.CodeAccepted
}

// refuse ends the bond or the handshake, and tells the other end, whose OPEN
// has the number theirs, 0 for none.
func (b *bond) refuse(theirs uint32, code link.Code) {
	b.c.sendClose(closeFrame{group: b.ms.group.ID, mine: b.sent, theirs: theirs, code: code})
	b.reset(code)
}

// withdraw ends whatever there is of the bond from our side.
func (b *bond) withdraw(code link.Code) {
	if b.up || b.busy() {
		b.refuse(b.recv, code)
	}
}

// reset takes the bond back to where nothing was sent or received and tells the
// handler what that ends. It is tried again after a pause while the other end
// lists the group.
func (b *bond) reset(code link.Code) {
	up := b.up
	if !up && !b.busy() {
		return
	}
	now := time.Now()
	if up {
		b.backoff.succeeded(now.Sub(b.since))
		b.c.count(-1)
	}
	hello := b.hello
	b.sent, b.recv, b.met, b.agreed, b.acked, b.up = 0, 0, false, false, false, false
	b.hello, b.until = nil, time.Time{}
	b.retry = now.Add(b.backoff.pause())
	b.c.wakeProbe()

	peer, handler := b.c.p.id, b.ms.group.Handler
	if up {
		b.ms.post(b, 0, func() { handler.Down(peer, code) })
		return
	}
	b.c.m.cfg.Logger.Debug("a bond was refused", "peer", peer.Short(), "group", b.ms.group.ID.Short(), "code", uint32(code), "reason", code.String())
	b.ms.post(b, len(hello), func() { handler.Refused(peer, code, hello) })
}

func (c *conn) sendClose(f closeFrame) {
	c.m.cfg.Link.Tally().Refused(f.code, link.Sent)
	c.send(kindClose, f.append(nil))
}

func (c *conn) handleMessage(f messageFrame) link.Code {
	b := c.bonds[f.group]
	if b == nil || !b.up {
		return link.CodeAccepted // it crossed with our CLOSE
	}
	payload := slices.Clone(f.payload)
	b.counted.MessagesReceived++
	b.counted.BytesReceived += uint64(len(payload))
	b.ms.queueEvent(event{b, len(payload), true, func() { b.ms.group.Handler.Message(c.p.id, payload) }})
	return link.CodeAccepted
}
