package engine

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// TestMemoryBomb has peers send frames that used to cost 150 times their length: one
// without a bond, of which nothing is read, and a member, whose frame is not decoded.
func TestMemoryBomb(t *testing.T) {
	g := newGroup(t, 1, nil)
	victim := g.nodes[0]
	a := newAdversary(t, victim)
	bomb := bytes.Repeat([]byte{1<<3 | 2, 0}, wire.MaxBatch/2) // messages of no bytes
	for _, admitted := range []bool{false, true} {
		c := a.dial(link.Raft)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if admitted {
			victim.engine.Admit(shard, a.peer, 9)
		} else if err := c.SetWriteDeadline(time.Now().Add(time.Second / 2)); err != nil {
			t.Fatal(err)
		}
		err := c.WriteFrame(wire.FrameBatch, bomb) // more than the system's buffers hold
		if !admitted {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a large frame of a stranger is read: %v", err)
			}
			c.Close()
		} else {
			enginetest.WantHangUp(t, c)
		}
		runtime.ReadMemStats(&after)
		// The sender's part is one copy of the frame, the reader's memory doubles until
		// the frame has room.
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(6*len(bomb)); got > most {
			t.Errorf("admitted: %v: a frame of %d bytes costs %d, want %d at most", admitted, len(bomb), got, most)
		}
	}
	must(t, g.replicas[0], "after")
}

// TestLargeFrameWaitsForTheAnnouncement has peers send large frames before they are
// admitted. Each is read once its sender is.
func TestLargeFrameWaitsForTheAnnouncement(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1, nil)
	for i := range uint64(8) {
		a := newAdversary(t, g.nodes[0])
		c := a.dial(link.Raft)
		defer c.Close()
		data := append([]byte{wire.PlainPayload, byte(i)}, make([]byte, 100<<10)...)
		m := pb.Message{Type: pb.Propose, ShardID: shard, From: 9 + i, To: 1,
			Entries: []pb.Entry{{Type: pb.EncodedEntry, Key: 1 + i, ClientID: wire.ProposalClient, Cmd: data}}}
		if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(m)); err != nil {
			t.Fatal(err)
		}
		g.nodes[0].engine.Admit(shard, a.peer, 9+i)
	}
	rec := g.recs[0]
	rec.wait(t, "all proposals to be applied", func() bool { return len(rec.applied) == 8 })
}
