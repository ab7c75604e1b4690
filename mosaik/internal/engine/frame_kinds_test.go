package engine

import (
	"context"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// A newer peer may send frames of kinds that are not known here. What follows them
// on the same connection counts.
func TestUnknownFramesAreIgnored(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	must(t, g.replicas[0], "before")
	a := newAdversary(t, g.nodes[2])
	g.nodes[2].engine.Admit(shard, a.peer, 9)
	c := a.dial(link.Raft)
	defer c.Close()
	for kind := range 256 {
		if isKnown(uint8(kind)) {
			continue
		}
		for _, payload := range [][]byte{nil, {1, 2, 3}} {
			if err := c.WriteFrame(uint8(kind), payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.WriteFrame(99, make([]byte, maxBatch)); err != nil {
		t.Fatal(err)
	}
	// This one ends the replica.
	heartbeat := batchOf(pb.Message{Type: pb.Heartbeat, ShardID: shard, From: 9, To: 3, Term: 1, Commit: 1_000_000})
	if err := c.WriteFrame(frameBatch, marshal(ptr(heartbeat))); err != nil {
		t.Fatal(err)
	}
	g.recs[2].wait(t, "the frame behind those of unknown kinds", func() bool { return len(g.recs[2].failures) > 0 })
}

// What is not known on a connection that was dialled to send is ignored as well.
func TestUnknownAnswersAreIgnored(t *testing.T) {
	t.Parallel()
	book := &book{addrs: map[sm.PeerID]string{}}
	receiver, peer := listen(t, book, 1)
	receiver.Handle(link.Snapshot, func(ctx context.Context, c *link.Conn) {
		defer c.Close()
		for kind := range 256 {
			if !isKnown(uint8(kind)) {
				c.WriteFrame(uint8(kind), make([]byte, maxAnswer))
			}
		}
		c.WriteFrame(frameDone)
		c.WriteFrame(frameBatch) // no answer
		<-ctx.Done()
	})
	receiver.Serve()
	t.Cleanup(func() { receiver.Close() })
	sender, _ := listen(t, book, 2)
	t.Cleanup(func() { sender.Close() })
	addr, err := book.get(peer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sender.Dial(within(t), addr, peer, link.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	o, gone := &outgoing{done: make(chan struct{}, 1)}, make(chan struct{})
	go o.watch(c, gone)
	for what, done := range map[string]chan struct{}{"the answer": o.done, "the end": gone} {
		select {
		case <-done:
		case <-within(t).Done():
			t.Errorf("waited in vain for %s", what)
		}
	}
}
