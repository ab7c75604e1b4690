package bond

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
)

// faults dials connections that can fail unnoticed by the other end.
type faults struct {
	mu    sync.Mutex
	conns []*faultyConn
}

// use makes a node dial through the faults.
func (f *faults) use(t testing.TB) func(*setup) {
	t.Cleanup(func() {
		f.each(func(c *faultyConn) { c.Conn.Close() })
	})
	return func(s *setup) {
		s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			c := &faultyConn{Conn: raw}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.conns = append(f.conns, c)
			return c, nil
		}
	}
}

func (f *faults) each(do func(*faultyConn)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		do(c)
	}
}

// mute makes the present connections deliver nothing in either direction.
func (f *faults) mute() { f.each(func(c *faultyConn) { c.set(true, false) }) }

// lose makes the present connections fail at this end. At the other end they are open and silent.
func (f *faults) lose() { f.each(func(c *faultyConn) { c.set(false, true) }) }

type faultyConn struct {
	net.Conn
	mu          sync.Mutex
	muted, lost bool
}

var errLost = errors.New("lost for the test")

func (c *faultyConn) set(muted, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muted, c.lost = muted, lost
	if lost {
		c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *faultyConn) state() (muted, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.muted, c.lost
}

func (c *faultyConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		switch muted, lost := c.state(); {
		case lost:
			return 0, errLost
		case err != nil || !muted:
			return n, err
		}
	}
}

func (c *faultyConn) Write(b []byte) (int, error) {
	switch muted, lost := c.state(); {
	case lost:
		return 0, errLost
	case muted:
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *faultyConn) Close() error {
	if _, lost := c.state(); lost {
		return nil
	}
	return c.Conn.Close()
}

// joinPair joins the test group at both nodes and waits for the bond.
func joinPair(t *testing.T, a, b *node, beat Heartbeat) (ar, br *recorder) {
	t.Helper()
	ar, br = newRecorder(), newRecorder()
	ag, bg := testGroup(ar, "of a"), testGroup(br, "of b")
	ag.Heartbeat, bg.Heartbeat = beat, beat
	a.join(ag)
	b.join(bg)
	ar.want(t, up(b, "of b"))
	br.want(t, up(a, "of a"))
	return ar, br
}

// bothOrders runs a test twice, with each of two nodes as the one that selects connections.
func bothOrders(t *testing.T, f func(t *testing.T, a, b int)) {
	t.Run("the dialler follows", func(t *testing.T) { t.Parallel(); f(t, 0, 1) })
	t.Run("the dialler decides", func(t *testing.T) { t.Parallel(); f(t, 1, 0) })
}

// dialsOnly makes a node that cannot be dialled dial others through the faults.
func dialsOnly(t *testing.T, f *faults, others ...*node) func(*setup) {
	return func(s *setup) {
		f.use(t)(s)
		seeds(others...)(s)
		s.noAddr = true
	}
}

func TestSilentPeer(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, i, j int) {
		var f faults
		a := startNode(t, i, nil)
		b := startNode(t, j, func(s *setup) {
			dialsOnly(t, &f, a)(s)
			// Otherwise a new connection could end the old one before a detects the loss.
			s.config.Redial = rate.Bounds{Min: 2 * time.Second}
		})
		ar, br := joinPair(t, a, b, Heartbeat{Interval: 200 * time.Millisecond, Jitter: 50 * time.Millisecond, MaxMissed: 5})
		f.mute()
		ar.want(t, down(b, consensus.CodeTimeout))
		br.want(t, down(a, consensus.CodeTimeout))
		ar.await(t, up(b, "of b")) // on a new connection
		br.await(t, up(a, "of a"))
	})
}

// TestLostConnection has one end lose the connection while it is open at the other end. The
// redial must replace the connection that the other end holds.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, i, j int) {
		var f faults
		a := startNode(t, i, nil)
		b := startNode(t, j, dialsOnly(t, &f, a))
		ar, br := joinPair(t, a, b, calm)
		for range 3 {
			f.lose()
			br.want(t, down(a, consensus.CodeUnexpectedClose))
			ar.want(t, down(b, consensus.CodeUnexpectedClose))
			ar.want(t, up(b, "of b"))
			br.want(t, up(a, "of a"))
		}
	})
}

// TestRestart has a process crash without its peer detecting it, and restart with the same
// identity.
func TestRestart(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, i, j int) {
		var f faults
		a := startNode(t, i, nil)
		b := startNode(t, j, dialsOnly(t, &f, a))
		ar, _ := joinPair(t, a, b, calm)
		f.lose()
		b.crash()
		ar.wantNothing(t)

		again := startNode(t, j, dialsOnly(t, &f, a))
		br := newRecorder()
		again.join(testGroup(br, "of b again"))
		ar.want(t, down(b, consensus.CodeUnexpectedClose))
		ar.await(t, up(b, "of b again")) // its old entry lists the group before it has joined
		br.await(t, up(a, "of a"))
	})
}

func TestCrashAndComeBack(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, i, j int) {
		a := startNode(t, i, nil)
		b := startNode(t, j, seeds(a))
		ar, _ := joinPair(t, a, b, calm)
		addr := b.addr()
		b.crash()
		ar.want(t, down(b, consensus.CodeUnexpectedClose))

		// The new process does not know a, so a has to dial.
		again := startNode(t, j, func(s *setup) { s.listen = addr })
		br := newRecorder()
		again.join(testGroup(br, "of b again"))
		ar.await(t, up(b, "of b again"))
		br.await(t, up(a, "of a"))
	})
}

// TestSimultaneousDials has the first dials of two nodes cross, repeatedly.
func TestSimultaneousDials(t *testing.T) {
	t.Parallel()
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for range rounds {
		crossedDials(t)
		if t.Failed() {
			return
		}
	}
}

func crossedDials(t *testing.T) {
	var nodes [2]*node
	var recorders [2]*recorder
	var listeners [2]net.Listener
	for i := range listeners {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	var dialled sync.WaitGroup // both nodes have connected a socket
	dialled.Add(2)
	for i := range nodes {
		var first sync.Once
		nodes[i] = startNode(t, i, func(s *setup) {
			s.listener = listeners[i]
			s.config.Seeds = []string{listeners[1-i].Addr().String()}
			s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				first.Do(func() { dialled.Done(); dialled.Wait() })
				return c, err
			}
		})
		recorders[i] = newRecorder()
		nodes[i].join(testGroup(recorders[i], "hello"))
	}
	for i, r := range recorders {
		r.want(t, up(nodes[1-i], "hello"))
	}
	a, b := nodes[0], nodes[1]
	c := a.awaitConn(b.peer(), func(c *conn) bool { return len(c.p.conns) == 1 })
	d := b.awaitConn(a.peer(), func(c *conn) bool { return len(c.p.conns) == 1 })
	if c.lc.LocalAddr().String() != d.lc.RemoteAddr().String() || c.lc.Dialled() == d.lc.Dialled() {
		t.Errorf("the nodes keep different connections: %v and %v", c.lc.LocalAddr(), d.lc.RemoteAddr())
	}
	a.stop()
	recorders[0].want(t, down(b, consensus.CodeCancelled))
	recorders[1].want(t, down(a, consensus.CodeCancelled))
	b.stop()
	if a.manager.last.sel != 1 {
		t.Errorf("%d connections were selected, want 1", a.manager.last.sel)
	}
}

// TestUnreachableSeed counts the log lines while a seed cannot be reached.
func TestUnreachableSeed(t *testing.T) {
	t.Parallel()
	logs := newLogs()
	attempts := make(chan error)
	a := startNode(t, 0, func(s *setup) {
		s.config.Seeds = []string{"127.0.0.1:7"}
		s.config.Logger = slog.New(logs)
		s.dial = func(ctx context.Context, _, addr string) (net.Conn, error) {
			select {
			case err := <-attempts:
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
	first, second := errors.New("first"), errors.New("second")
	for _, err := range []error{first, first, first, second, second, first, first} { // the end of the test may cut the last one
		attempts <- err
	}
	a.stop()
	var got []string
	for _, line := range logs.lines() {
		if strings.HasPrefix(line, "cannot reach") {
			got = append(got, line)
		}
	}
	if len(got) != 3 {
		t.Errorf("logged %d times, want one line for each change of the error, 3:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	logs := newLogs()
	a := startNode(t, 0, func(s *setup) {
		s.config.ForgetAfter = 50 * time.Millisecond
		s.config.Logger = slog.New(logs)
	})
	b := startNode(t, 1, seeds(a))
	a.awaitEntry(b.peer(), anyEntry)
	a.awaitConn(b.peer(), anyConn)
	b.crash()
	logs.await(t, "forgot a peer")
	if _, known := a.catalog.Get(b.peer()); known {
		t.Error("the catalog still has the entry")
	}
	again := startNode(t, 1, seeds(a))
	a.awaitEntry(again.peer(), anyEntry)
}

// logs is a slog.Handler that keeps the log lines.
type logs struct {
	mu   sync.Mutex
	all  []string
	news chan struct{}
}

func newLogs() *logs { return &logs{news: make(chan struct{})} }

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }
func (l *logs) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	line += " level=" + r.Level.String()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
	close(l.news)
	l.news = make(chan struct{})
	return nil
}

func (l *logs) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// await waits for a log line that begins with text and returns it.
func (l *logs) await(t *testing.T, text string) string {
	t.Helper()
	for timeout := time.After(patience); ; {
		l.mu.Lock()
		news := l.news
		l.mu.Unlock()
		lines := l.lines()
		if i := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, text) }); i >= 0 {
			return lines[i]
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("%q was not logged in time", text)
		}
	}
}
