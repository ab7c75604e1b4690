package fault

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end sooner in every passing test.
const patience = time.Minute

// moment is how long a check that nothing happens looks. Such a check can miss a
// fault, but never sees one that is not there.
const moment = 30 * time.Millisecond

// town is a web of nodes and what they accepted.
type town struct {
	t     testing.TB
	web   *Web
	ports []*Port
	lns   []net.Listener
}

// newTown returns n nodes that are up and listen. It is closed with the test.
func newTown(t testing.TB, n int) *town {
	t.Helper()
	w := &town{t: t, web: NewWeb()}
	for i := range n {
		p, err := OpenPort()
		if err != nil {
			t.Fatal(err)
		}
		w.ports, w.lns = append(w.ports, p), append(w.lns, p.Listen())
		w.web.Place(i, p.Addr())
		w.web.Up(i)
	}
	t.Cleanup(func() {
		w.web.Close()
		for i, p := range w.ports {
			if err := p.Close(); err != nil {
				t.Errorf("close port %d: %v", i, err)
			}
		}
	})
	return w
}

// connect returns both ends of a connection between two nodes.
func (w *town) connect(from, to int) (dialled, accepted net.Conn) {
	w.t.Helper()
	dialled, err := w.web.Dial(w.t.Context(), from, "tcp", w.ports[to].Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	accepted, err = w.lns[to].Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range []net.Conn{dialled, accepted} {
		w.t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			w.t.Fatal(err)
		}
	}
	return dialled, accepted
}

// dialling is a Dial that is under way.
type dialling struct {
	conn net.Conn
	err  error
	done chan struct{}
}

// dial begins to dial and returns at once.
func (w *town) dial(ctx context.Context, from, to int) *dialling {
	d := &dialling{done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.conn, d.err = w.web.Dial(ctx, from, "tcp", w.ports[to].Addr())
	}()
	w.t.Cleanup(func() {
		w.web.Close()
		<-d.done
		if d.conn != nil {
			d.conn.Close()
		}
	})
	return d
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("send %q: %v", text, err)
	}
}

// wantText fails the test unless text comes next.
func wantText(t testing.TB, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if n, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("received %q, error %v; want %q", b[:n], err, text)
	}
}

// wantSilence fails the test if anything comes within a moment.
func wantSilence(t testing.TB, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(moment))
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("received %d bytes, error %v; want a timeout", n, err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
}
