package transport

import (
	"fmt"
	"slices"
	"sync"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// buffers holds buffers in which messages are encoded.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is the largest buffer that is kept for later use, in bytes.
const maxKept = 1 << 20

// marshal sends a frame of at most size bytes.
func (s *stream) marshal(kind uint8, size int, marshalTo func([]byte) (int, error)) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b := slices.Grow((*buf)[:0], size)[:size]
	if size <= maxKept {
		*buf = b
	}
	n, err := marshalTo(b)
	if err != nil {
		return fmt.Errorf("engine: encode message: %w", err)
	}
	return s.write(kind, b[:n])
}

// sendBatch sends a batch in frames of a bounded size.
func (s *stream) sendBatch(batch pb.MessageBatch) error {
	s.o.transport.noteSent(batch.Requests)
	return wire.Cut(batch, func(piece pb.MessageBatch) error {
		return s.marshal(wire.FrameBatch, piece.SizeUpperLimit(), piece.MarshalTo)
	})
}

// send sends the part of a batch for which the window has room, and queues the rest. It changes
// batch.Requests.
func (s *stream) send(batch pb.MessageBatch) error {
	if !s.isPaced() {
		return s.sendBatch(batch)
	}
	at := position{acked: s.acked.Load(), now: time.Now(), ackTimeout: time.Duration(s.ackTimeout.Load())}
	direct, lost, begin := s.backlog.enqueue(batch.Requests, s.window.Load()-s.inFlight(), at)
	if begin {
		s.startDrain(batch)
	}
	s.o.unreachable(lost)
	if batch.Requests = direct; len(direct) == 0 {
		return nil
	}
	err := s.sendBatch(batch)
	s.backlog.noteWritten(direct, s.sent.Load())
	return err
}

// startDrain is not a part of send, because what a closure refers to is allocated.
func (s *stream) startDrain(batch pb.MessageBatch) {
	s.o.running.Go(func() { s.drain(batch) })
}

// drain sends queued messages until there are none, or the connection ends.
func (s *stream) drain(batch pb.MessageBatch) {
	for {
		for s.inFlight() >= s.window.Load() {
			select {
			case <-s.acknowledgment:
			case <-s.ended:
				return
			}
		}
		size := min(maxPiece, max(minPiece, int(s.window.Load()/4)))
		messages, more := s.backlog.dequeue(size)
		if !more {
			return
		}
		batch.Requests = messages
		if err := s.sendBatch(batch); err != nil {
			return // drop reports what is lost
		}
		s.backlog.noteWritten(messages, s.sent.Load())
	}
}
