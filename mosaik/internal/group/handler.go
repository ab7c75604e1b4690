package group

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Messages between bonded members: one kind byte, then
//
//	1 announcement  the sender's announcement, in the layout above
//	2 removed       16 bytes epoch, 8 bytes replica id, big-endian: the
//	                receiver's replica is no member any more
//	3 sealed        16 bytes epoch, 8 bytes count, big-endian: it is over, and
//	                with it all that it held up to so many commands
//	4 superseded    16 bytes incarnation, 16 bytes process: another process with
//	                the receiver's identity keeps running, and the receiver's
//	                incarnation must not
//	6 goodbye       16 bytes epoch, 8 bytes replica id, 8 bytes term, 8 bytes index,
//	                8 bytes for each of up to 256 replica ids, big-endian: the sender's
//	                replica has ended for good, its log is forgotten, the last membership
//	                change in it was at term and index, and these may vote by it
//
// A message of another kind is that of a newer program, and ignored.
const (
	messageAnnounce   = 1
	messageRemoved    = 2
	messageSealed     = 3
	messageSuperseded = 4
	messageGoodbye    = 6
)

// maxGoodbyeVoters bounds the replicas that a goodbye names.
const maxGoodbyeVoters = 256

// handler takes what the bonds report and posts it to the group's goroutine.
type handler struct{ g *Group }

// Accept compares what members must agree on, then has the peer's tickets and its
// standing looked at.
func (h handler) Accept(peer sm.PeerID, hello []byte, answer func(consensus.CloseCode)) {
	a, err := parseAnnouncement(hello)
	if err != nil {
		h.g.log.Warn("a peer's announcement is malformed", "peer", peer.Short(), "error", err)
		answer(consensus.CodeUndecodable)
		return
	}
	if a.Policy != h.g.cfg.Policy {
		h.g.log.Warn("a peer has another membership policy", "peer", peer.Short(),
			"ours", h.g.cfg.Policy.String(), "theirs", a.Policy.String())
		answer(consensus.CodePolicy)
		return
	}
	if a.Schema != h.g.cfg.Schema {
		h.g.log.Warn("a peer's machine knows other levels of its schema", "peer", peer.Short())
		answer(consensus.CodeSchema)
		return
	}
	h.g.cfg.Admission.Admit(peer, Handshake, func(code consensus.CloseCode, _ time.Time) {
		if code != consensus.CodeAccepted {
			answer(code)
			return
		}
		h.g.inbox.post(func() { answer(h.g.receive(peer, a.Tenure)) })
	})
}

// receive decides about a bond with a process by its standing. One that must wait is
// refused before it has a bond, and would enter an epoch; one that must stop is told
// so on its bond.
func (g *Group) receive(peer sm.PeerID, t Tenure) consensus.CloseCode {
	s := g.successions[peer]
	if s == nil || s.judge(t, g.missed(peer)) != waiting {
		return consensus.CodeAccepted
	}
	s.note(t, waiting)
	if g.refused.note(peer, consensus.CodeSuperseded) {
		g.log.Warn("refused a process: the one before it with the same identity may live", "peer", peer.Short(),
			"grace", g.cfg.Policy.Grace)
	}
	return consensus.CodeSuperseded
}

func (h handler) Up(peer sm.PeerID, hello []byte) {
	a, err := parseAnnouncement(hello)
	if err != nil {
		return // Accept has seen it
	}
	h.g.inbox.post(func() { h.g.bonded(peer, a) })
}

func (h handler) Message(peer sm.PeerID, payload []byte) {
	g := h.g
	if len(payload) == 0 {
		g.violated(peer)
		return
	}
	switch body := payload[1:]; payload[0] {
	case messageAnnounce:
		a, err := parseAnnouncement(body)
		if err != nil || a.Policy != g.cfg.Policy || a.Schema != g.cfg.Schema {
			g.violated(peer)
			return
		}
		g.inbox.post(func() { g.announcedAgain(peer, a) })
	case messageRemoved:
		if len(body) != 24 {
			g.violated(peer)
			return
		}
		epoch, replica := Epoch(body[:16]), binary.BigEndian.Uint64(body[16:])
		g.inbox.post(func() { g.removed(epoch, replica) })
	case messageSealed:
		if len(body) != 24 {
			g.violated(peer)
			return
		}
		epoch, commands := Epoch(body[:16]), sm.Index(binary.BigEndian.Uint64(body[16:]))
		g.inbox.post(func() { g.toldSealed(epoch, commands) })
	case messageSuperseded:
		if len(body) != 32 {
			g.violated(peer)
			return
		}
		incarnation, by := Incarnation(body[:16]), Process(body[16:])
		g.inbox.post(func() { g.superseded(incarnation, by) })
	case messageGoodbye:
		if len(body) < 40 || len(body) > 40+8*maxGoodbyeVoters || len(body)%8 != 0 {
			g.violated(peer)
			return
		}
		epoch, replica := Epoch(body[:16]), binary.BigEndian.Uint64(body[16:])
		change := sm.Cursor{Term: sm.Term(binary.BigEndian.Uint64(body[24:])), Index: sm.Index(binary.BigEndian.Uint64(body[32:]))}
		var voters []uint64
		for at := 40; at < len(body); at += 8 {
			voters = append(voters, binary.BigEndian.Uint64(body[at:]))
		}
		g.inbox.post(func() { g.saidGoodbye(peer, epoch, replica, change, voters) })
	}
}

func (h handler) Down(peer sm.PeerID, code consensus.CloseCode) {
	h.g.inbox.post(func() { h.g.unbonded(peer, code) })
}

func (h handler) Refused(peer sm.PeerID, code consensus.CloseCode, hello []byte) {
	news := h.g.refused.note(peer, code)
	if news {
		h.g.log.Info("no bond", "peer", peer.Short(), "code", code)
	}
	var said *Announcement
	if a, err := parseAnnouncement(hello); err == nil && hello != nil {
		said = &a
	}
	h.g.inbox.post(func() { h.g.opposed(peer, code, said) }) // the status may have changed as well
}

// violated ends the bond with a peer that does not keep to the protocol.
func (g *Group) violated(peer sm.PeerID) {
	g.inbox.post(func() { g.bonds.Close(peer, consensus.CodeProtocolViolation) })
}

// bonded takes a new bond into account.
func (g *Group) bonded(peer sm.PeerID, a Announcement) {
	g.log.Info("bonded", "peer", peer.Short(), "phase", a.Phase)
	s := g.succession(peer)
	standing := s.judge(a.Tenure, g.missed(peer))
	if s.note(a.Tenure, standing); standing != admitted {
		g.refuse(peer, a.Tenure, standing)
		return
	}
	delete(g.lastSeen, peer)
	delete(g.opponents, peer)
	g.timers.clear("ghost " + peer.String())
	g.refused.forget(peer)
	// The handshake carried what was true when it began.
	g.send(peer, g.announceMessage())
	g.announced(peer, a)
	g.review(peer) // the tickets may have changed since
}

// refuse ends the bond with a process that does not have the standing for it.
func (g *Group) refuse(peer sm.PeerID, t Tenure, standing standing) {
	if standing == superseded {
		g.log.Warn("refused a process: another one with its identity takes precedence", "peer", peer.Short())
		by := g.successions[peer].latest.Process
		g.send(peer, slices.Concat([]byte{messageSuperseded}, t.Incarnation[:], by[:]))
	}
	g.bonds.Close(peer, consensus.CodeSuperseded)
}

// succession returns what is remembered of the processes of a peer.
func (g *Group) succession(peer sm.PeerID) *succession {
	if g.successions[peer] == nil {
		g.successions[peer] = &succession{}
	}
	return g.successions[peer]
}

// missed reports whether a peer has had no bond for longer than the grace.
func (g *Group) missed(peer sm.PeerID) bool {
	seen, gone := g.lastSeen[peer]
	return gone && time.Since(seen) >= g.cfg.Policy.Grace
}

// superseded takes into account that a peer knows another process with this
// member's identity, which keeps running.
func (g *Group) superseded(incarnation Incarnation, by Process) {
	if incarnation != g.tenure.Incarnation || by == g.tenure.Process {
		return // this member has begun a later life since
	}
	g.log.Error("another process with this identity keeps running; this one stops")
	g.end(ErrSuperseded)
	g.cfg.Superseded()
}

// announcedAgain takes into account a message with what a bonded peer says about
// itself.
func (g *Group) announcedAgain(peer sm.PeerID, a Announcement) {
	s := g.succession(peer)
	if _, bonded := g.peers[peer]; !bonded || a.Process != s.latest.Process || s.judge(a.Tenure, false) != admitted {
		return // its bond is about to end
	}
	s.note(a.Tenure, admitted)
	g.announced(peer, a)
}

// announced takes into account what a bonded peer says about itself.
func (g *Group) announced(peer sm.PeerID, a Announcement) {
	old, known := g.peers[peer]
	g.peers[peer] = a
	if g.apart(a) && !(known && g.apart(old)) {
		g.log.Error("another epoch of this group holds commands as well; both go on apart until one is left",
			"peer", peer.Short(), "epoch", a.Epoch.String())
	}
	if _, over := g.ended[a.Epoch]; over {
		g.sendSealed(peer, a.Epoch)
	}
	if l := g.life; l != nil {
		g.meet(l, peer, a)
	}
	if l := g.life; l != nil && !g.hopeless(l) {
		if known && old.Epoch == l.epoch && old.replica(peer) != a.replica(peer) {
			g.cfg.Engine.Expel(l.shard, peer)
		}
		if a.Epoch == l.epoch {
			g.cfg.Engine.Admit(l.shard, peer, a.replica(peer))
		}
		g.reviewLeader(l)
		g.reconcile()
		return
	}
	g.seek()
}

// apart reports whether the announcer is in another epoch and neither that one
// nor this member's is empty, so that neither yields.
func (g *Group) apart(a Announcement) bool {
	l := g.life
	return l != nil && !a.Epoch.IsZero() && a.Epoch != l.epoch && a.Count > 0 && l.count() > 0
}

// unbonded takes the end of a bond into account.
func (g *Group) unbonded(peer sm.PeerID, code consensus.CloseCode) {
	g.log.Info("bond ended", "peer", peer.Short(), "code", code)
	a, bonded := g.peers[peer]
	if bonded { // otherwise it was refused, and says nothing about the one that is missed
		g.lastSeen[peer] = time.Now()
		g.forgetAbsent()
	}
	delete(g.peers, peer)
	if final(code) {
		g.refused.note(peer, code)
		if bonded {
			g.opposed(peer, code, &a)
		}
	}
	g.timers.clear("expiry " + peer.String())
	if l := g.life; l != nil {
		g.lose(l, peer)
		g.timers.set("ghost "+peer.String(), g.cfg.Policy.Grace, func() {}) // the status changes
	}
	if l := g.life; l != nil && !g.hopeless(l) {
		g.cfg.Engine.Expel(l.shard, peer)
		g.reviewLeader(l)
		g.reconcile()
		return
	}
	g.seek()
}

// announcement returns what this member says about itself.
func (g *Group) announcement() Announcement {
	a := Announcement{
		Role: g.cfg.Role, Tenure: g.tenure, Durable: g.Durable(), Count: g.count(),
		Policy: g.cfg.Policy, Schema: g.cfg.Schema, Level: g.cfg.Level, Token: max(g.tokens, g.cfg.TokenFloor),
	}
	if l := g.life; l != nil {
		a.Epoch, a.Opened, a.Poisoned = l.epoch, l.opened, l.poisoned != nil
		a.Leads, a.Votes, a.Change = l.leads(), l.votes(), l.members.ChangeID
		a.Phase = CatchingUp
		if l.caughtUp {
			a.Phase = CaughtUp
		}
	}
	if g.leaving {
		a.Phase = Leaving
	}
	return a
}

// announce tells every bonded peer what changed about this member.
func (g *Group) announce() {
	a := g.announcement()
	// Counts are told from the first command on, not at each.
	if old := *g.hello.Load(); a.Count > 0 && old.Count > 0 {
		if old.Count = a.Count; old == a {
			return
		}
	}
	g.hello.Store(&a)
	message := g.announceMessage()
	for peer := range g.peers {
		g.send(peer, message)
	}
}

func (g *Group) announceMessage() []byte {
	return g.hello.Load().append([]byte{messageAnnounce})
}

func (g *Group) send(peer sm.PeerID, message []byte) {
	if !g.bonds.Send(peer, message) {
		g.log.Debug("a message found no bond", "peer", peer.Short())
	}
}

func (g *Group) sendRemoved(peer sm.PeerID, epoch Epoch, replica uint64) {
	message := append([]byte{messageRemoved}, epoch[:]...)
	g.send(peer, binary.BigEndian.AppendUint64(message, replica))
}

func (g *Group) sendSealed(peer sm.PeerID, epoch Epoch) {
	message := append([]byte{messageSealed}, epoch[:]...)
	g.send(peer, binary.BigEndian.AppendUint64(message, uint64(g.ended[epoch])))
}
