package bond

import (
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// Bounds of the events that wait for one group's handler. An event counts from the time at which
// it is posted until the handler's call for it has returned.
//
// A connection that exceeds its own bound ends, and its messages are dropped. If all connections
// together exceed theirs, the same happens to the connection with the most waiting bytes, and the
// events of handshakes are dropped. Those handshakes time out and are tried again later. The begin
// and the end of a bond are never dropped. They need no bound of their own, because the handler
// must have accepted each bond before it begins. A reader that waited for the handler of one group
// instead would read nothing for the other groups.
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

// eventKind decides whether an event may be dropped.
type eventKind uint8

const (
	eventBond      eventKind = iota // the begin or the end of a bond: never dropped
	eventHandshake                  // a step of a handshake or its failure
	eventMessage                    // a message on a bond
)

// event is a call of a group's handler that waits. The manager's mutex guards it.
type event struct {
	b    *bond
	kind eventKind
	size int    // bytes that the call keeps in memory
	call func() // nil once it was dropped
}

// post posts a call of the handler for a bond and enforces the bounds. size is the bytes that the
// call keeps in memory. The caller holds the mutex.
func (ms *GroupBonds) post(b *bond, kind eventKind, size int, call func()) {
	if ms.left || kind == eventHandshake && ms.pending.exceeds(maxPendingAll-1, maxPendingAllBytes) {
		return
	}
	e := &event{b, kind, size, call}
	b.events = append(b.events, e)
	ms.waiting[b] = struct{}{}
	ms.wait(e, +1)
	ms.group.Post(func() { ms.handle(e) })
	switch {
	case b.pending.exceeds(maxPending, maxPendingBytes):
		ms.dropMessages(b)
	case ms.pending.exceeds(maxPendingAll, maxPendingAllBytes):
		ms.dropMessages(ms.busiest())
	}
}

// handle calls the handler for an event, unless it was dropped. The group's goroutine calls it in
// the order of the events.
func (ms *GroupBonds) handle(e *event) {
	ms.m.mu.Lock()
	call := e.call
	if call != nil {
		e.b.events[0] = nil // e, because events are handled in order
		e.b.events = e.b.events[1:]
	}
	ms.m.mu.Unlock()
	if call == nil {
		return
	}
	call()
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	ms.wait(e, -1)
}

// wait counts an event, with n = 1 when it is posted and n = -1 when it was handled or dropped.
func (ms *GroupBonds) wait(e *event, n int) {
	e.b.pending.add(n, n*e.size)
	ms.pending.add(n, n*e.size)
	if e.b.pending.calls == 0 {
		delete(ms.waiting, e.b)
	}
}

// busiest returns the bond with the most waiting bytes and, among equals, the most events.
func (ms *GroupBonds) busiest() *bond {
	var most *bond
	for b := range ms.waiting {
		if p := b.pending; most == nil || p.bytes > most.pending.bytes || p.bytes == most.pending.bytes && p.calls > most.pending.calls {
			most = b
		}
	}
	return most
}

// dropMessages ends a bond's connection and drops its messages. The end of the bond is still
// reported.
func (ms *GroupBonds) dropMessages(b *bond) {
	if !b.c.ended {
		ms.m.cfg.Logger.Warn("peer sends faster than the group handles: connection ended",
			"peer", b.c.p.id.Short(), "group", ms.group.ID.Short(), "events", b.pending.calls, "bytes", b.pending.bytes)
		b.c.end(consensus.CodeProtocolViolation, true)
	}
	b.events = slices.DeleteFunc(b.events, func(e *event) bool {
		if e.kind != eventMessage {
			return false
		}
		e.call = nil
		ms.wait(e, -1)
		return true
	})
}
