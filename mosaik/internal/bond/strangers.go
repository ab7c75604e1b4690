package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Bounds for peers that have not proved a key. Any process can make up an entry, so an entry
// proves nothing.
const (
	// maxStrangers bounds the connected peers of which no entry is known.
	maxStrangers = 256
	// maxSetupFrame bounds the payload of a frame on a connection that is not selected, in
	// bytes.
	maxSetupFrame = 1024
	// maxStrangerFrame bounds the payload of a frame on a connection without a bond, in
	// bytes. The largest entry fits.
	maxStrangerFrame = 4 + discovery.MaxSize
)

// Admit decides about a connection before its first frame is read. It is a function for
// [link.Config]. Protocols other than that of bonds are for peers that have proved a group's
// key on their bond connection. Other peers are refused with 401, as is a stranger that exceeds
// the number of strangers.
func (m *Manager) Admit(peer sm.PeerID, p link.Protocol) consensus.CloseCode {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.peers[peer]
	switch {
	case m.closing:
		return consensus.CodeCancelled
	case p != link.Bond:
		if known == nil || known.current == nil || !known.current.proved() {
			return consensus.CodeUnknownPeer
		}
	case known != nil && len(known.conns) >= maxConns:
		return consensus.CodeBusy
	case m.stranger(peer) && m.strangers() >= maxStrangers:
		return consensus.CodeUnknownPeer
	}
	return consensus.CodeAccepted
}

// proved reports whether the other end has proved the key of a group. When the other end
// considers a bond up, its proof has been checked here.
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

// strangers returns the number of connected peers of which no entry is known. Every other peer
// has an entry in the catalog.
func (m *Manager) strangers() int { return len(m.peers) - m.cfg.Catalog.Len() }

// checkStranger ends the connection of a peer that has not sent its entry within the handshake
// timeout. It returns when to check again.
func (c *conn) checkStranger(now, next time.Time) time.Time {
	if !c.m.stranger(c.p.id) || c.up > 0 || c.paused {
		return next
	}
	limit := later(c.since, c.resumed).Add(c.m.cfg.HandshakeTimeout)
	if now.Before(limit) {
		return earlier(next, limit)
	}
	c.end(consensus.CodeUnknownPeer, true)
	return next
}
