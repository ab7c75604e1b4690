package group

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Purpose is what a verdict of an [Admission] is for.
type Purpose int

// The purposes.
const (
	Handshake Purpose = iota // of a bond
	Review                   // of a bond that is up
	Purposes                 // how many there are
)

// Admission decides about peers that proved the key. The group closes it. It is
// safe for concurrent use.
type Admission interface {
	// Admit looks at the peer's tickets as they are now and tells whether it may
	// bond, and until when; the zero time means for good. It returns at once and
	// tells later, from any goroutine, or before it returns. tell must return at
	// once and not call Admit. Who asks again about the peer, for the same
	// purpose, before tell was called may take its place.
	Admit(peer sm.PeerID, purpose Purpose, tell func(code consensus.CloseCode, expiry time.Time))
	// Close ends the examinations and waits for them, but not for validators
	// that hang.
	Close()
}

// Recheck looks at the peer's tickets again, because they may have changed.
func (g *Group) Recheck(peer sm.PeerID) {
	g.inbox.post(func() {
		if _, bonded := g.peers[peer]; bonded {
			g.review(peer)
		}
		if _, opposes := g.opponents[peer]; opposes {
			g.seek() // it may have left the group
		}
	})
}

// RecheckAll looks at everybody's tickets again, because what decides about them
// has changed.
func (g *Group) RecheckAll() {
	g.inbox.post(func() {
		for peer := range g.peers {
			g.review(peer)
		}
	})
}

// review looks at a bonded peer's tickets.
func (g *Group) review(peer sm.PeerID) {
	g.cfg.Admission.Admit(peer, Review, func(code consensus.CloseCode, expiry time.Time) {
		g.inbox.post(func() { g.reviewed(peer, code, expiry) })
	})
}

// reviewed ends the bond with a peer that was refused, and has the tickets of
// another looked at again when they expire.
func (g *Group) reviewed(peer sm.PeerID, code consensus.CloseCode, expiry time.Time) {
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
		g.timers.set(timer, time.Until(expiry), func() { g.review(peer) })
	}
}
