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
	// What a connection without a bond may send, in bytes, each frame costing
	// frameOverhead more: so much at once, and so much in every second. More is
	// not read before its time.
	strangerBurst = 4 << 20
	strangerRate  = 256 << 10
	// An entry that has to be verified counts as so many bytes more, and one
	// that no honest peer passes on as that many on top. A full catalog may come
	// at once.
	entryWork    = strangerBurst / discovery.MaxPeers / 2
	badEntryWork = 8 * entryWork
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
		if b.recv != 0 {
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

func (m *Manager) strangers() int {
	n := 0
	for id := range m.peers {
		if m.stranger(id) {
			n++
		}
	}
	return n
}

// checkStranger ends the connection of a peer that does not say who it is, and
// returns when to check again.
func (c *conn) checkStranger(now, next time.Time) time.Time {
	if !c.m.stranger(c.p.id) {
		return next
	}
	limit := c.since.Add(c.m.cfg.HandshakeTimeout)
	if now.Before(limit) {
		return earlier(next, limit)
	}
	c.end(link.CodeUnknownPeer, true)
	return next
}

// meter bounds what a connection without a bond may send. It belongs to the
// goroutine that reads.
type meter struct {
	left    float64 // bytes that may come at once
	counted time.Time
}

func newMeter(now time.Time) meter { return meter{strangerBurst, now} }

// take counts a frame and returns how long to wait before the next one is read.
func (m *meter) take(bytes int, now time.Time) time.Duration {
	m.left = min(strangerBurst, m.left+now.Sub(m.counted).Seconds()*strangerRate)
	m.counted = now
	m.left -= float64(bytes + frameOverhead)
	if m.left >= 0 {
		return 0
	}
	return time.Duration(-m.left / strangerRate * float64(time.Second))
}

// slow waits for as long as the frame that was read is ahead of its time. A peer
// with a bond is trusted not to send too much.
func (c *conn) slow(m *meter, bytes int) {
	c.m.mu.Lock()
	bonded := c.up > 0
	c.m.mu.Unlock()
	now := time.Now()
	if bonded {
		*m = newMeter(now)
		return
	}
	wait := m.take(bytes, now)
	if wait == 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.done:
	}
}

// frameLimit returns how large the payload of the next frame may be.
func (c *conn) frameLimit() int {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if !c.selected {
		return maxSetupFrame
	}
	return maxFrame
}
