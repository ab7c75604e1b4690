package engine

import (
	"fmt"
	"slices"
	"sync"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// marshalled keeps the buffers in which messages are encoded.
var marshalled = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is the largest buffer that is kept, in bytes.
const maxKept = 1 << 20

// marshal sends a frame of at most size bytes.
func (s *stream) marshal(kind uint8, size int, marshalTo func([]byte) (int, error)) error {
	buf := marshalled.Get().(*[]byte)
	defer marshalled.Put(buf)
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
	s.o.engine.noteSent(batch.Requests)
	return wire.Cut(batch, func(piece pb.MessageBatch) error {
		return s.marshal(wire.FrameBatch, piece.SizeUpperLimit(), piece.MarshalTo)
	})
}

// send sends a batch now, as far as there is room in the window, and the rest later. It
// changes batch.Requests.
func (s *stream) send(batch pb.MessageBatch) error {
	if !s.isPaced() {
		return s.sendBatch(batch)
	}
	at := position{acked: s.acked.Load(), now: time.Now(), patience: time.Duration(s.patience.Load())}
	direct, lost, begin := s.backlog.sort(batch.Requests, s.window.Load()-s.inFlight(), at)
	if begin {
		s.startDrain(batch)
	}
	s.o.unreachable(lost)
	if batch.Requests = direct; len(direct) == 0 {
		return nil
	}
	err := s.sendBatch(batch)
	s.backlog.wrote(direct, s.sent.Load())
	return err
}

// startDrain is apart from send because what a closure refers to is allocated.
func (s *stream) startDrain(batch pb.MessageBatch) {
	s.o.watchers.Go(func() { s.drain(batch) })
}

// drain sends what waits until nothing does, or the connection ends.
func (s *stream) drain(batch pb.MessageBatch) {
	for {
		for s.inFlight() >= s.window.Load() {
			select {
			case <-s.news:
			case <-s.gone:
				return
			}
		}
		aim := min(maxPiece, max(minPiece, int(s.window.Load()/4)))
		messages, more := s.backlog.take(aim)
		if !more {
			return
		}
		batch.Requests = messages
		if err := s.sendBatch(batch); err != nil {
			return // drop reports what is lost
		}
		s.backlog.wrote(messages, s.sent.Load())
	}
}
