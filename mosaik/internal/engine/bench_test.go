package engine

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// BenchmarkPropose proposes 16 bytes on three nodes in this process, with TLS
// between them and logs in memory, from the leader's node.
func BenchmarkPropose(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			g := newGroup(b, 3, nil)
			must(b, g.replicas[0], "warm up")
			data := make([]byte, 16)
			ctx := enginetest.Within(b)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			done := make(chan error, callers)
			for range callers {
				go func() {
					for left.Add(-1) >= 0 {
						if err := g.replicas[0].Propose(ctx, data); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
		})
	}
}

// BenchmarkReceive decodes what a follower receives from its leader, and hands it on:
// answers to heartbeats, which a follower ignores, and appends of 16 bytes that it
// has, which it answers.
func BenchmarkReceive(b *testing.B) {
	g := newGroup(b, 3, nil)
	must(b, g.replicas[0], "warm up")
	_, term, _ := g.replicas[0].Leader()
	entry := pb.Entry{Type: pb.EncodedEntry, Key: 1, ClientID: wire.ProposalClient, Index: 2, Term: uint64(term), Cmd: make([]byte, 17)}
	answer := pb.Message{Type: pb.HeartbeatResp, ShardID: shard, From: 1, To: 2, Term: uint64(term)}
	appends := pb.Message{Type: pb.Replicate, ShardID: shard, From: 1, To: 2, Term: uint64(term), LogIndex: 1, LogTerm: 1}
	for range 16 {
		entry.Index = appends.LogIndex + 1 + uint64(len(appends.Entries))
		appends.Entries = append(appends.Entries, entry)
	}
	victim := g.nodes[1].engine
	for what, m := range map[string]pb.Message{"answer": answer, "appends=16": appends} {
		for _, n := range []int{1, 64} {
			frame := enginetest.Frame(slices.Repeat([]pb.Message{m}, n)...)
			b.Run(fmt.Sprintf("%s/messages=%d", what, n), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(frame)))
				for range b.N {
					batch, err := wire.DecodeBatch(frame)
					if err != nil {
						b.Fatal(err)
					}
					if err := victim.transport.Receive(g.nodes[0].peer, batch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
