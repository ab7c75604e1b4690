package link

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurnstileShare has goroutines of many connections work whenever they have a turn. Only one
// may work at a time, and together they must use their share.
func TestTurnstileShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const (
			work   = time.Millisecond
			length = 10 * time.Second
		)
		ts := newCPULimiter()
		done := make(chan struct{})
		counts := make(chan int)
		busy := false
		for range 50 {
			go func() {
				n := 0
				for ts.acquire(done) {
					if busy {
						t.Error("two work at the same time")
					}
					busy = true
					time.Sleep(work) // in the bubble's time
					busy = false
					ts.release()
					n++
				}
				counts <- n
			}()
		}
		time.Sleep(length)
		close(done)
		sum, least := 0, 1<<30
		for range 50 {
			n := <-counts
			sum, least = sum+n, min(least, n)
		}
		want := int((cpuBurst + time.Duration(float64(length)*cpuShare)) / work)
		if sum < want-50 || sum > want+50 {
			t.Errorf("%d turns in %v, want about %d", sum, length, want)
		}
		if least < sum/50-2 {
			t.Errorf("one connection had %d turns of %d", least, sum)
		}
	})
}

// TestTurnEnds ends the turn of a connection in every way. Another connection must then have its
// turn.
func TestTurnEnds(t *testing.T) {
	t.Parallel()
	ts := newCPULimiter()
	conn := func() (*Conn, net.Conn) {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		c := &Conn{limited: newLimitedConn(a, ts)}
		c.LimitCPU(true)
		return c, b
	}
	read := func(c *Conn, from net.Conn) {
		t.Helper()
		go from.Write([]byte{1})
		if _, err := c.limited.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	passes := func(what string) {
		t.Helper()
		if len(ts.turn) != 0 {
			t.Fatalf("%s did not end the turn", what)
		}
	}
	a, from := conn()

	read(a, from)
	if len(ts.turn) != 1 {
		t.Fatal("a stranger works without a turn")
	}
	a.ReleaseCPU()
	passes("ReleaseCPU")
	a.ReleaseCPU()

	read(a, from)
	read(a, from)
	a.LimitCPU(false)
	read(a, from)
	passes("a read of a connection that takes no turns")
	a.AcquireCPU()()
	passes("AcquireCPU of a connection that takes no turns")

	a.LimitCPU(true)
	leave := a.AcquireCPU()
	go from.Read(make([]byte, 1))
	if _, err := a.limited.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	passes("a write")
	leave()
	a.AcquireCPU()()
	passes("leave")

	read(a, from)
	b, _ := conn()
	entered := make(chan struct{})
	go func() { defer close(entered); b.AcquireCPU()() }()
	b.limited.Close()
	<-entered
	if len(ts.turn) != 1 {
		t.Error("a closed connection took the turn of another one")
	}
	a.ReleaseCPU()
	passes("ReleaseCPU")
}
