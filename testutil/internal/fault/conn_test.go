package fault

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestConnDelivers(t *testing.T) {
	t.Parallel()
	dialled, accepted := newTown(t, 2).connect(0, 1)
	send(t, dialled, "ping")
	wantText(t, accepted, "ping")
	send(t, accepted, "pong")
	wantText(t, dialled, "pong")
}

func TestConnDeliversMoreThanItHolds(t *testing.T) {
	t.Parallel()
	dialled, accepted := newTown(t, 2).connect(0, 1)
	want := bytes.Repeat([]byte("0123456789abcdef"), 4*capacity/16)
	failed := make(chan error, 2)
	go func() {
		_, err := dialled.Write(want)
		failed <- errors.Join(err, dialled.Close())
	}()
	got, err := io.ReadAll(accepted)
	if err := errors.Join(err, <-failed); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes arrived, and not as the %d that were sent", len(got), len(want))
	}
}

func TestCloseCarriesOverWhatWasWritten(t *testing.T) {
	t.Parallel()
	dialled, accepted := newTown(t, 2).connect(0, 1)
	send(t, dialled, "goodbye")
	if err := dialled.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(accepted); string(rest) != "goodbye" || err != nil {
		t.Fatalf("received %q, error %v; want all of %q", rest, err, "goodbye")
	}
	if _, err := dialled.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v, want %v", err, net.ErrClosed)
	}
	if _, err := dialled.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v, want %v", err, net.ErrClosed)
	}
	if err := dialled.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second close: %v, want %v", err, net.ErrClosed)
	}
}

func TestConnSeesTheOtherEndClose(t *testing.T) {
	t.Parallel()
	dialled, accepted := newTown(t, 2).connect(0, 1)
	send(t, accepted, "goodbye")
	accepted.Close()
	if rest, err := io.ReadAll(dialled); string(rest) != "goodbye" || err != nil {
		t.Fatalf("received %q, error %v; want all of %q", rest, err, "goodbye")
	}
}

func TestCutHoldsBothDirectionsUntilHealed(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	dialled, accepted := w.connect(0, 1)
	w.web.Cut(0, 1)
	w.web.Cut(1, 0)
	send(t, dialled, "ping")
	send(t, accepted, "pong")
	wantSilence(t, accepted)
	wantSilence(t, dialled)

	w.web.Heal(0, 1)
	wantText(t, accepted, "ping")
	wantSilence(t, dialled)
	w.web.Heal(1, 0)
	wantText(t, dialled, "pong")
}

func TestCutHidesTheEndOfAConnection(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	first, firstAccepted := w.connect(0, 1)
	second, secondAccepted := w.connect(0, 1)
	w.web.Cut(0, 1)
	w.web.Cut(1, 0)
	send(t, first, "last words")
	first.Close()
	secondAccepted.Close()
	wantSilence(t, firstAccepted)
	wantSilence(t, second)

	w.web.Heal(0, 1)
	w.web.Heal(1, 0)
	if rest, err := io.ReadAll(firstAccepted); string(rest) != "last words" || err != nil {
		t.Errorf("received %q, error %v; want all of %q", rest, err, "last words")
	}
	if _, err := second.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want %v", err, io.EOF)
	}
}

func TestCutWriterWaitsForRoom(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	dialled, accepted := w.connect(0, 1)
	w.web.Cut(0, 1)
	dialled.SetWriteDeadline(time.Now().Add(moment))
	n, err := dialled.Write(make([]byte, capacity+1))
	if n != capacity || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("wrote %d bytes, error %v; want %d and %v", n, err, capacity, os.ErrDeadlineExceeded)
	}

	dialled.SetWriteDeadline(time.Time{})
	failed := make(chan error, 1)
	go func() {
		_, err := dialled.Write([]byte("x"))
		failed <- errors.Join(err, dialled.Close())
	}()
	w.web.Heal(0, 1)
	all, err := io.ReadAll(accepted)
	if err := errors.Join(err, <-failed); err != nil || len(all) != capacity+1 {
		t.Fatalf("%d bytes arrived, error %v; want %d", len(all), err, capacity+1)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	dialled, accepted := newTown(t, 2).connect(0, 1)
	read := func() error { _, err := dialled.Read(make([]byte, 4)); return err }

	dialled.SetDeadline(time.Unix(1, 0))
	if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read past its deadline: %v, want %v", err, os.ErrDeadlineExceeded)
	}
	if _, err := dialled.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write past its deadline: %v, want %v", err, os.ErrDeadlineExceeded)
	}

	dialled.SetDeadline(time.Time{})
	failed := make(chan error)
	go func() { failed <- read() }()
	dialled.SetReadDeadline(time.Now().Add(patience))
	dialled.SetReadDeadline(time.Unix(1, 0))
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read while the deadline is moved back: %v, want %v", err, os.ErrDeadlineExceeded)
	}

	dialled.SetReadDeadline(time.Now().Add(patience))
	send(t, accepted, "more")
	wantText(t, dialled, "more")
}

func TestCloseWakesReaderAndWriter(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	dialled, _ := w.connect(0, 1)
	w.web.Cut(0, 1)
	failed := make(chan error)
	go func() { _, err := dialled.Read(make([]byte, 1)); failed <- err }()
	go func() { _, err := dialled.Write(make([]byte, capacity+1)); failed <- err }()
	dialled.Close()
	for range 2 {
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("error %v, want %v", err, net.ErrClosed)
		}
	}
}

func TestCrashResetsConnections(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		crashed int
	}{{"of the dialler", 0}, {"of the other end", 1}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 3)
			dialled, accepted := w.connect(0, 1)
			bystander, other := w.connect(0, 2)
			w.web.Crash(tc.crashed)
			if tc.crashed == 0 {
				if _, err := accepted.Read(make([]byte, 1)); err == nil {
					t.Error("the other end read something after the dialler's crash")
				}
				if _, err := dialled.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the crashed node read: %v, want %v", err, net.ErrClosed)
				}
				return
			}
			if _, err := dialled.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the dialler read: %v, want %v", err, syscall.ECONNRESET)
			}
			send(t, bystander, "alive")
			wantText(t, other, "alive")
		})
	}
}

func TestCrashBehindACutIsNotNoticed(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	out, outAccepted := w.connect(0, 1)
	_, in := w.connect(1, 0)
	w.web.Cut(0, 1)
	w.web.Cut(1, 0)
	send(t, outAccepted, "lost")
	wantSilence(t, out)
	w.web.Crash(1)
	wantSilence(t, out)
	wantSilence(t, in)
	w.web.Heal(0, 1)
	w.web.Heal(1, 0)
	if _, err := out.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the dialler read: %v, want %v", err, syscall.ECONNRESET)
	}
	if _, err := in.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the accepted end read: %v, want %v", err, io.EOF)
	}
}
