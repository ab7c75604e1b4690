package engine

import (
	"maps"
	"slices"
	"sync"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

const (
	// maxBacklog bounds what waits on a stream, in bytes: when so many wait, what comes is
	// dropped. A message is accepted whole.
	maxBacklog = 16 << 20
	// Pieces of what waits are sent in frames of a quarter of the window, within these
	// bounds, in bytes: what was read of a frame is lost when the connection ends.
	minPiece = 16 << 10
	maxPiece = 512 << 10
)

// backlog is what waits to be sent on a stream until there is room in the window: messages
// with entries, and those that must not overtake them, in order.
//
// It also knows which entries were sent on the stream. dragonboat sends entries again when
// a replica answers a heartbeat before it has acknowledged them, which on a slow link is
// every time. Bytes that were handed to a connection arrive, or the connection ends, so
// they are not sent again on the same one.
type backlog struct {
	mu       sync.Mutex
	queue    []pb.Message
	size     int  // of the queue, in bytes
	busy     bool // a goroutine sends what waits
	closed   bool
	replicas map[replicaKey]*progress
}

// progress is how far the log was sent to a replica.
type progress struct {
	term    uint64 // of the leader that sent it
	through uint64 // the last entry that was sent or waits
	waiting int    // messages that wait
	end     uint64 // where in the stream the last message ends that does not wait
	arrived time.Time
	gap     bool // what follows was dropped
}

// position is what was sent and acknowledged, and when it is that.
type position struct {
	acked    uint64
	now      time.Time
	patience time.Duration
}

// isOrdered reports whether the message must not overtake those that wait.
func isOrdered(m *pb.Message) bool { return m.Type == pb.Replicate || len(m.Entries) > 0 }

// keyOf returns the replica whose log the message continues.
func keyOf(m *pb.Message) replicaKey { return replicaKey{m.ShardID, m.To} }

// isWaiting reports whether anything waits.
func (b *backlog) isWaiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) > 0
}

// sort decides about messages that are about to be sent, of which room bytes may be. It
// returns those that may be sent now, in the memory of messages, and those that were
// dropped and must be reported. Others wait: begin is true if a goroutine must be started
// that sends them.
func (b *backlog) sort(
	messages []pb.Message, room int64, at position,
) (direct, lost []pb.Message, begin bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, messages, false
	}
	waits := b.busy
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
			p.waiting++
		}
	}
	begin = waits && !b.busy
	b.busy = waits
	return direct, lost, begin
}

// trim takes from the message the entries that were sent before, and reports whether any
// of it must be sent. A message for which there is no room is dropped; the first one of
// a replica must be reported, so that Raft begins again behind what the replica has.
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

// isOverdue reports whether what was sent arrived so long ago that the replica would have
// acknowledged it: it was not there yet, or was too busy.
func (p *progress) isOverdue(at position) bool {
	switch {
	case p.waiting > 0 || at.acked < p.end:
		p.arrived = time.Time{}
	case p.arrived.IsZero():
		p.arrived = at.now
	default:
		return at.now.Sub(p.arrived) >= at.patience
	}
	return false
}

// wrote notes that messages were handed to the connection up to an end in its stream.
func (b *backlog) wrote(messages []pb.Message, end uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range messages {
		m := &messages[i]
		if p := b.replicas[keyOf(m)]; m.Type == pb.Replicate && p != nil {
			p.end, p.arrived = end, time.Time{}
		}
	}
}

// take returns what is sent next, about aim bytes; a larger message is cut between its
// entries. When nothing waits the goroutine that asks must end.
func (b *backlog) take(aim int) (messages []pb.Message, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.queue, b.busy = nil, false
		return nil, false
	}
	for size := 0; len(b.queue) > 0 && (size == 0 || size+b.queue[0].SizeUpperLimit() <= aim); {
		whole := b.queue[0].SizeUpperLimit()
		head, rest := wire.Split(b.queue[0], aim)
		messages = append(messages, head)
		if len(rest.Entries) > 0 {
			b.queue[0] = rest
			b.size -= whole - rest.SizeUpperLimit()
			return messages, true
		}
		b.queue[0] = pb.Message{}
		b.queue = b.queue[1:]
		b.size -= whole
		size += whole
		if p := b.replicas[keyOf(&head)]; head.Type == pb.Replicate && p != nil {
			p.waiting--
		}
	}
	return messages, true
}

// abandon ends the backlog with its stream and returns the replicas to which something was
// sent or waits.
func (b *backlog) abandon() []replicaKey {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue, b.size = true, nil, 0
	return slices.Collect(maps.Keys(b.replicas))
}

// forget has everything sent again to a replica that lacks what was sent.
func (b *backlog) forget(key replicaKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.purge(key)
}

// purge forgets a replica and what waits for it.
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
