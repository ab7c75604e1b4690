package group

import (
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Purpose is the purpose of an examination by an [Admission].
type Purpose int

// The purposes of examinations.
const (
	Handshake Purpose = iota // to accept or refuse a bond
	Review                   // to keep or end a bond
	Purposes                 // the number of purposes
)

// Admission examines the tickets of peers that proved the key. The group closes it. It is safe
// for concurrent use.
type Admission interface {
	// Admit examines the peer's present tickets. It reports whether the peer may bond and
	// until when, the zero time for no limit. Admit returns at once. It calls tell before it
	// returns or later, from any goroutine. tell returns at once and must not call Admit. If
	// Admit is called again for the same peer and purpose before it has called tell, it may
	// drop the earlier call.
	Admit(peer sm.PeerID, purpose Purpose, tell func(code consensus.CloseCode, expiry time.Time))
	// Close ends the examinations and waits for them, except for validators that do not
	// return.
	Close()
}

// maxRechecks is the limit of peers that wait for a recheck one by one.
const maxRechecks = 1024

// rechecks are the peers whose tickets must be examined again. Above maxRechecks it stands for all
// peers. Its lock is a leaf of the lock order.
type rechecks struct {
	mu    sync.Mutex
	peers map[sm.PeerID]bool
	all   bool
}

func (r *rechecks) add(peer sm.PeerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers == nil {
		r.peers = map[sm.PeerID]bool{}
	}
	if r.peers[peer] = true; len(r.peers) > maxRechecks {
		r.peers, r.all = nil, true
	}
}

func (r *rechecks) addAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peers, r.all = nil, true
}

func (r *rechecks) take() (peers map[sm.PeerID]bool, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	peers, all = r.peers, r.all
	r.peers, r.all = nil, false
	return peers, all
}

// Recheck has the peer's tickets examined again, because they may have changed. It does not block.
func (g *Group) Recheck(peer sm.PeerID) {
	g.rechecks.add(peer)
	g.inbox.postLatest(keyRecheck, g.recheck)
}

// RecheckAll has the tickets of all bonded peers examined again, because the validators'
// decisions may have changed. It does not block.
func (g *Group) RecheckAll() {
	g.rechecks.addAll()
	g.inbox.postLatest(keyRecheck, g.recheck)
}

// recheck makes the rechecks that are requested.
func (g *Group) recheck() {
	peers, all := g.rechecks.take()
	for peer := range g.peers {
		if all || peers[peer] {
			g.reviewTickets(peer)
		}
	}
	for peer := range g.blockers {
		if all || peers[peer] {
			g.findEpoch() // the peer's entry may no longer list the group
			return
		}
	}
}

// reviewTickets has a bonded peer's tickets examined.
func (g *Group) reviewTickets(peer sm.PeerID) {
	g.cfg.Admission.Admit(peer, Review, func(code consensus.CloseCode, expiry time.Time) {
		g.inbox.postLatest(verdictKey{peer, "bond"}, func() { g.ticketsReviewed(peer, code, expiry) })
	})
}

// ticketsReviewed handles the verdict on a bonded peer's tickets: it ends the bond, or has the
// tickets examined again when they expire.
func (g *Group) ticketsReviewed(peer sm.PeerID, code consensus.CloseCode, expiry time.Time) {
	if _, bonded := g.peers[peer]; !bonded {
		return
	}
	if code != consensus.CodeAccepted {
		g.bonds.Close(peer, code)
		return
	}
	timer := "expiry " + peer.String()
	g.timers.clear(timer)
	if !expiry.IsZero() {
		g.timers.set(timer, time.Until(expiry), func() { g.reviewTickets(peer) })
	}
}
