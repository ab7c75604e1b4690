package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The end that opened a connection to send on it (the sender) asks the other end (the
// receiver) in a WATCH frame to acknowledge what arrives, because a network can lose a
// connection without either end learning of it:
//
//	4 WATCH  from the sender: first on its connection, and again to change the delay
//	    0   8   lane: random; this connection replaces an earlier one of the lane
//	    8   4   delay in milliseconds: how long an acknowledgment may take
//
//	5 ACK    from the receiver: at once for a WATCH; then within the delay, if bytes have
//	         arrived or a frame is being handled, and for each 64 KiB
//	    0   8   bytes of frames that have arrived on the connection, heads included
//
// A sender that gets no ACK for an election timeout, though something is not acknowledged,
// replaces the connection. A receiver of an older release ignores WATCH.
const (
	watchSize = 8 + 4
	ackSize   = 8
	// frameHead is the length of a frame without its payload, in bytes.
	frameHead = 4 + 1
)

const (
	// minPatience is the least time for which a connection may be silent: TCP sends again
	// what was lost after 200 ms or more. defaultPatience is that of a connection to a peer
	// with which no replica is shared.
	minPatience     = 500 * time.Millisecond
	defaultPatience = 2 * time.Second
	// silentTicks is how many ticks without an acknowledgment end a connection. The
	// patience has four; the first may be short. Ticks are counted, because a process that
	// was stopped must look again before it judges.
	silentTicks = 5
	// healthyTicks is after how many good ticks a peer's failures are forgotten.
	healthyTicks = 8
	// stallTimeout bounds how long a peer may read nothing of what is sent to it although
	// the connection works: its disk may hang.
	stallTimeout = 10 * time.Second
)

// The window is how many bytes may be in flight on a connection for Raft. More wait here,
// where messages without entries can overtake them: a heartbeat must not wait until
// megabytes have crossed a slow link.
const (
	firstWindow = 128 << 10
	minWindow   = 32 << 10
	maxWindow   = 8 << 20
)

var (
	// errSilent reports a connection on which nothing is acknowledged.
	errSilent = errors.New("engine: the connection is up, but the peer acknowledges nothing")
	// errStalled reports a peer that does not read what is sent to it.
	errStalled = errors.New("engine: the peer reads nothing of what is sent to it")
)

// stream is one connection that was opened to send.
type stream struct {
	o       *outgoing
	conn    *link.Conn
	answers bool          // the peer has acknowledged what was sent to it before
	gone    chan struct{} // closed when the connection has ended
	news    chan struct{} // holds a token when an acknowledgment came

	sent     atomic.Uint64 // bytes of frames that were handed to the connection
	acked    atomic.Uint64 // of these, how many the receiver has read
	signs    atomic.Uint64 // ACK frames that came
	writing  atomic.Int32  // calls of write in progress
	window   atomic.Int64
	patience atomic.Int64 // a time.Duration
	cause    atomic.Pointer[error]

	backlog backlog
}

func newStream(o *outgoing, conn *link.Conn) *stream {
	s := &stream{
		o: o, conn: conn, answers: o.engine.peers.answers(o.peer),
		gone: make(chan struct{}), news: make(chan struct{}, 1),
	}
	s.window.Store(firstWindow)
	s.backlog.replicas = map[replicaKey]*progress{}
	return s
}

// start asks for acknowledgments. The goroutines that it starts end with the connection,
// and the outgoing waits for them.
func (s *stream) start() {
	watch, changed := s.adapt()
	_ = s.write(wire.FrameWatch, watch) // before all else; listen learns of a failure as well
	s.o.watchers.Go(s.listen)
	s.o.watchers.Go(func() { s.guard(changed) })
}

// adapt takes the patience with the peer from the replicas that are shared with it. It
// returns the WATCH that tells the receiver, nil if the patience is the same, and a channel
// that is closed when it may have changed.
func (s *stream) adapt() (watch []byte, changed <-chan struct{}) {
	patience, changed := s.o.engine.patience(s.o.peer)
	if s.patience.Swap(int64(patience)) == int64(patience) {
		return nil, changed
	}
	watch = binary.BigEndian.AppendUint64(nil, s.o.lane)
	return binary.BigEndian.AppendUint32(watch, uint32(patience/8/time.Millisecond)), changed
}

// inFlight returns how many bytes were sent and are not acknowledged.
func (s *stream) inFlight() int64 { return int64(s.sent.Load() - s.acked.Load()) }

// isPaced reports whether the receiver acknowledges what arrives, as far as is known.
func (s *stream) isPaced() bool { return s.answers || s.signs.Load() > 0 }

// write sends a frame. It blocks for as long as the connection makes progress.
func (s *stream) write(kind uint8, payload []byte) error {
	s.writing.Add(1)
	defer s.writing.Add(-1)
	s.sent.Add(uint64(frameHead + len(payload)))
	if err := s.conn.WriteFrame(kind, payload); err != nil {
		s.conn.Close()
		return fmt.Errorf("engine: send to %s: %w", s.o.peer.Short(), s.why(err))
	}
	return nil
}

// why returns why guard closed the connection, or err if it did not.
func (s *stream) why(err error) error {
	if cause := s.cause.Load(); cause != nil {
		return *cause
	}
	return err
}

// listen handles what the receiver says until the connection ends. Without it a message
// would be lost before the end is noticed.
func (s *stream) listen() {
	defer s.o.drop(s)
	defer close(s.gone)
	defer s.conn.Close()
	var buf [maxAnswer]byte
	for {
		kind, payload, err := s.conn.ReadFrame(maxAnswer, buf[:])
		switch {
		case err != nil:
			return
		case kind == wire.FrameAck && len(payload) == ackSize:
			s.acknowledged(binary.BigEndian.Uint64(payload))
		case kind == wire.FrameDone:
			select {
			case s.o.done <- struct{}{}:
			default:
			}
		case wire.IsKnown(kind):
			return
		}
	}
}

// acknowledged notes an ACK. One of bytes that were not sent, or were acknowledged before,
// only shows that the peer lives.
func (s *stream) acknowledged(received uint64) {
	if acked := s.acked.Load(); received > acked && received <= s.sent.Load() {
		s.acked.Store(received)
		if s.backlog.isWaiting() {
			s.window.Store(min(maxWindow, s.window.Load()+int64(received-acked)))
		}
	}
	if s.signs.Add(1) == 1 {
		s.o.engine.peers.answered(s.o.peer)
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// guard closes the connection when nothing proves any longer that it works.
func (s *stream) guard(changed <-chan struct{}) {
	var w watched
	for {
		tick := time.Duration(s.patience.Load()) / 4
		timer := time.NewTimer(tick)
		select {
		case <-timer.C:
		case <-s.gone:
			timer.Stop()
			return
		}
		select {
		case <-changed: // looked at seldom, as many admissions come at once
			var watch []byte
			if watch, changed = s.adapt(); watch != nil { // guard must not block
				s.o.watchers.Go(func() { _ = s.write(wire.FrameWatch, watch) })
			}
		default:
		}
		if err := s.look(&w, tick); err != nil {
			s.cause.Store(&err)
			if s.o.protocol == link.Raft { // that a snapshot failed is noted where it does
				s.o.engine.peers.failed(s.o.peer, link.Raft, err, time.Now())
			}
			s.o.engine.log.Warn("engine: connection replaced",
				"peer", s.o.peer.Short(), "protocol", s.o.protocol, "error", err)
			s.conn.Close()
			return
		}
	}
}

// watched is what guard saw at its last look.
type watched struct {
	acked, signs, written uint64
	silent                int           // ticks without a sign of life
	healthy               int           // ticks with one, or without need of one
	stalled               time.Duration // for how long nothing was read
	mute                  bool          // the peer is of an older release, which acknowledges nothing
}

// look reports what is wrong with the connection, a tick after the last look, and adapts
// the window.
func (s *stream) look(w *watched, tick time.Duration) error {
	last := *w
	outstanding := s.inFlight() > 0
	w.acked, w.signs = s.acked.Load(), s.signs.Load()
	_, w.written = s.conn.Traffic()
	if s.backlog.isWaiting() {
		s.window.Store(min(maxWindow, max(minWindow, 2*int64(w.acked-last.acked))))
	}
	// Without acknowledgments the bytes move, as far as anybody knows, when the kernel
	// takes them.
	moved, pending := w.written != last.written, s.writing.Load() > 0
	if w.signs > 0 {
		moved, pending = w.acked != last.acked, outstanding
	}
	if w.stalled += tick; moved || !pending {
		w.stalled = 0
	}
	if w.stalled >= stallTimeout {
		return fmt.Errorf("%w for %v", errStalled, stallTimeout)
	}
	switch w.healthy++; {
	case w.signs != last.signs || !outstanding:
		w.silent = 0
	case w.mute && w.signs == 0:
	default:
		w.healthy = 0
		if w.silent++; w.silent < silentTicks {
			break
		}
		if w.signs > 0 || s.o.engine.peers.expectsAnswer(s.o.peer) {
			return fmt.Errorf("%w for %v", errSilent, time.Duration(s.patience.Load()))
		}
		w.mute = true
	}
	if w.healthy == healthyTicks && s.o.protocol == link.Raft {
		s.o.engine.peers.recovered(s.o.peer, link.Raft)
	}
	return nil
}

// patience returns for how long a connection to the peer may be silent: the shortest
// election timeout of the replicas that are shared with it. The channel is closed when that
// may have changed.
func (e *Engine) patience(peer sm.PeerID) (d time.Duration, changed <-chan struct{}) {
	shards, changed := e.peers.shards(peer)
	for _, shard := range shards {
		if r := e.replica(shard); r != nil && (d == 0 || r.election < d) {
			d = r.election
		}
	}
	if d == 0 {
		d = defaultPatience
	}
	return max(d, minPatience), changed
}
