package fault

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

// TestNetConn runs the test suite for implementations of net.Conn on a connection
// between two nodes, of which the dialling end is ours, from either end.
func TestNetConn(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	for _, from := range []string{"dialling", "accepting"} {
		t.Run(from, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				c1, c2 = w.connect(0, 1)
				stop = func() { c1.Close(); c2.Close() }
				if from == "accepting" {
					c1, c2 = c2, c1
				}
				return c1, c2, stop, nil
			})
		})
	}
}
