package fault

import (
	"bytes"
	"os"
	"sync"
	"time"
)

// capacity is how many bytes a pipe holds before its writer waits.
const capacity = 256 << 10

// pipe carries the bytes of one direction of a connection. It can be held: then
// its reader waits as if nothing had been sent. It can be slow: then what is
// written takes a while until it can be read. It shares the capacity of its lane.
type pipe struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	buf     bytes.Buffer
	held    bool
	delay   time.Duration
	late    []arrival // of what is in buf and cannot be read yet, in order
	lateLen int       // how much that is
	ended   error     // for the writer, and for the reader after the last byte
	closed  error     // for both, at once
	passed  func(int) // told how many bytes were read
	lane    *lane     // nil for one without a bound; never changes
}

func newPipe(held bool, passed func(int)) *pipe {
	return &pipe{changed: make(chan struct{}), held: held, passed: passed}
}

// arrival is when some bytes can be read.
type arrival struct {
	n  int
	at time.Time
}

// write puts all of b into the pipe, waiting for room until expired is closed.
func (p *pipe) write(b []byte, expired <-chan struct{}) (n int, err error) {
	for {
		select {
		case <-expired:
			return n, os.ErrDeadlineExceeded
		default:
		}
		p.mu.Lock()
		err := p.closed
		if err == nil {
			err = p.ended
		}
		if room := capacity - p.buf.Len(); err == nil && room > 0 {
			k, _ := p.buf.Write(b[n:min(len(b), n+room)])
			n += k
			if p.delay > 0 || p.lateLen > 0 { // nothing overtakes
				p.late = append(p.late, arrival{k, time.Now().Add(p.delay)})
				p.lateLen += k
			}
			p.wake()
		}
		changed := p.changed
		p.mu.Unlock()
		if err != nil || n == len(b) {
			return n, err
		}
		select {
		case <-changed:
		case <-expired:
		}
	}
}

// read takes up to len(b) bytes, waiting for the first until expired is closed.
func (p *pipe) read(b []byte, expired <-chan struct{}) (int, error) {
	for {
		select {
		case <-expired:
			return 0, os.ErrDeadlineExceeded
		default:
		}
		p.mu.Lock()
		n, err, changed := 0, p.closed, p.changed
		var arrives <-chan time.Time
		arrived, next := p.arrived(time.Now())
		switch {
		case err != nil || p.held:
		case arrived > 0:
			var allowed int
			if allowed, next = p.lane.take(min(len(b), arrived), time.Now()); allowed == 0 {
				arrives = time.After(next)
				break
			}
			n, _ = p.buf.Read(b[:allowed])
			p.wake()
		case p.buf.Len() > 0:
			arrives = time.After(next)
		default:
			err = p.ended
		}
		p.mu.Unlock()
		if n > 0 {
			p.passed(n)
		}
		if err != nil || n > 0 || len(b) == 0 {
			return n, err
		}
		select {
		case <-changed:
		case <-expired:
		case <-arrives:
		}
	}
}

// arrived returns how much can be read, and how long until there is more. The
// caller holds the lock.
func (p *pipe) arrived(now time.Time) (n int, next time.Duration) {
	for len(p.late) > 0 && !p.late[0].at.After(now) {
		p.lateLen -= p.late[0].n
		p.late = p.late[1:]
	}
	if len(p.late) > 0 {
		next = p.late[0].at.Sub(now)
	}
	return p.buf.Len() - p.lateLen, next
}

// slow makes what is written from now on arrive later.
func (p *pipe) slow(delay time.Duration) {
	p.change(func() { p.delay = delay })
}

// hold makes the reader wait, or go on.
func (p *pipe) hold(held bool) {
	p.change(func() { p.held = held })
}

// end lets nothing in any more. The reader gets the error after the last byte,
// and not while it is held. Only the first end counts.
func (p *pipe) end(err error) {
	p.change(func() {
		if p.ended == nil {
			p.ended = err
		}
	})
}

// lose is end, but the bytes on the way are lost.
func (p *pipe) lose(err error) {
	p.change(func() {
		p.empty()
		if p.ended == nil {
			p.ended = err
		}
	})
}

// close fails both sides at once, held or not. Only the first close counts.
func (p *pipe) close(err error) {
	p.change(func() {
		p.empty()
		if p.closed == nil {
			p.closed = err
		}
	})
}

func (p *pipe) empty() {
	p.buf.Reset()
	p.late, p.lateLen = nil, 0
}

func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.wake()
}

// wake ends the present waits; the caller holds the lock.
func (p *pipe) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}
