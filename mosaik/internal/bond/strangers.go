package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// What a peer may have of us before it has proved a key. An entry can be made up
// by anybody, so knowing one is no more than a name for the peer.
const (
	// maxStrangers bounds the connected peers of which no entry is known.
	maxStrangers = 256
	// maxSetupFrame bounds the payload of a frame on a connection that is not
	// selected, in bytes.
	maxSetupFrame = 1024
	// maxStrangerFrame bounds the payload of a frame on a connection without a
	// bond, in bytes: the largest entry fits in.
	maxStrangerFrame = 4 + discovery.MaxSize
)

// Admit decides about a connection before any of its frames is read. Raft and
// snapshots are for peers whose proof of some group's key was right on their
// bond connection; the others are 401, as is one stranger too many.
func (m *Manager) Admit(peer sm.PeerID, p link.Protocol) link.Code {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.peers[peer]
	switch {
	case m.closing:
		return link.CodeCancelled
	case p != link.Bond:
		if known == nil || known.current == nil || !known.current.proved() {
			return link.CodeUnknownPeer
		}
	case known != nil && len(known.conns) >= maxConns:
		return link.CodeBusy
	case m.stranger(peer) && m.strangers() >= maxStrangers:
		return link.CodeUnknownPeer
	}
	return link.CodeAccepted
}

// proved reports whether the other end holds the key of some group. It does so
// at the latest when the other end considers a bond up.
func (c *conn) proved() bool {
	for _, b := range c.bonds {
		if b.isProved() {
			return true
		}
	}
	return false
}

// stranger reports whether no entry of the peer is known.
func (m *Manager) stranger(peer sm.PeerID) bool {
	_, known := m.cfg.Catalog.Get(peer)
	return !known
}

// strangers returns the number of connected peers of which no entry is known: all
// others that there are have one.
func (m *Manager) strangers() int { return len(m.peers) - m.cfg.Catalog.Len() }

// checkStranger ends the connection of a peer that does not say who it is, and
// returns when to check again.
func (c *conn) checkStranger(now, next time.Time) time.Time {
	if !c.m.stranger(c.p.id) || c.up > 0 || c.paused {
		return next
	}
	limit := later(c.since, c.resumed).Add(c.m.cfg.HandshakeTimeout)
	if now.Before(limit) {
		return earlier(next, limit)
	}
	c.end(link.CodeUnknownPeer, true)
	return next
}
