package transport

import (
	"maps"
	"slices"
	"sync"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

const (
	// maxBacklog bounds the queue of a stream, in bytes. A full queue accepts no message; a
	// message is accepted whole.
	maxBacklog = 16 << 20
	// Queued messages are sent in frames of a quarter of the window, within these bounds, in
	// bytes. When a connection ends, the part of a frame that was read is lost.
	minPiece = 16 << 10
	maxPiece = 512 << 10
)

// backlog is the queue of a stream: messages with entries for which the window has no room,
// and messages that must not overtake them, in order. Its methods may be called concurrently.
//
// It also tracks which entries were sent on the stream. dragonboat sends entries again when a
// replica answers a heartbeat before it has acknowledged them, which on a slow link is every
// time. Bytes that were handed to a connection arrive, or the connection ends, so they are
// not sent again on the same connection.
type backlog struct {
	mu       sync.Mutex
	queue    []pb.Message // bounded by maxBacklog
	size     int          // of the queue, in bytes
	draining bool         // a goroutine sends queued messages
	closed   bool
	replicas map[replicaKey]*progress
}

// progress is how far the log was sent to a replica.
type progress struct {
	term    uint64    // of the leader that sent it
	through uint64    // the last entry that was sent or is queued
	queued  int       // messages in the queue
	end     uint64    // where in the stream the last sent message ends
	arrived time.Time // when all that was sent was found to have arrived; zero before
	gap     bool      // the messages that follow were dropped
}

// position is the state of a stream at one moment.
type position struct {
	acked      uint64
	now        time.Time
	ackTimeout time.Duration
}

// isOrdered reports whether a message must not overtake queued ones.
func isOrdered(m *pb.Message) bool { return m.Type == pb.Replicate || len(m.Entries) > 0 }

// keyOf returns the replica whose log a message continues.
func keyOf(m *pb.Message) replicaKey { return replicaKey{m.ShardID, m.To} }

// isWaiting reports whether the queue holds messages.
func (b *backlog) isWaiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) > 0
}

// enqueue decides about messages that should be sent while the window has room bytes. It
// returns those to send now, in the memory of messages, and those that were dropped and must
// be reported; it queues others. If begin is true, the caller must start a goroutine that
// sends the queue.
func (b *backlog) enqueue(
	messages []pb.Message, room int64, at position,
) (direct, lost []pb.Message, begin bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, messages, false
	}
	waits := b.draining
	direct = messages[:0]
	for _, m := range messages {
		if !isOrdered(&m) {
			direct = append(direct, m)
			continue
		}
		send, dropped := b.trim(&m, at)
		if dropped {
			lost = append(lost, m)
		}
		if !send {
			continue
		}
		size := m.SizeUpperLimit()
		if room -= int64(size); !waits && room >= 0 {
			direct = append(direct, m)
			continue
		}
		waits = true
		b.queue = append(b.queue, m)
		b.size += size
		if p := b.replicas[keyOf(&m)]; m.Type == pb.Replicate && p != nil {
			p.queued++
		}
	}
	begin = waits && !b.draining
	b.draining = waits
	return direct, lost, begin
}

// trim removes the entries from a message that were sent before, and reports whether any of it
// must be sent. A full queue drops the message. The first dropped message of a replica must be
// reported, so that Raft continues after the entries that the replica has.
func (b *backlog) trim(m *pb.Message, at position) (send, dropped bool) {
	isFull := b.size >= maxBacklog
	if m.Type != pb.Replicate {
		return !isFull, false
	}
	key, last := keyOf(m), m.LogIndex+uint64(len(m.Entries))
	p := b.replicas[key]
	if p != nil && p.term != m.Term {
		b.purge(key)
		p = nil
	}
	switch {
	case p == nil && len(m.Entries) == 0:
		return true, false
	case p == nil:
		p = &progress{term: m.Term, through: m.LogIndex}
		b.replicas[key] = p
	case m.LogIndex > p.through && p.gap:
		return false, false
	case len(m.Entries) == 0:
		return true, false
	case m.LogIndex < p.through && !p.isOverdue(at):
		sent := p.through - m.LogIndex
		if sent >= uint64(len(m.Entries)) {
			return false, false
		}
		m.LogIndex, m.LogTerm, m.Entries = p.through, m.Entries[sent-1].Term, m.Entries[sent:]
	}
	if isFull {
		dropped = !p.gap
		p.gap = true
		return false, dropped
	}
	p.through, p.gap, p.arrived = last, false, time.Time{}
	return true, false
}

// isOverdue reports whether everything that was sent arrived so long ago that the replica would
// have acknowledged it. If it has not, the replica was not running yet, or was too busy.
func (p *progress) isOverdue(at position) bool {
	switch {
	case p.queued > 0 || at.acked < p.end:
		p.arrived = time.Time{}
	case p.arrived.IsZero():
		p.arrived = at.now
	default:
		return at.now.Sub(p.arrived) >= at.ackTimeout
	}
	return false
}

// noteWritten notes that messages were handed to the connection up to an end in its stream.
func (b *backlog) noteWritten(messages []pb.Message, end uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range messages {
		m := &messages[i]
		if p := b.replicas[keyOf(m)]; m.Type == pb.Replicate && p != nil {
			p.end, p.arrived = end, time.Time{}
		}
	}
}

// dequeue returns the messages to send next, of about size bytes. It cuts a larger message
// between its entries. If more is false, the queue is empty and the calling goroutine must
// end.
func (b *backlog) dequeue(size int) (messages []pb.Message, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.queue, b.draining = nil, false
		return nil, false
	}
	for total := 0; len(b.queue) > 0 && (total == 0 || total+b.queue[0].SizeUpperLimit() <= size); {
		whole := b.queue[0].SizeUpperLimit()
		head, rest := wire.Split(b.queue[0], size)
		messages = append(messages, head)
		if len(rest.Entries) > 0 {
			b.queue[0] = rest
			b.size -= whole - rest.SizeUpperLimit()
			return messages, true
		}
		b.queue[0] = pb.Message{}
		b.queue = b.queue[1:]
		b.size -= whole
		total += whole
		if p := b.replicas[keyOf(&head)]; head.Type == pb.Replicate && p != nil {
			p.queued--
		}
	}
	return messages, true
}

// close ends the backlog with its stream. It returns the replicas for which messages were sent
// or queued.
func (b *backlog) close() []replicaKey {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue, b.size = true, nil, 0
	return slices.Collect(maps.Keys(b.replicas))
}

// forget lets entries be sent again that a replica lacks.
func (b *backlog) forget(key replicaKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.purge(key)
}

// purge forgets a replica and its queued messages.
func (b *backlog) purge(key replicaKey) {
	delete(b.replicas, key)
	b.queue = slices.DeleteFunc(b.queue, func(m pb.Message) bool {
		if m.Type != pb.Replicate || keyOf(&m) != key {
			return false
		}
		b.size -= m.SizeUpperLimit()
		return true
	})
}
