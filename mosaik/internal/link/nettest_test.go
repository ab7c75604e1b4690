package link

import (
	"net"
	"sync"
	"testing"

	"golang.org/x/net/nettest"
)

// oneReader lets goroutines read one after the other. The suite reads concurrently, which the
// contract of [Conn] does not allow.
type oneReader struct {
	*Conn
	reading sync.Mutex
}

func (r *oneReader) Read(b []byte) (int, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.Conn.Read(b)
}

// TestNetConn runs the test suite for implementations of net.Conn. Its tests that write after a write
// has exceeded its deadline cannot pass: the connection is then unusable, like every TLS
// connection, since the other end may have a part of a record. The suite cannot omit tests, so
// these run on pipes.
func TestNetConn(t *testing.T) {
	t.Parallel()
	order := []string{"BasicIO", "PingPong", "RacyRead", "RacyWrite", "ReadTimeout", "WriteTimeout", "PastTimeout",
		"PresentTimeout", "FutureTimeout", "CloseTimeout", "ConcurrentMethods"}
	excluded := map[string]bool{"PastTimeout": true, "FutureTimeout": true, "ConcurrentMethods": true}
	server, conns := accepting(t, 2, nil)
	client := listen(t, 1, nil)
	for _, from := range []string{"dialling", "accepting"} {
		t.Run(from, func(t *testing.T) {
			calls := 0
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				calls++
				if calls <= len(order) && excluded[order[calls-1]] {
					c1, c2 = net.Pipe()
					return c1, c2, func() { c1.Close(); c2.Close() }, nil
				}
				dialled, err := client.Dial(t.Context(), server.Addr().String(), server.config.Identity.Peer(), Bond)
				if err != nil {
					return nil, nil, nil, err
				}
				c1, c2 = &oneReader{Conn: dialled}, &oneReader{Conn: <-conns}
				if from == "accepting" {
					c1, c2 = c2, c1
				}
				return c1, c2, func() { c1.Close(); c2.Close() }, nil
			})
			if calls != len(order) {
				t.Errorf("the suite has %d tests, want the %d that are known", calls, len(order))
			}
		})
	}
}
