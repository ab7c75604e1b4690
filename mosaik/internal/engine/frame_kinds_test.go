package engine

import (
	"slices"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
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
		if wire.IsKnown(uint8(kind)) {
			continue
		}
		for _, payload := range [][]byte{nil, {1, 2, 3}} {
			if err := c.WriteFrame(uint8(kind), payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.WriteFrame(99, make([]byte, wire.MaxBatch)); err != nil {
		t.Fatal(err)
	}
	// A proposal shows that this one is read. The leader is elsewhere, so it may be lost
	// and is made again.
	applied := func() bool { return slices.Contains(data(g.recs[2].entries()), "after") }
	for key := uint64(1); !applied(); key++ {
		propose := enginetest.Batch(pb.Message{Type: pb.Propose, ShardID: shard, From: 9, To: 3, Entries: []pb.Entry{
			{Type: pb.EncodedEntry, Key: key, ClientID: wire.ProposalClient, Cmd: append([]byte{0}, "after"...)}}})
		if err := c.WriteFrame(wire.FrameBatch, enginetest.Marshal(&propose)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-time.After(tick):
		case <-enginetest.Within(t).Done():
			t.Fatal("a frame that follows those of unknown kinds was not read")
		}
	}
}
