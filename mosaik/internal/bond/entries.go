package bond

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// maxOwn bounds the entry that a connection keeps of its peer if the catalog has no room for
// it, in bytes. There are at most maxStrangers such peers.
const maxOwn = 64 << 10

// handleEntries puts the entries of an ENTRIES or a MEMBERS frame into the catalog. It is
// called without the mutex, since the catalog calls the manager for each change.
func (c *conn) handleEntries(kind uint8, payload []byte) (consensus.CloseCode, error) {
	raws, err := parseEntries(payload)
	if err != nil {
		return consensus.CodeUndecodable, err
	}
	c.m.mu.Lock()
	code := c.checkKind(kind)
	c.m.mu.Unlock()
	if code != consensus.CodeAccepted {
		return code, nil
	}
	for raw := range raws {
		if code, err := c.handleEntry(raw, kind == kindMembers); code != consensus.CodeAccepted {
			return code, err
		}
	}
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if !c.reached && !c.ended {
		c.reached = true
		c.m.reach.connected(+1)
	}
	return consensus.CodeAccepted, nil
}

// handleEntry verifies an entry and puts it into the catalog, unless it is stale. An entry that
// no honest peer relays ends the connection: honest peers verify entries before they relay
// them.
func (c *conn) handleEntry(raw []byte, member bool) (consensus.CloseCode, error) {
	peer, version := discovery.Peek(raw)
	own := peer == c.p.id
	if !peer.IsZero() && c.stale(raw, peer, version, member) {
		return consensus.CodeAccepted, nil
	}
	if !c.payForEntry(own, len(raw)) {
		return consensus.CodeCancelled, nil
	}
	c.m.counts.verified.Add(1)
	s, err := discovery.Parse(raw)
	switch {
	case errors.Is(err, discovery.ErrIncompatible):
		c.m.cfg.Logger.Debug("entry skipped", "from", c.p.id.Short(), "error", err)
		return consensus.CodeAccepted, nil
	case err != nil:
		return consensus.CodeUndecodable, fmt.Errorf("%w: an entry that no honest peer relays: %w", errFrame, err)
	}
	switch {
	case member && c.canVouchFor(s):
		c.m.cfg.Catalog.Keep(s)
	case !c.m.cfg.Catalog.PutFrom(s, c.number) && own:
		c.keepOwn(s)
	}
	return consensus.CodeAccepted, nil
}

// stale reports whether an entry can be dropped without verifying its signature: it is not
// newer than the known entry, or its peer was forgotten, or the catalog has no room for it. A
// peer that sends an old entry about itself is sent the newest one, once, so that it signs a
// newer one.
func (c *conn) stale(raw []byte, peer sm.PeerID, version uint64, member bool) bool {
	if self := c.m.cfg.Catalog.Self(); peer == self.Peer {
		return version < self.Version || bytes.Equal(raw, self.Bytes())
	}
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	known, ok := c.m.entry(peer)
	own := peer == c.p.id
	switch {
	case member && ok && version == known.Version:
		return false // it may have to move to the room for members
	case ok && version <= known.Version:
		if own && c.corrected < known.Version && !bytes.Equal(known.Bytes(), raw) {
			c.corrected = known.Version
			c.tell(known)
		}
		return true
	case own || member:
		return false
	}
	t, buried := c.m.forgotten[peer]
	return buried && version <= t.version && time.Now().Before(t.until) || !c.m.cfg.Catalog.Room(peer, len(raw))
}

// keepOwn keeps the peer's own entry, for which the catalog has no room, with the connection.
// If a bond comes up, the entry moves to the room for members (keepMember).
func (c *conn) keepOwn(s discovery.Signed) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	known, _ := c.m.entry(s.Peer)
	if c.ended || len(s.Bytes()) > maxOwn || s.Network != c.m.cfg.Catalog.Self().Network || s.Version <= known.Version {
		return
	}
	c.own = s
	c.offerAll(s)
	c.wakeHeartbeat()
}

// entry returns the newest entry of another peer, from the catalog or from the peer's
// connection. It is false if none is known. The caller holds the mutex.
func (m *Manager) entry(peer sm.PeerID) (discovery.Signed, bool) {
	s, known := m.cfg.Catalog.Get(peer)
	if p := m.peers[peer]; p != nil && p.current != nil && !p.current.own.IsZero() && (!known || p.current.own.Version > s.Version) {
		return p.current.own, true
	}
	return s, known
}

// Entry returns the newest entry of another peer: that of the catalog or, while the peer is
// connected, one for which the catalog has no room. It is false if none is known.
func (m *Manager) Entry(peer sm.PeerID) (discovery.Signed, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entry(peer)
}

// keepMember moves the entry of a peer with a bond to the catalog's room for members. It is
// called without the mutex.
func (c *conn) keepMember() {
	c.m.mu.Lock()
	s, known := c.m.entry(c.p.id)
	bonded := c.up > 0 && !c.ended && known
	due := bonded && (!c.kept || !c.own.IsZero())
	c.m.mu.Unlock()
	if !due {
		return
	}
	kept := c.m.cfg.Catalog.Keep(s)
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.kept = true // once: there is room, or there is none
	if kept && c.own.Version <= s.Version {
		c.own = discovery.Signed{}
	}
}

// canVouchFor reports whether the other end may introduce the entry's peer as a member: it has
// a bond with this end in a group that the entry lists. It is called without the mutex.
func (c *conn) canVouchFor(s discovery.Signed) bool {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	for id, b := range c.bonds {
		if b.isUp() && s.HasGroup(id) {
			return true
		}
	}
	return false
}

// introduceMember introduces a peer whose bond has come up and the other members of the group
// to each other. It is needed only while the room for strangers is crowded: otherwise they
// discover each other by ENTRIES frames.
func (b *bond) introduceMember() {
	m := b.c.m
	s, known := m.entry(b.c.p.id)
	if !known || !m.cfg.Catalog.Crowded() {
		return
	}
	var others []discovery.Signed
	self := appendEntries([]discovery.Signed{s})
	for _, p := range m.peers {
		if other := b.ms.bond(p.id); other != nil && other != b && other.isUp() {
			for _, payload := range self {
				other.c.send(kindMembers, payload)
			}
			if e, known := m.entry(p.id); known {
				others = append(others, e)
			}
		}
	}
	for _, payload := range appendEntries(others) {
		b.c.send(kindMembers, payload)
	}
}

// tell queues an entry before those of the catalog.
func (c *conn) tell(s discovery.Signed) {
	for _, payload := range appendEntries([]discovery.Signed{s}) {
		c.send(kindEntries, payload)
	}
}
