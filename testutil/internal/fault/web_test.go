package fault

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestDialHangsUntilHealed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		from, to int
	}{{"there", 0, 1}, {"back", 1, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 3)
			w.web.Cut(tc.from, tc.to)
			d := w.dial(t.Context(), 0, 1)
			w.connect(0, 2)
			select {
			case <-d.done:
				t.Fatalf("a dial over a cut link returned %v, error %v", d.conn, d.err)
			case <-time.After(moment):
			}
			w.web.Heal(tc.from, tc.to)
			if <-d.done; d.err != nil {
				t.Fatal(d.err)
			}
		})
	}
}

func TestDialOverACutLinkEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	w.web.Cut(0, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := w.web.Dial(ctx, 0, "tcp", w.ports[1].Addr())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("dial: %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestDialOfANodeThatIsDown(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	w.web.Down(1)
	_, err := w.web.Dial(t.Context(), 0, "tcp", w.ports[1].Addr())
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a node that is down: %v, want %v", err, syscall.ECONNREFUSED)
	}
	if _, err := w.web.Dial(t.Context(), 1, "tcp", w.ports[0].Addr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial from a node that is down: %v, want %v", err, net.ErrClosed)
	}

	w.lns[1].Close()
	w.lns[1] = w.ports[1].Listen()
	w.web.Up(1)
	dialled, accepted := w.connect(0, 1)
	send(t, dialled, "back")
	wantText(t, accepted, "back")
}

// A connection that is forgotten carries nothing in either direction, not even its end,
// and healing does not help. Others work.
func TestForget(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	if w.web.Forget(0, 1) {
		t.Error("a connection was forgotten where there is none")
	}
	dialled, accepted := w.connect(0, 1)
	if !w.web.Forget(1, 0) || w.web.Forget(1, 0) {
		t.Fatal("the connection was not forgotten, or twice")
	}
	w.web.Cut(0, 1)
	w.web.Heal(0, 1)
	send(t, dialled, "lost")
	send(t, accepted, "lost")
	dialled.Close()
	other, peer := w.connect(0, 1)
	send(t, other, "arrives")
	wantText(t, peer, "arrives")
	w.web.Close()
	if n, err := accepted.Read(make([]byte, 10)); n > 0 {
		t.Errorf("read %d bytes of a forgotten connection, error %v", n, err)
	}
}

func TestDialOfAnAddressOutside(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := w.web.Dial(t.Context(), 0, "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	held, _ := w.connect(0, 1)
	w.web.Cut(0, 1)
	w.web.Cut(1, 0)
	send(t, held, "never arrives")
	held.Close()
	d := w.dial(t.Context(), 0, 1)
	w.web.Close()
	if <-d.done; !errors.Is(d.err, net.ErrClosed) {
		t.Errorf("dial on a closed web: %v, want %v", d.err, net.ErrClosed)
	}
	w.web.Close()
}

func TestPortWithoutANodeTurnsConnectionsAway(t *testing.T) {
	t.Parallel()
	p, err := OpenPort()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a port without a node", n)
	}
	ln := p.Listen()
	ln.Close()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept on a closed listener: %v, want %v", err, net.ErrClosed)
	}
}

func TestCutAfter(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	dialled, accepted := w.connect(0, 1)
	healed := w.web.CutAfter(1, 0, 1)
	w.web.Heal(1, 0)
	spent := w.web.CutAfter(0, 1, 10)
	send(t, dialled, "01234")
	wantText(t, accepted, "01234")
	select {
	case <-spent:
		t.Fatal("the link is cut after half of the bytes")
	default:
	}
	later, acceptedLater := w.connect(0, 1)
	send(t, later, "56789")
	wantText(t, acceptedLater, "56789")
	<-spent
	send(t, dialled, "held")
	wantSilence(t, accepted)
	send(t, accepted, "back")
	wantText(t, dialled, "back")
	w.web.Heal(0, 1)
	wantText(t, accepted, "held")
	select {
	case <-healed:
		t.Error("the other direction was cut, although it was healed")
	default:
	}
}
