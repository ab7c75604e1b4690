package group

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/sm"
)

// met is what this member knows of another replica of its epoch, from the bonds
// that it had with it. What proves that its process has ended is kept until
// another bond shows otherwise.
type met struct {
	peer    sm.PeerID
	tenure  Tenure
	durable bool
	addrs   []string // all that it advertised
	shared  bool     // one of these is another peer's as well

	goodbye    bool      // it ended in order, for good
	change     sm.Cursor // with goodbye: the last membership change in its log
	voters     []uint64  // with goodbye: the replicas that vote by its log, or may
	vacant     bool      // no bond, and all its addresses are refused or another peer's
	superseded bool      // its peer has a later incarnation, and no address answers as this one

	probing bool
	tries   int // probes that proved nothing
}

// The pause between two probes of a replica grows with each that proves nothing.
const (
	firstProbePause = 100 * time.Millisecond
	lastProbePause  = 5 * time.Second
)

// meet notes what a bonded peer of the epoch says about itself.
func (g *Group) meet(l *life, peer sm.PeerID, a Announcement) {
	if a.Epoch != l.epoch {
		return
	}
	replica := a.replica(peer)
	m := l.met[replica]
	if m == nil {
		if l.met == nil {
			l.met = map[uint64]*met{}
		}
		m = &met{peer: peer}
		l.met[replica] = m
	}
	// It lives, so that whatever seemed to prove its end was wrong, but for its word.
	*m = met{
		peer: peer, tenure: a.Tenure, durable: a.Durable, addrs: m.addrs, shared: m.shared,
		goodbye: m.goodbye, change: m.change, voters: m.voters, probing: m.probing,
	}
	if len(m.addrs) == 0 {
		m.addrs = g.cfg.Bonds.AdvertisedAddrs(peer).Addrs
	}
}

// lose notes that the bond with a peer has ended.
func (g *Group) lose(l *life, peer sm.PeerID) {
	where := g.cfg.Bonds.AdvertisedAddrs(peer)
	for _, m := range l.met {
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

// forgetMet drops the replicas that are no members and have no bond, which bounds
// what is kept.
func (g *Group) forgetMet(l *life) {
	for replica, m := range l.met {
		a, bonded := g.peers[m.peer]
		if !has(l.members, replica) && !(bonded && a.replica(m.peer) == replica) && !m.probing {
			delete(l.met, replica)
		}
	}
}

// gone returns the members' replicas that provably run no longer, and why.
func (g *Group) gone(l *life) map[uint64]string {
	var gone map[uint64]string
	for replica, m := range l.met {
		_, bonded := g.peers[m.peer]
		why := ""
		switch {
		case m.goodbye:
			why = "its process has ended"
		case m.vacant && !bonded:
			why = "nobody, or another peer, is at its addresses"
		case m.superseded:
			why = "its peer has begun again"
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

// investigate looks for proof that voters have ended which have no bond: by the
// leader, who may replace them then, and where there is no quorum.
func (g *Group) investigate(l *life) {
	if g.leaving || !l.leads() && !g.stalled {
		return
	}
	for replica, peer := range l.members.Voters {
		m := l.met[replica]
		if m == nil || replica == l.id || m.goodbye || m.probing {
			continue
		}
		a, bonded := g.peers[peer]
		switch {
		case !bonded && m.durable, !bonded && m.vacant, bonded && m.superseded:
		case bonded && a.Incarnation.Compare(m.tenure.Incarnation) <= 0:
		case bonded && a.Process == m.tenure.Process:
			m.superseded = true // the process itself says so
		case bonded || !m.shared && len(m.addrs) > 0:
			g.probe(l, replica, m)
		}
	}
}

// probe dials the addresses of a replica once, beside the loop.
func (g *Group) probe(l *life, replica uint64, m *met) {
	if seen, missing := g.lastSeen[m.peer]; missing && m.tries > 0 && time.Since(seen) > g.cfg.Policy.Grace {
		return // what a proof is good for happens by itself now
	}
	m.probing = true
	peer, addrs := m.peer, m.addrs // m is the loop's
	_, bonded := g.peers[m.peer]
	g.work(func() {
		answers := g.cfg.Bonds.Probe(l.ctx, peer, addrs)
		g.inbox.post(func() {
			if g.life != l || l.met[replica] != m {
				return
			}
			m.probing = false
			if _, still := g.peers[m.peer]; still != bonded {
				g.investigate(l)
				return
			}
			g.probed(l, replica, m, bonded, answers)
		})
	})
}

// probed takes what a probe showed into account.
func (g *Group) probed(l *life, replica uint64, m *met, bonded bool, answers []bond.Answer) {
	if bonded {
		m.superseded = g.answersAsLater(m, answers)
	} else {
		m.vacant = allVacant(answers)
	}
	if m.superseded || m.vacant {
		g.log.Info("a voter has ended", "peer", m.peer.Short(), "superseded", m.superseded, "addrs", m.addrs)
		g.reviewQuorum(l)
		if !g.continueAlone(l) {
			g.reconcile()
		}
		return
	}
	pause := min(firstProbePause<<min(m.tries, 10), lastProbePause)
	m.tries++
	g.timers.set("probe "+m.peer.String(), pause, func() {
		if g.life == l && l.met[replica] == m {
			g.investigate(l)
		}
	})
}

// allVacant reports whether the answers say of every address that the peer is not
// there.
func allVacant(answers []bond.Answer) bool {
	vacant := func(a bond.Answer) bool { return a == bond.Refused || a == bond.AnotherPeer }
	return len(answers) > 0 && !slices.ContainsFunc(answers, func(a bond.Answer) bool { return !vacant(a) })
}

// answersAsLater reports whether no address of an earlier process answers as its
// peer, but those that the later one advertises.
func (g *Group) answersAsLater(m *met, answers []bond.Answer) bool {
	later := g.cfg.Bonds.AdvertisedAddrs(m.peer).Addrs
	for i, answer := range answers {
		if answer == bond.SamePeer && !slices.Contains(later, m.addrs[i]) {
			return false
		}
	}
	return true
}

// sayGoodbye tells the bonded peers that this member's replica has ended for good,
// with the last membership change that its log holds, and the voters. It is called when the
// replica has stopped and its log is about to be forgotten.
func (g *Group) sayGoodbye(l *life) {
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

// saidGoodbye takes into account that a peer's replica has ended for good.
func (g *Group) saidGoodbye(peer sm.PeerID, e Epoch, replica uint64, change sm.Cursor, voters []uint64) {
	l := g.life
	if l == nil || !l.noteGoodbye(peer, e, replica, change, voters) {
		return
	}
	g.reviewQuorum(l)
	if !g.continueAlone(l) {
		g.reconcile()
	}
}

// noteGoodbye notes a goodbye, and reports false for one that does not concern the
// life, or speaks for another peer's replica.
func (l *life) noteGoodbye(peer sm.PeerID, e Epoch, replica uint64, change sm.Cursor, voters []uint64) bool {
	m := l.met[replica]
	if l.epoch != e || m == nil || m.peer != peer {
		return false
	}
	m.goodbye, m.change, m.voters = true, change, voters
	return true
}
