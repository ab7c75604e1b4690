package bond

import (
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Bounds of the events that wait for one group's handler. A connection that exceeds its own
// bound ends, and its messages are dropped. If all connections together exceed theirs, that
// happens to the connection of which most is waiting. A reader that waited for the handler of
// one group instead would read nothing for the others.
const (
	maxPending         = 4096     // events of one connection
	maxPendingBytes    = 16 << 20 // bytes of one connection
	maxPendingAll      = 64 << 10 // events of all connections
	maxPendingAllBytes = 64 << 20 // bytes of all connections
)

// backlog is the size of the events that wait for a handler, the one being handled included.
type backlog struct{ calls, bytes int }

func (b *backlog) add(calls, bytes int) {
	b.calls += calls
	b.bytes += bytes
}

func (b *backlog) exceeds(calls, bytes int) bool { return b.calls > calls || b.bytes > bytes }

// event is a call of a group's handler that waits in the queue.
type event struct {
	b       *bond
	size    int  // bytes that the call keeps in memory
	message bool // it may be dropped
	call    func()
}

// Membership is this peer's membership of a group. It sends on the group's bonds and ends
// them. Its methods may be called concurrently, also by the group's [Handler], except for
// Leave.
//
// All calls of the handler run on one goroutine, which takes them from a queue. Events are
// queued under the manager's mutex in the order in which they happen. Only Leave and the
// manager's Close wait for a handler.
type Membership struct {
	m     *Manager
	group Group
	wake  chan struct{} // holds a token when there is something to do
	done  chan struct{} // closed when the goroutine has ended

	// Guarded by the manager's mutex.
	queue   []event
	pending backlog   // of all bonds, also of connections that have ended
	left    bool      // Leave was called: nothing more is queued
	joined  time.Time // when the group was joined
	warned  bool      // its mismatch was reported
}

func newMembership(m *Manager, g Group) *Membership {
	return &Membership{m: m, group: g, wake: make(chan struct{}, 1), done: make(chan struct{}), joined: time.Now()}
}

// Send queues a copy of payload as a message to the peer. It is false if there is no bond with
// the peer, or if payload has more than [MaxPayload] bytes. If the queue of the connection is
// full, since the peer reads too slowly, the connection ends and Send is false.
func (ms *Membership) Send(peer sm.PeerID, payload []byte) bool {
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
func (ms *Membership) Close(peer sm.PeerID, code consensus.CloseCode) {
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
// Down, and waits until the handler's last call has returned. It must not be called by the
// handler, or with a lock that the handler waits for. Leaving again waits too.
func (ms *Membership) Leave() {
	ms.m.mu.Lock()
	ms.leave()
	ms.m.mu.Unlock()
	<-ms.done
}

// leave is Leave without the wait, for a caller that holds the mutex.
func (ms *Membership) leave() {
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
	ms.signal()
}

// Bonds describes the bonds that are up, sorted by peer.
func (ms *Membership) Bonds() []Info {
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
func (ms *Membership) Presence(peer sm.PeerID) Presence {
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
func (ms *Membership) bond(peer sm.PeerID) *bond {
	if p := ms.m.peers[peer]; p != nil && p.current != nil && !ms.left {
		return p.current.bonds[ms.group.ID]
	}
	return nil
}

// post queues a call of the handler for a bond. size is the bytes that the call keeps in
// memory. The caller holds the mutex.
func (ms *Membership) post(b *bond, size int, call func()) {
	ms.queueEvent(event{b: b, size: size, call: call})
}

// queueEvent queues an event and enforces the bounds. The caller holds the mutex.
func (ms *Membership) queueEvent(e event) {
	if ms.left {
		return
	}
	ms.queue = append(ms.queue, e)
	ms.wait(e, +1)
	ms.signal()
	switch {
	case e.b.pending.exceeds(maxPending, maxPendingBytes):
		ms.dropMessages(e.b)
	case ms.pending.exceeds(maxPendingAll, maxPendingAllBytes):
		ms.dropMessages(ms.busiest())
	}
}

// wait counts an event, with n = 1 when it is queued and n = -1 when it is handled or dropped.
func (ms *Membership) wait(e event, n int) {
	e.b.pending.add(n, n*e.size)
	ms.pending.add(n, n*e.size)
}

// busiest returns the bond of which most bytes are waiting and, among equals, most events.
func (ms *Membership) busiest() *bond {
	most := ms.queue[0].b
	for _, e := range ms.queue {
		if p, q := e.b.pending, most.pending; p.bytes > q.bytes || p.bytes == q.bytes && p.calls > q.calls {
			most = e.b
		}
	}
	return most
}

// dropMessages ends a bond's connection and drops its messages. The end of the bond is still
// reported.
func (ms *Membership) dropMessages(b *bond) {
	if !b.c.ended {
		ms.m.cfg.Logger.Warn("peer sends faster than the group handles: connection ended",
			"peer", b.c.p.id.Short(), "group", ms.group.ID.Short(), "events", b.pending.calls, "bytes", b.pending.bytes)
		b.c.end(consensus.CodeProtocolViolation, true)
	}
	ms.queue = slices.DeleteFunc(ms.queue, func(e event) bool {
		dropped := e.message && e.b == b
		if dropped {
			ms.wait(e, -1)
		}
		return dropped
	})
}

func (ms *Membership) signal() {
	select {
	case ms.wake <- struct{}{}:
	default:
	}
}

// run makes the queued calls until the group is left and the queue is empty. An event counts
// until its call has returned.
func (ms *Membership) run() {
	defer close(ms.done)
	for {
		e, left := ms.next()
		switch {
		case e.call != nil:
			e.call()
			ms.m.mu.Lock()
			ms.wait(e, -1)
			ms.m.mu.Unlock()
		case left:
			return
		default:
			<-ms.wake
		}
	}
}

// next dequeues the oldest event, if there is one, and reports whether the group is left.
func (ms *Membership) next() (e event, left bool) {
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	if len(ms.queue) > 0 {
		e, ms.queue[0] = ms.queue[0], event{}
		ms.queue = ms.queue[1:]
	}
	if len(ms.queue) == 0 {
		ms.queue = nil
	}
	return e, ms.left
}
