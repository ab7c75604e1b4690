package transport

import (
	"context"
	"errors"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// connected returns a stream whose receiver is handler. No goroutine of the stream runs.
func connected(t *testing.T, handler link.Handler) *stream {
	t.Helper()
	b := &enginetest.Book{}
	receiver, peer := enginetest.Listen(t, b, 1)
	receiver.Handle(link.Raft, handler)
	receiver.Serve()
	t.Cleanup(func() { receiver.Close() })
	dialler, _ := enginetest.Listen(t, b, 2)
	t.Cleanup(func() { dialler.Close() })
	addr, err := b.Get(peer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialler.Dial(enginetest.Within(t), addr, peer, link.Raft)
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(t)
	return newStream(&outgoing{transport: s.Transport, peer: s.peer, protocol: link.Raft, done: make(chan struct{}, 1)}, c)
}

func hold(ctx context.Context, _ *link.Conn) { <-ctx.Done() }

// The monitor decides by what the receiver acknowledges.
func TestMonitor(t *testing.T) {
	t.Parallel()
	const tick = time.Second
	for name, c := range map[string]struct {
		step func(s *stream, i int) // before each look
		want error
		at   int // the look that finds it
	}{
		"nothing to acknowledge":       {func(*stream, int) {}, nil, 0},
		"all is acknowledged":          {func(s *stream, i int) { s.sent.Add(10); s.acknowledged(s.sent.Load()) }, nil, 0},
		"never an acknowledgment":      {func(s *stream, i int) { s.sent.Store(10) }, errSilent, silentTicks},
		"no acknowledgment any longer": {func(s *stream, i int) { s.sent.Add(10); onceAt(i, 0, func() { s.acknowledged(5) }) }, errSilent, silentTicks + 1},
		"acknowledgments now and then": {func(s *stream, i int) {
			s.sent.Add(10)
			onceAt(i%silentTicks, 0, func() { s.acknowledged(s.acked.Load() + 1) })
		}, nil, 0},
		"acknowledgments of nothing new": {func(s *stream, i int) { s.sent.Store(10); s.acknowledged(5) }, errStalled, 1 + int(stallTimeout/tick)},
		"acknowledgments of the future":  {func(s *stream, i int) { s.sent.Store(10); s.acknowledged(11) }, errStalled, int(stallTimeout / tick)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := connected(t, hold)
			var h health
			for i := range 3 * int(stallTimeout/tick) {
				c.step(s, i)
				err := s.check(&h, tick)
				if err == nil {
					continue
				}
				if !errors.Is(err, c.want) || i+1 != c.at {
					t.Errorf("look %d: %v; want %v at look %d", i+1, err, c.want, c.at)
				}
				return
			}
			if c.want != nil {
				t.Errorf("nothing was found, want %v", c.want)
			}
		})
	}
}

func onceAt(i, at int, do func()) {
	if i == at {
		do()
	}
}

// A peer of an older release acknowledges nothing. The first connection to it is replaced, since
// it may have been lost; the second one is kept.
func TestPeersThatDoNotAcknowledge(t *testing.T) {
	t.Parallel()
	s := connected(t, hold)
	s.sent.Store(10)
	looks := func() (err error) {
		for h, i := (health{}), 0; i < 100 && err == nil; i++ {
			err = s.check(&h, time.Second)
		}
		return err
	}
	if err := looks(); !errors.Is(err, errSilent) {
		t.Errorf("the first connection: %v, want %v", err, errSilent)
	}
	if err := looks(); err != nil {
		t.Errorf("the second connection: %v", err)
	}
	s.writing.Store(1) // a frame that the kernel does not take
	if err := looks(); !errors.Is(err, errStalled) {
		t.Errorf("a frame that does not move: %v, want %v", err, errStalled)
	}
	s.writing.Store(0)
	s.o.transport.peers.acknowledged(s.o.peer) // a newer program
	if err := looks(); !errors.Is(err, errSilent) {
		t.Errorf("a connection of a peer that did acknowledge: %v, want %v", err, errSilent)
	}
	s.o.transport.Admit(enginetest.Shard, s.o.peer, 3) // an older one in its place
	looks()
	if err := looks(); err != nil {
		t.Errorf("another process of the peer: %v", err)
	}
}

// The window follows the throughput of the link while messages are queued.
func TestWindow(t *testing.T) {
	t.Parallel()
	s := connected(t, hold)
	var h health
	crosses := func(bytes int) int64 {
		s.sent.Add(uint64(bytes) + 1) // something is always in flight
		s.acknowledged(s.acked.Load() + uint64(bytes))
		s.check(&h, time.Millisecond)
		return s.window.Load()
	}
	if got := crosses(1 << 20); got != firstWindow {
		t.Errorf("the window is %d though nothing waits, want %d", got, firstWindow)
	}
	s.backlog.queue = append(s.backlog.queue, pb.Message{})
	for _, c := range []struct{ bytes, want int }{
		{1 << 20, 2 << 20}, {100 << 10, 200 << 10}, {1, minWindow}, {0, minWindow}, {1 << 30, maxWindow}, {30_000, 60_000},
	} {
		if got := crosses(c.bytes); got != int64(c.want) {
			t.Errorf("the window is %d when %d bytes cross in a tick, want %d", got, c.bytes, c.want)
		}
	}
}

// A receiver refuses malformed WATCH frames. A connection replaces the earlier one of its lane.
func TestWatch(t *testing.T) {
	t.Parallel()
	var book enginetest.Book
	receiver, peer := enginetest.Listen(t, &book, 1)
	transport := newSender(t).Transport
	receiver.Handle(link.Raft, transport.ServeRaft)
	receiver.Serve()
	t.Cleanup(func() { receiver.Close() })
	dialer, _ := enginetest.Listen(t, &book, 2)
	dialer.Serve()
	t.Cleanup(func() { dialer.Close() })
	dial := func() *link.Conn { return enginetest.Dial(t, &book, dialer, peer, link.Raft) }
	ack := func(c *link.Conn) {
		t.Helper()
		kind, payload, err := c.ReadFrame(ackSize, nil)
		if err != nil || kind != wire.FrameAck || len(payload) != ackSize {
			t.Fatalf("kind %d, % x, error %v; want an ACK", kind, payload, err)
		}
	}
	watch := func(c *link.Conn, lane byte) {
		t.Helper()
		if err := c.WriteFrame(wire.FrameWatch, []byte{lane, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}); err != nil {
			t.Fatal(err)
		}
		ack(c)
	}
	first, other, second := dial(), dial(), dial()
	for _, c := range []*link.Conn{first, other, second} {
		defer c.Close()
	}
	watch(first, 1)
	watch(first, 1)
	watch(other, 2)
	watch(second, 1)
	enginetest.WantHangUp(t, first)
	watch(other, 2)
	watch(second, 1)
	for what, payload := range map[string][]byte{
		"of another lane": {9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, "that is short": {1}, "that is long": make([]byte, 13),
	} {
		c := dial()
		defer c.Close()
		watch(c, 3)
		if err := c.WriteFrame(wire.FrameWatch, payload); err != nil {
			t.Fatal(err)
		}
		_ = what
		enginetest.WantHangUp(t, c)
	}
}
