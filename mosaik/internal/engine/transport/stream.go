package transport

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
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

// The window is how many bytes may be in flight on a connection for Raft. Further bytes wait
// here, where messages without entries can overtake them: a heartbeat must not wait until
// megabytes have crossed a slow link.
const (
	firstWindow = 128 << 10
	minWindow   = 32 << 10
	maxWindow   = 8 << 20
)

// stream is one connection on which this end sends data. It belongs to its outgoing. Three
// kinds of goroutines use it: the one of dragonboat that sends, listen, and monitor.
type stream struct {
	o              *outgoing
	conn           *link.Conn
	acknowledges   bool          // the peer has acknowledged data on an earlier connection
	ended          chan struct{} // closed when the connection has ended
	acknowledgment chan struct{} // holds a token when an ACK has arrived

	sent       atomic.Uint64 // bytes of frames that were handed to the connection
	acked      atomic.Uint64 // of these, how many the receiver has read
	acks       atomic.Uint64 // ACK frames that have arrived
	writing    atomic.Int32  // calls of write in flight
	window     atomic.Int64  // in bytes
	ackTimeout atomic.Int64  // a time.Duration: how long nothing may be acknowledged
	cause      atomic.Pointer[error]

	backlog backlog
}

func newStream(o *outgoing, conn *link.Conn) *stream {
	s := &stream{
		o: o, conn: conn, acknowledges: o.transport.peers.acknowledges(o.peer),
		ended: make(chan struct{}), acknowledgment: make(chan struct{}, 1),
	}
	s.window.Store(firstWindow)
	s.backlog.replicas = map[replicaKey]*progress{}
	return s
}

// start asks for acknowledgments. The goroutines that it starts end with the connection, and
// the outgoing waits for them.
func (s *stream) start() {
	watch, changed := s.adapt()
	_ = s.write(wire.FrameWatch, watch) // before all data; listen also learns of a failure
	s.o.running.Go(s.listen)
	s.o.running.Go(func() { s.monitor(changed) })
}

// adapt derives the ackTimeout from the replicas that are shared with the peer. It returns the
// WATCH that tells the receiver, nil if the timeout is the same, and a channel that is closed
// when the timeout may have changed.
func (s *stream) adapt() (watch []byte, changed <-chan struct{}) {
	timeout, changed := s.o.transport.ackTimeout(s.o.peer)
	if s.ackTimeout.Swap(int64(timeout)) == int64(timeout) {
		return nil, changed
	}
	watch = binary.BigEndian.AppendUint64(nil, s.o.lane)
	return binary.BigEndian.AppendUint32(watch, uint32(timeout/8/time.Millisecond)), changed
}

// inFlight returns how many bytes were sent and are not acknowledged.
func (s *stream) inFlight() int64 { return int64(s.sent.Load() - s.acked.Load()) }

// isPaced reports whether the receiver is known to acknowledge what arrives.
func (s *stream) isPaced() bool { return s.acknowledges || s.acks.Load() > 0 }

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

// why returns why monitor closed the connection, or err if it did not.
func (s *stream) why(err error) error {
	if cause := s.cause.Load(); cause != nil {
		return *cause
	}
	return err
}

// listen handles the receiver's frames until the connection ends. It also notices that end;
// otherwise one message would be lost first.
func (s *stream) listen() {
	defer s.o.drop(s)
	defer close(s.ended)
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

// acknowledged handles an ACK. One for bytes that were not sent, or were acknowledged before,
// shows only that the peer is alive.
func (s *stream) acknowledged(received uint64) {
	if acked := s.acked.Load(); received > acked && received <= s.sent.Load() {
		s.acked.Store(received)
		if s.backlog.isWaiting() {
			s.window.Store(min(maxWindow, s.window.Load()+int64(received-acked)))
		}
	}
	if s.acks.Add(1) == 1 {
		s.o.transport.peers.acknowledged(s.o.peer)
	}
	select {
	case s.acknowledgment <- struct{}{}:
	default:
	}
}
