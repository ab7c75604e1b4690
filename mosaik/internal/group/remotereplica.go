package group

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/sm"
)

// remoteReplica is what this member knows of another replica of its epoch from their bonds. The
// proofs that its process has ended are kept until another bond refutes them.
type remoteReplica struct {
	peer    sm.PeerID
	process ProcessInfo
	durable bool     // its log outlives its process, so it may return
	addrs   []string // all addresses that it advertised
	shared  bool     // another peer advertised one of these as well

	goodbye    bool      // it sent goodbye: it has ended for good
	change     sm.Cursor // with goodbye: the last membership change in its log
	voters     []uint64  // with goodbye: the replicas that vote by its log, or may
	vacant     bool      // no bond, and each address refuses or answers as another peer
	superseded bool      // its peer has a later incarnation, and no address answers as this one

	probing bool // a worker dials its addresses
	tries   int  // probes that proved nothing
}

// The pause between two probes of a replica doubles with each probe that proves nothing.
const (
	firstProbePause = 100 * time.Millisecond
	lastProbePause  = 5 * time.Second
)

// noteRemote records the announcement of a bonded peer of the epoch.
func (g *Group) noteRemote(l *localReplica, peer sm.PeerID, a Announcement) {
	if a.Epoch != l.epoch {
		return
	}
	replica := a.replica(peer)
	m := l.remotes[replica]
	if m == nil {
		if l.remotes == nil {
			l.remotes = map[uint64]*remoteReplica{}
		}
		m = &remoteReplica{peer: peer}
		l.remotes[replica] = m
	}
	// The replica is alive, which refutes all proofs except its own goodbye.
	*m = remoteReplica{
		peer: peer, process: a.ProcessInfo, durable: a.Durable, addrs: m.addrs, shared: m.shared,
		goodbye: m.goodbye, change: m.change, voters: m.voters, probing: m.probing,
	}
	if len(m.addrs) == 0 {
		m.addrs = g.cfg.Bonds.AdvertisedAddrs(peer).Addrs
	}
}

// noteBondEnd records the addresses of a peer whose bond has ended.
func (g *Group) noteBondEnd(l *localReplica, peer sm.PeerID) {
	where := g.cfg.Bonds.AdvertisedAddrs(peer)
	for _, m := range l.remotes {
		if m.peer != peer {
			continue
		}
		for _, addr := range where.Addrs {
			if !slices.Contains(m.addrs, addr) {
				m.addrs = append(slices.Clip(m.addrs), addr)
			}
		}
		m.shared = m.shared || where.Shared
	}
}

// pruneRemotes removes the replicas that are neither members nor bonded, which bounds the map.
func (g *Group) pruneRemotes(l *localReplica) {
	for replica, m := range l.remotes {
		a, bonded := g.peers[m.peer]
		if !has(l.members, replica) && !(bonded && a.replica(m.peer) == replica) && !m.probing {
			delete(l.remotes, replica)
		}
	}
}

// gone returns the replicas that provably do not run, with the reason.
func (g *Group) gone(l *localReplica) map[uint64]string {
	var gone map[uint64]string
	for replica, m := range l.remotes {
		_, bonded := g.peers[m.peer]
		why := ""
		switch {
		case m.goodbye:
			why = "its process has ended"
		case m.vacant && !bonded:
			why = "its addresses refuse connections or answer as another peer"
		case m.superseded:
			why = "its peer has a later incarnation"
		}
		if why == "" {
			continue
		}
		if gone == nil {
			gone = map[uint64]string{}
		}
		gone[replica] = why
	}
	return gone
}

// probeVoters looks for proof that voters without a bond have ended. The leader needs it to
// replace them, and any member needs it when there is no quorum.
func (g *Group) probeVoters(l *localReplica) {
	if g.leaving || !l.leads() && !g.stalled {
		return
	}
	for replica, peer := range l.members.Voters {
		m := l.remotes[replica]
		if m == nil || replica == l.id || m.goodbye || m.probing {
			continue
		}
		a, bonded := g.peers[peer]
		switch {
		case !bonded && m.durable, !bonded && m.vacant, bonded && m.superseded:
		case bonded && a.Incarnation.Compare(m.process.Incarnation) <= 0:
		case bonded && a.Process == m.process.Process:
			m.superseded = true // the process itself announces a later incarnation
		case bonded || !m.shared && len(m.addrs) > 0:
			g.probe(l, replica, m)
		}
	}
}

// probe dials the addresses of a replica once, in a worker.
func (g *Group) probe(l *localReplica, replica uint64, m *remoteReplica) {
	if seen, missing := g.lastSeen[m.peer]; missing && m.tries > 0 && time.Since(seen) > g.cfg.Policy.Grace {
		return // the grace has passed: the voter is replaced without proof
	}
	m.probing = true
	peer, addrs := m.peer, m.addrs // the group's goroutine owns m
	_, bonded := g.peers[m.peer]
	g.work(func() {
		answers := g.cfg.Bonds.Probe(l.ctx, peer, addrs)
		g.inbox.post(func() {
			if g.local != l || l.remotes[replica] != m {
				return
			}
			m.probing = false
			if _, still := g.peers[m.peer]; still != bonded {
				g.probeVoters(l)
				return
			}
			g.probeDone(l, replica, m, bonded, answers)
		})
	})
}

// probeDone handles the result of a probe.
func (g *Group) probeDone(l *localReplica, replica uint64, m *remoteReplica, bonded bool, answers []bond.Answer) {
	if bonded {
		m.superseded = g.answersAsLater(m, answers)
	} else {
		m.vacant = allVacant(answers)
	}
	if m.superseded || m.vacant {
		g.log.Info("voter has ended", "peer", m.peer.Short(), "superseded", m.superseded, "addrs", m.addrs)
		g.reviewQuorum(l)
		if !g.continueAlone(l) {
			g.reconcile()
		}
		return
	}
	pause := min(firstProbePause<<min(m.tries, 10), lastProbePause)
	m.tries++
	g.timers.set("probe "+m.peer.String(), pause, func() {
		if g.local == l && l.remotes[replica] == m {
			g.probeVoters(l)
		}
	})
}

// allVacant reports whether there are answers and all show that the peer is not there.
func allVacant(answers []bond.Answer) bool {
	vacant := func(a bond.Answer) bool { return a == bond.Refused || a == bond.AnotherPeer }
	return len(answers) > 0 && !slices.ContainsFunc(answers, func(a bond.Answer) bool { return !vacant(a) })
}

// answersAsLater reports whether no address of an earlier process answers as its peer, except
// for addresses that the later process advertises.
func (g *Group) answersAsLater(m *remoteReplica, answers []bond.Answer) bool {
	later := g.cfg.Bonds.AdvertisedAddrs(m.peer).Addrs
	for i, answer := range answers {
		if answer == bond.SamePeer && !slices.Contains(later, m.addrs[i]) {
			return false
		}
	}
	return true
}

// sendGoodbye sends goodbye to the bonded peers: this member's replica has ended for good. It is
// called when the replica has stopped and before its log is cleared.
func (g *Group) sendGoodbye(l *localReplica) {
	held, ok := l.held()
	if !ok {
		return
	}
	message := append([]byte{messageGoodbye}, l.epoch[:]...)
	message = binary.BigEndian.AppendUint64(message, l.id)
	message = binary.BigEndian.AppendUint64(message, uint64(held.LastChange.Term))
	message = binary.BigEndian.AppendUint64(message, uint64(held.LastChange.Index))
	for _, replica := range slices.Concat(sortedReplicas(held.Voters), held.Promoted) {
		message = binary.BigEndian.AppendUint64(message, replica)
	}
	for peer := range g.peers {
		g.send(peer, message)
	}
}

// receiveGoodbye handles the goodbye of a peer.
func (g *Group) receiveGoodbye(peer sm.PeerID, e Epoch, replica uint64, change sm.Cursor, voters []uint64) {
	l := g.local
	if l == nil || !l.noteGoodbye(peer, e, replica, change, voters) {
		return
	}
	g.reviewQuorum(l)
	if !g.continueAlone(l) {
		g.reconcile()
	}
}

// noteGoodbye records a goodbye. It returns false if the goodbye concerns another epoch or
// names another peer's replica.
func (l *localReplica) noteGoodbye(peer sm.PeerID, e Epoch, replica uint64, change sm.Cursor, voters []uint64) bool {
	m := l.remotes[replica]
	if l.epoch != e || m == nil || m.peer != peer {
		return false
	}
	m.goodbye, m.change, m.voters = true, change, voters
	return true
}
