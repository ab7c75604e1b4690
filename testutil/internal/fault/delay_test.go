package fault

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlowPipe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipe(false, func(int) {})
		began := time.Now()
		read := func(want string, after time.Duration) {
			t.Helper()
			b := make([]byte, 100)
			n, err := p.read(b, nil)
			if string(b[:n]) != want || err != nil || time.Since(began) != after {
				t.Errorf("read %q after %v, error %v; want %q after %v", b[:n], time.Since(began), err, want, after)
			}
		}
		write := func(text string) {
			t.Helper()
			if _, err := p.write([]byte(text), nil); err != nil {
				t.Fatal(err)
			}
		}
		write("at once")
		p.slow(time.Second)
		write("late, ")
		read("at once", 0)
		time.Sleep(time.Second / 2) // in the bubble
		write("later")
		p.slow(0)
		write(", nothing overtakes")
		read("late, ", time.Second)
		read("later, nothing overtakes", 3*time.Second/2)
		write("at once again")
		read("at once again", 3*time.Second/2)

		p.slow(time.Hour)
		write("last words")
		p.end(io.EOF)
		read("last words", time.Hour+3*time.Second/2)
		if _, err := p.read(make([]byte, 1), nil); err != io.EOF {
			t.Errorf("after the end: %v, want %v", err, io.EOF)
		}
	})
}

func TestDelayedLink(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	w.web.Delay(0, 1, 2*moment)
	dialled, accepted := w.connect(0, 1)
	began := time.Now()
	send(t, dialled, "ping")
	send(t, accepted, "pong") // which is not delayed
	wantText(t, dialled, "pong")
	wantText(t, accepted, "ping")
	if took := time.Since(began); took < 2*moment {
		t.Errorf("it took %v over a link with a delay of %v", took, 2*moment)
	}

	w.web.Delay(0, 1, time.Hour) // connections that there are, too
	send(t, dialled, "never")
	wantSilence(t, accepted)
	w.web.Crash(0)
	if rest, err := io.ReadAll(accepted); bytes.Contains(rest, []byte("never")) {
		t.Errorf("received %q, error %v, from a node that crashed", rest, err)
	}
}

func TestDropEndsConnectionsAndNoMore(t *testing.T) {
	t.Parallel()
	w := newTown(t, 3)
	first, firstAccepted := w.connect(0, 1)
	second, secondAccepted := w.connect(1, 0)
	other, otherAccepted := w.connect(0, 2)
	w.web.Drop(0, 1)
	for _, c := range []net.Conn{first, firstAccepted, second, secondAccepted} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("a dropped connection reads on: %v", err)
		}
	}
	send(t, other, "ping")
	wantText(t, otherAccepted, "ping")
	again, againAccepted := w.connect(0, 1)
	send(t, again, "ping")
	wantText(t, againAccepted, "ping")
}
