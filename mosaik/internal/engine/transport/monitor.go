package transport

import (
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// minAckTimeout is the least time for which nothing may be acknowledged: TCP repeats a
	// lost segment after 200 ms or more. defaultAckTimeout is that of a connection to a peer
	// with which no replica is shared.
	minAckTimeout     = 500 * time.Millisecond
	defaultAckTimeout = 2 * time.Second
	// silentTicks is how many ticks without an acknowledgment end a connection. The timeout
	// has four ticks, and the first one may be short. Ticks are counted, because a process
	// that was suspended must check again before it decides.
	silentTicks = 5
	// healthyTicks is the number of good ticks after which a peer's failures are forgotten.
	healthyTicks = 8
	// stallTimeout bounds how long a peer may read none of the data that is sent to it
	// although the connection works: its disk may be stalled.
	stallTimeout = 10 * time.Second
)

var (
	// errSilent reports a connection on which nothing is acknowledged.
	errSilent = errors.New("engine: the connection is up, but the peer acknowledges nothing")
	// errStalled reports a peer that does not read what is sent to it.
	errStalled = errors.New("engine: the peer reads nothing of what is sent to it")
)

// monitor closes the connection when nothing proves any longer that it works.
func (s *stream) monitor(changed <-chan struct{}) {
	var h health
	for {
		tick := time.Duration(s.ackTimeout.Load()) / 4
		timer := time.NewTimer(tick)
		select {
		case <-timer.C:
		case <-s.ended:
			timer.Stop()
			return
		}
		select {
		case <-changed: // checked once a tick, because many admissions come at once
			var watch []byte
			if watch, changed = s.adapt(); watch != nil { // monitor must not block
				s.o.running.Go(func() { _ = s.write(wire.FrameWatch, watch) })
			}
		default:
		}
		if err := s.check(&h, tick); err != nil {
			s.cause.Store(&err)
			if s.o.protocol == link.Raft { // SendChunk notes the failure of a snapshot
				s.o.transport.peers.failed(s.o.peer, link.Raft, err, time.Now())
			}
			s.o.transport.log.Warn("engine: connection replaced",
				"peer", s.o.peer.Short(), "protocol", s.o.protocol, "error", err)
			s.conn.Close()
			return
		}
	}
}

// health is what monitor found at its last check.
type health struct {
	acked, acks, written uint64        // the stream's counters
	silent               int           // ticks without a necessary acknowledgment
	healthy              int           // ticks since the last one of these
	stalled              time.Duration // for how long nothing was read
	exempt               bool          // an older release, which acknowledges nothing
}

// check returns what is wrong with the connection, a tick after the last check, and adapts the
// window.
func (s *stream) check(h *health, tick time.Duration) error {
	last := *h
	outstanding := s.inFlight() > 0
	h.acked, h.acks = s.acked.Load(), s.acks.Load()
	_, h.written = s.conn.Traffic()
	if s.backlog.isWaiting() {
		s.window.Store(min(maxWindow, max(minWindow, 2*int64(h.acked-last.acked))))
	}
	// Without acknowledgments, bytes that the kernel takes are the only sign of progress.
	moved, pending := h.written != last.written, s.writing.Load() > 0
	if h.acks > 0 {
		moved, pending = h.acked != last.acked, outstanding
	}
	if h.stalled += tick; moved || !pending {
		h.stalled = 0
	}
	if h.stalled >= stallTimeout {
		return fmt.Errorf("%w for %v", errStalled, stallTimeout)
	}
	switch h.healthy++; {
	case h.acks != last.acks || !outstanding:
		h.silent = 0
	case h.exempt && h.acks == 0:
	default:
		h.healthy = 0
		if h.silent++; h.silent < silentTicks {
			break
		}
		if h.acks > 0 || s.o.transport.peers.expectsAck(s.o.peer) {
			return fmt.Errorf("%w for %v", errSilent, time.Duration(s.ackTimeout.Load()))
		}
		h.exempt = true
	}
	if h.healthy == healthyTicks && s.o.protocol == link.Raft {
		s.o.transport.peers.recovered(s.o.peer, link.Raft)
	}
	return nil
}

// ackTimeout returns for how long nothing may be acknowledged on a connection to the peer: the
// shortest election timeout of the replicas that are shared with it. The channel is closed
// when that may have changed.
func (t *Transport) ackTimeout(peer sm.PeerID) (d time.Duration, changed <-chan struct{}) {
	shards, changed := t.peers.shards(peer)
	for _, shard := range shards {
		if ep := t.endpoint(shard); ep != nil && (d == 0 || ep.Election < d) {
			d = ep.Election
		}
	}
	if d == 0 {
		d = defaultAckTimeout
	}
	return max(d, minAckTimeout), changed
}
