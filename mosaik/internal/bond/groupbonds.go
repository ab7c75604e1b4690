package bond

import (
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// GroupBonds is this peer's membership of a group. It sends on the group's bonds and ends
// them. Its methods may be called concurrently, also by the group's [Handler].
//
// It has neither a queue nor a goroutine: the handler's calls are queued once, by
// [GroupConfig.Post], under the manager's mutex and in the order in which they happen. It counts
// them until they have returned (backlog.go).
type GroupBonds struct {
	m     *Manager
	group GroupConfig

	// Guarded by the manager's mutex.
	waiting map[*bond]struct{} // bonds with events that wait, also of connections that have ended
	pending backlog            // of all these bonds
	left    bool               // Leave was called: nothing more is queued
	joined  time.Time          // when the group was joined
	warned  bool               // its mismatch was reported
}

func newGroupBonds(m *Manager, g GroupConfig) *GroupBonds {
	return &GroupBonds{m: m, group: g, waiting: map[*bond]struct{}{}, joined: time.Now()}
}

// Send queues a copy of payload as a message to the peer. It is false if there is no bond with
// the peer, or if payload has more than [MaxPayload] bytes. If the queue of the connection is
// full, since the peer reads too slowly, the connection ends and Send is false.
func (ms *GroupBonds) Send(peer sm.PeerID, payload []byte) bool {
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	b := ms.bond(peer)
	if b == nil || !b.isUp() || len(payload) > MaxPayload {
		return false
	}
	if !b.c.send(kindMessage, messageFrame{ms.group.ID, payload}.append(nil)) {
		return false
	}
	b.counted.MessagesSent++
	b.counted.BytesSent += uint64(len(payload))
	return true
}

// Close ends the bond or the handshake with the peer, if there is one, and sends the peer the
// code. 0 stands for [consensus.CodeCancelled]. The handler receives Down or Refused. While the
// peer's entry lists the group, the bond is tried again after a pause.
func (ms *GroupBonds) Close(peer sm.PeerID, code consensus.CloseCode) {
	if code == consensus.CodeAccepted {
		code = consensus.CodeCancelled
	}
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	if b := ms.bond(peer); b != nil {
		b.withdraw(code)
	}
}

// Leave ends all bonds of the group with [consensus.CodeCancelled], which the handler receives as
// Down. It does not wait for the handler: calls that were posted may still run, and none is posted
// later. Leaving again does nothing.
func (ms *GroupBonds) Leave() {
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	ms.leave()
}

// leave is Leave for a caller that holds the mutex.
func (ms *GroupBonds) leave() {
	if ms.left {
		return
	}
	delete(ms.m.groups, ms.group.ID)
	for _, p := range ms.m.peers {
		for c := range p.conns {
			if b := c.bonds[ms.group.ID]; b != nil {
				b.withdraw(consensus.CodeCancelled)
				delete(c.bonds, ms.group.ID)
			}
		}
	}
	ms.left = true
}

// Bonds describes the bonds that are up, sorted by peer.
func (ms *GroupBonds) Bonds() []Info {
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	var infos []Info
	for _, p := range ms.m.peers {
		if b := ms.bond(p.id); b != nil && b.isUp() {
			info := b.counted
			info.RTT = b.c.rtt
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b Info) int { return a.Peer.Compare(b.Peer) })
	return infos
}

// Presence is what is known about a peer's connection and entry.
type Presence struct {
	Connected bool
	Listed    bool      // its entry lists the group
	Alive     time.Time // its last sign of life before it was disconnected; zero if unknown
}

// Presence returns what is known about a peer's connection and entry.
func (ms *GroupBonds) Presence(peer sm.PeerID) Presence {
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	var at Presence
	if entry, known := ms.m.entry(peer); known {
		at.Listed = entry.HasGroup(ms.group.ID)
	}
	if p := ms.m.peers[peer]; p != nil {
		at.Connected, at.Alive = p.current != nil, p.alive
	}
	return at
}

// bond returns the group's bond on the peer's current connection in any state, or nil.
func (ms *GroupBonds) bond(peer sm.PeerID) *bond {
	if p := ms.m.peers[peer]; p != nil && p.current != nil && !ms.left {
		return p.current.bonds[ms.group.ID]
	}
	return nil
}
