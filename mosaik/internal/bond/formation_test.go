package bond

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
)

// TestFormationTakesTwoDials has nodes discover each other through one seed while a dial takes
// some time. Each needs one dial to the seed and one to each other node. No pair dials twice.
func TestFormationTakesTwoDials(t *testing.T) {
	const n, pairs = 12, 12 * 11 / 2
	for _, took := range []time.Duration{0, 30 * time.Millisecond, 300 * time.Millisecond} {
		bubble(t, func(t *testing.T) {
			w := &web{}
			begin := time.Now()
			var nodes []*node
			for i := range n {
				nodes = append(nodes, startNode(t, i, func(s *setup) {
					onWeb(w, fmt.Sprintf("127.0.0.%d:1", 1+i), nil)(s)
					dial := s.dial
					s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
						time.Sleep(took)
						return dial(ctx, network, addr)
					}
					s.config.Redial = rate.Bounds{}
					if i > 0 {
						s.config.Seeds = []string{"127.0.0.1:1"}
					}
				}))
			}
			for _, a := range nodes {
				for _, b := range nodes {
					if a != b {
						a.awaitEntry(b.peer(), anyEntry)
						a.awaitConn(b.peer(), anyConn)
					}
				}
			}
			if got := time.Since(begin); got > 2*took {
				t.Errorf("it took %v, and a dial takes %v; want at most two dials", got, took)
			}
			if got := len(w.others("")); got != pairs {
				t.Errorf("%d dials for %d pairs", got, pairs)
			}
			for _, n := range nodes {
				n.stop()
			}
			synctest.Wait()
		})
	}
}
