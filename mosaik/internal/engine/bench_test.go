package engine

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkPropose proposes 16 bytes on three nodes in this process, with TLS
// between them and logs in memory, from the leader's node.
func BenchmarkPropose(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			g := newGroup(b, 3, nil)
			must(b, g.replicas[0], "warm up")
			data := make([]byte, 16)
			ctx := within(b)
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
