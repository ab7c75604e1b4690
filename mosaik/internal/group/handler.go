package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Messages between bonded members: one kind byte, then
//
//	1 announcement  the sender's announcement, in the layout of announcement.go
//	2 removed       16 bytes epoch, 8 bytes replica id, big-endian: the receiver's
//	                replica was removed from the epoch
//	3 sealed        16 bytes epoch, 8 bytes count, big-endian: the epoch is over, and
//	                its commands up to this many are given up
//	4 superseded    16 bytes incarnation, 16 bytes process: the process with the
//	                receiver's identity that keeps running; the receiver's
//	                incarnation must stop
//	6 goodbye       16 bytes epoch, 8 bytes replica id, 8 bytes term, 8 bytes index,
//	                8 bytes for each of up to 256 replica ids, big-endian: the sender's
//	                replica has ended and its log is cleared; the term and index of the
//	                last membership change in its log, and the replicas that may vote
//	                by that log
//
// A message of another kind comes from a newer program and is ignored.
const (
	messageAnnounce   = 1
	messageRemoved    = 2
	messageSealed     = 3
	messageSuperseded = 4
	messageGoodbye    = 6
)

// maxGoodbyeVoters bounds the replicas that a goodbye names.
const maxGoodbyeVoters = 256

// bondHandler receives the events of the bonds, in the group's goroutine.
type bondHandler struct{ g *Group }

// Accept implements [bond.Handler]. It compares what members must agree on. Then it has the
// peer's tickets examined, and checks which process the peer is.
func (h bondHandler) Accept(peer sm.PeerID, hello []byte, answer func(consensus.CloseCode)) {
	a, err := parseAnnouncement(hello)
	if err != nil {
		h.g.log.Warn("announcement malformed: handshake refused", "peer", peer.Short(), "error", err)
		answer(consensus.CodeUndecodable)
		return
	}
	if a.Policy != h.g.cfg.Policy {
		h.g.log.Warn("membership policies differ: handshake refused", "peer", peer.Short(),
			"ours", h.g.cfg.Policy.String(), "theirs", a.Policy.String())
		answer(consensus.CodePolicy)
		return
	}
	if a.Schema != h.g.cfg.Schema {
		h.g.log.Warn("schemas differ: handshake refused", "peer", peer.Short())
		answer(consensus.CodeSchema)
		return
	}
	h.g.cfg.Admission.Admit(peer, Handshake, func(code consensus.CloseCode, _ time.Time) {
		// The admission may hold its lock, under which package bond must not be called.
		h.g.inbox.postLatest(verdictKey{peer, "handshake"}, func() {
			if code == consensus.CodeAccepted {
				code = h.g.handshakeCode(peer, a.ProcessInfo)
			}
			answer(code)
		})
	})
}

// handshakeCode returns the answer to a handshake with a process of a peer. A process that must
// wait is refused here, because with a bond it could enter an epoch. A process that must stop gets
// a bond first, on which it receives a superseded message.
func (g *Group) handshakeCode(peer sm.PeerID, t ProcessInfo) consensus.CloseCode {
	s := g.successions[peer]
	if s == nil || s.judge(t, g.missingForGrace(peer)) != waiting {
		return consensus.CodeAccepted
	}
	s.note(t, waiting)
	if g.refused.note(peer, consensus.CodeSuperseded) {
		g.log.Warn("process refused: the previous process with its identity may be alive", "peer", peer.Short(),
			"grace", g.cfg.Policy.Grace)
	}
	return consensus.CodeSuperseded
}

// Up implements [bond.Handler].
func (h bondHandler) Up(peer sm.PeerID, hello []byte) {
	a, err := parseAnnouncement(hello)
	if err != nil {
		return // impossible: Accept has refused it
	}
	h.g.bondUp(peer, a)
}

// Message implements [bond.Handler].
func (h bondHandler) Message(peer sm.PeerID, payload []byte) {
	handle, err := h.g.parseMessage(payload)
	switch {
	case err != nil:
		h.g.log.Warn("message malformed: bond ended", "peer", peer.Short(), "error", err)
		h.g.bonds.Close(peer, consensus.CodeProtocolViolation)
	case handle != nil:
		handle(peer)
	}
}

var errMessage = errors.New("malformed message")

// parseMessage decodes a message from hostile bytes. It returns the function that handles it, nil
// for a message of an unknown kind.
func (g *Group) parseMessage(payload []byte) (handle func(peer sm.PeerID), err error) {
	if len(payload) == 0 {
		return nil, fmt.Errorf("%w: it is empty", errMessage)
	}
	be, kind, body := binary.BigEndian, payload[0], payload[1:]
	sizes := map[byte]int{messageRemoved: 24, messageSealed: 24, messageSuperseded: 32}
	if want, fixed := sizes[kind]; fixed && len(body) != want {
		return nil, fmt.Errorf("%w: kind %d has %d bytes; want %d", errMessage, kind, len(body), want)
	}
	switch kind {
	case messageAnnounce:
		a, err := parseAnnouncement(body)
		if err != nil {
			return nil, err
		}
		if a.Policy != g.cfg.Policy || a.Schema != g.cfg.Schema {
			return nil, fmt.Errorf("%w: policy or schema changed", errMessage)
		}
		return func(peer sm.PeerID) { g.receiveAnnouncement(peer, a) }, nil
	case messageRemoved:
		epoch, replica := Epoch(body[:16]), be.Uint64(body[16:])
		return func(sm.PeerID) { g.replicaRemoved(epoch, replica) }, nil
	case messageSealed:
		epoch, commands := Epoch(body[:16]), sm.Index(be.Uint64(body[16:]))
		return func(sm.PeerID) { g.receiveSealed(epoch, commands) }, nil
	case messageSuperseded:
		incarnation, by := Incarnation(body[:16]), Process(body[16:])
		return func(sm.PeerID) { g.receiveSuperseded(incarnation, by) }, nil
	case messageGoodbye:
		if len(body) < 40 || len(body) > 40+8*maxGoodbyeVoters || len(body)%8 != 0 {
			return nil, fmt.Errorf("%w: a goodbye of %d bytes; want 40 and 8 for each of up to %d voters", errMessage, len(body), maxGoodbyeVoters)
		}
		epoch, replica := Epoch(body[:16]), be.Uint64(body[16:])
		change := sm.Cursor{Term: sm.Term(be.Uint64(body[24:])), Index: sm.Index(be.Uint64(body[32:]))}
		var voters []uint64
		for at := 40; at < len(body); at += 8 {
			voters = append(voters, be.Uint64(body[at:]))
		}
		return func(peer sm.PeerID) { g.receiveGoodbye(peer, epoch, replica, change, voters) }, nil
	}
	return nil, nil
}

// Down implements [bond.Handler].
func (h bondHandler) Down(peer sm.PeerID, code consensus.CloseCode) {
	h.g.bondDown(peer, code)
}

// Refused implements [bond.Handler].
func (h bondHandler) Refused(peer sm.PeerID, code consensus.CloseCode, hello []byte) {
	news := h.g.refused.note(peer, code)
	if news {
		h.g.log.Info("no bond", "peer", peer.Short(), "code", code)
	}
	var said *Announcement
	if a, err := parseAnnouncement(hello); err == nil && hello != nil {
		said = &a
	}
	h.g.bondRefused(peer, code, said)
}

// bondUp handles a new bond.
func (g *Group) bondUp(peer sm.PeerID, a Announcement) {
	g.log.Info("bonded", "peer", peer.Short(), "phase", a.Phase)
	s := g.succession(peer)
	standing := s.judge(a.ProcessInfo, g.missingForGrace(peer))
	if s.note(a.ProcessInfo, standing); standing != admitted {
		g.refuseProcess(peer, a.ProcessInfo, standing)
		return
	}
	delete(g.lastSeen, peer)
	delete(g.blockers, peer)
	g.timers.clear("ghost " + peer.String())
	g.refused.forget(peer)
	// The handshake carried an announcement that may be outdated by now.
	g.send(peer, g.announceMessage())
	g.noteAnnouncement(peer, a)
	g.reviewTickets(peer) // the tickets may have changed since the handshake
}

// refuseProcess ends the bond with a process whose standing does not allow one.
func (g *Group) refuseProcess(peer sm.PeerID, t ProcessInfo, standing standing) {
	if standing == superseded {
		g.log.Warn("process refused: another process with its identity takes precedence", "peer", peer.Short())
		by := g.successions[peer].latest.Process
		g.send(peer, slices.Concat([]byte{messageSuperseded}, t.Incarnation[:], by[:]))
	}
	g.bonds.Close(peer, consensus.CodeSuperseded)
}

// succession returns the record of the processes of a peer, which it makes if needed.
func (g *Group) succession(peer sm.PeerID) *succession {
	if g.successions[peer] == nil {
		g.successions[peer] = &succession{}
	}
	return g.successions[peer]
}

// missingForGrace reports whether a peer has had no bond for longer than the grace.
func (g *Group) missingForGrace(peer sm.PeerID) bool {
	seen, gone := g.lastSeen[peer]
	return gone && time.Since(seen) >= g.cfg.Policy.Grace
}

// receiveSuperseded handles the message of a peer that another process with this member's identity
// takes precedence.
func (g *Group) receiveSuperseded(incarnation Incarnation, by Process) {
	if incarnation != g.process.Incarnation || by == g.process.Process {
		return // this member has taken a later incarnation since
	}
	g.log.Error("superseded: another process with this identity keeps running")
	g.end(ErrSuperseded)
	g.cfg.Superseded()
}

// receiveAnnouncement handles an announcement that came as a message.
func (g *Group) receiveAnnouncement(peer sm.PeerID, a Announcement) {
	s := g.succession(peer)
	if _, bonded := g.peers[peer]; !bonded || a.Process != s.latest.Process || s.judge(a.ProcessInfo, false) != admitted {
		return // its bond is about to end
	}
	s.note(a.ProcessInfo, admitted)
	g.noteAnnouncement(peer, a)
}

// noteAnnouncement handles an announcement of a bonded peer.
func (g *Group) noteAnnouncement(peer sm.PeerID, a Announcement) {
	old, known := g.peers[peer]
	g.peers[peer] = a
	if g.diverged(a) && !(known && g.diverged(old)) {
		g.log.Error("epochs diverged: another epoch of this group holds commands as well; yield one of them",
			"peer", peer.Short(), "epoch", a.Epoch.String())
	}
	if _, over := g.endedEpochs[a.Epoch]; over {
		g.sendSealed(peer, a.Epoch)
	}
	if l := g.local; l != nil {
		g.noteRemote(l, peer, a)
	}
	if l := g.local; l != nil && !g.reviewEpoch(l) {
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
	g.findEpoch()
}

// diverged reports whether the announcer's epoch and this member's are diverged: they are
// different and both hold commands, so that neither yields by itself.
func (g *Group) diverged(a Announcement) bool {
	l := g.local
	return l != nil && !a.Epoch.IsZero() && a.Epoch != l.epoch && a.AppliedIndex > 0 && l.AppliedIndex() > 0
}

// bondDown handles the end of a bond.
func (g *Group) bondDown(peer sm.PeerID, code consensus.CloseCode) {
	g.log.Info("bond ended", "peer", peer.Short(), "code", code)
	a, bonded := g.peers[peer]
	if bonded { // otherwise the process was refused, which does not concern the admitted one
		g.lastSeen[peer] = time.Now()
		g.forgetAbsent()
	}
	delete(g.peers, peer)
	if isRefusal(code) {
		g.refused.note(peer, code)
		if bonded {
			g.bondRefused(peer, code, &a)
		}
	}
	g.timers.clear("expiry " + peer.String())
	if l := g.local; l != nil {
		g.noteBondEnd(l, peer)
		g.timers.set("ghost "+peer.String(), g.cfg.Policy.Grace, func() {}) // publishes the ghost
	}
	if l := g.local; l != nil && !g.reviewEpoch(l) {
		g.cfg.Engine.Expel(l.shard, peer)
		g.reviewLeader(l)
		g.reconcile()
		return
	}
	g.findEpoch()
}

// announcement returns what this member announces now.
func (g *Group) announcement() Announcement {
	a := Announcement{
		Role: g.cfg.Role, ProcessInfo: g.process, Durable: g.Durable(), AppliedIndex: g.localAppliedIndex(),
		Policy: g.cfg.Policy, Schema: g.cfg.Schema, Level: g.cfg.Level, Token: max(g.knownToken, g.cfg.TokenFloor),
	}
	if l := g.local; l != nil {
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

// announce sends this member's announcement to all bonded peers if it has changed.
func (g *Group) announce() {
	a := g.announcement()
	// Peers need to know whether there are commands, not how many.
	if old := g.hello; a.AppliedIndex > 0 && old.AppliedIndex > 0 {
		if old.AppliedIndex = a.AppliedIndex; old == a {
			return
		}
	}
	g.hello = a
	message := g.announceMessage()
	for peer := range g.peers {
		g.send(peer, message)
	}
}

func (g *Group) announceMessage() []byte {
	return g.hello.append([]byte{messageAnnounce})
}

func (g *Group) send(peer sm.PeerID, message []byte) {
	if !g.bonds.Send(peer, message) {
		g.log.Debug("message not sent: no bond", "peer", peer.Short())
	}
}

func (g *Group) sendRemoved(peer sm.PeerID, epoch Epoch, replica uint64) {
	message := append([]byte{messageRemoved}, epoch[:]...)
	g.send(peer, binary.BigEndian.AppendUint64(message, replica))
}

func (g *Group) sendSealed(peer sm.PeerID, epoch Epoch) {
	message := append([]byte{messageSealed}, epoch[:]...)
	g.send(peer, binary.BigEndian.AppendUint64(message, uint64(g.endedEpochs[epoch])))
}
