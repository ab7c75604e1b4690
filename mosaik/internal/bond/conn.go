package bond

import (
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// lingerTime bounds how long a connection that sent GOODBYE waits until the other end has
	// read its last frames.
	lingerTime = time.Second
	// lingerBytes bounds what it reads meanwhile: twice the largest frame that may have been
	// in flight without a bond.
	lingerBytes = 2 * maxStrangerFrame
	// maxConns bounds the connections of one peer at a time. Two cross at a start. More
	// exist only until the end of old ones is detected.
	maxConns = 8
	// maxKept bounds the read buffer that is kept between frames, in bytes.
	maxKept = 64 << 10
)

// conn is a connection to a peer. The manager's mutex guards its fields, except for m, lc, out
// and done, which do not change, and allowance, which belongs to the goroutine that reads. Its
// methods are called with the mutex held unless they say otherwise.
type conn struct {
	m    *Manager
	lc   *link.Conn
	out  *outbox
	done chan struct{} // closed by end

	p     *peer
	ended bool

	hello      helloFrame // of the other end; zero before it arrived
	selected   bool       // see select.go
	selection  uint64     // sequence of the SELECT
	since      time.Time  // when it was selected
	setupUntil time.Time  // it ends unless it is selected by then
	reached    bool       // entries have arrived, and it counts in Manager.reach

	number    uint64           // identifies the connection in the catalog
	own       discovery.Signed // the peer's own entry, if the catalog has no room for it
	corrected uint64           // version of the peer's own entry that we sent back to it
	kept      bool             // Catalog.Keep was called for it

	bonds     map[sm.Digest]*bond
	up        int       // bonds that are up
	trustedAt time.Time // when up became 1
	callbacks int       // connections that this end has opened for the other and keeps
	opens     uint32    // OPEN frames sent
	// opened is the number of the last OPEN received. Numbers must grow: otherwise the
	// handler's answer about one OPEN could count for a later one with the same number.
	opened uint32

	holds     int // bytes of frames (held.go)
	allowance allowance

	liveness
}

// serve runs a connection until its end. It is called without the mutex, on a goroutine of its
// caller.
func (m *Manager) serve(lc *link.Conn) {
	defer lc.Close()
	c := m.admit(lc)
	if c == nil {
		return
	}
	defer m.running.Done()
	write, probe := make(chan struct{}), make(chan struct{})
	go func() { defer close(write); c.write() }()
	go func() { defer close(probe); c.runHeartbeat() }()

	code, tell := c.read()
	if tell && (code == consensus.CodeUndecodable || code == consensus.CodeProtocolViolation) {
		lc.Bar()
	}

	m.mu.Lock()
	c.end(code, tell)
	var chores []func()
	if code == consensus.CodeCancelled && !tell { // the peer's GOODBYE
		chores = m.forgetDeparted(c.p, time.Now())
	}
	m.mu.Unlock()
	for _, do := range chores {
		do()
	}
	<-write
	<-probe
	m.mu.Lock()
	c.release(c.holds)
	m.mu.Unlock()
	if tell {
		// Closing a socket with unread bytes resets the connection, and the other end might
		// never read our GOODBYE. The deadline that end has set bounds this. After the other
		// end's own GOODBYE there is nothing to read.
		lc.Drain(lingerBytes)
	}
}

// admit registers a new connection and sends HELLO. It returns nil if the connection is not
// needed. It is called without the mutex.
func (m *Manager) admit(lc *link.Conn) *conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil
	}
	p := m.ensurePeer(lc.Peer())
	if lc.Dialled() && lc.RemoteAddr() != nil {
		p.answered = lc.RemoteAddr().String()
	}
	if lc.Dialled() && !p.wantsDialled() || len(p.conns) >= maxConns {
		return nil
	}
	now := time.Now()
	m.last.conn++
	c := &conn{
		m:          m,
		lc:         lc,
		out:        newOutbox(),
		done:       make(chan struct{}),
		p:          p,
		setupUntil: now.Add(m.cfg.HandshakeTimeout),
		number:     m.last.conn,
		allowance:  newAllowance(now),
		bonds:      map[sm.Digest]*bond{},
		liveness:   newLiveness(now),
	}
	m.running.Add(1)
	c.sendHello()
	p.conns[c] = struct{}{}
	p.touch()
	return c
}

// end ends the connection. Its bonds go down with the code, and the peer can be dialled again.
// With tell, all queued frames and then a GOODBYE with the code are sent; without it, nothing.
// Ending again does nothing.
func (c *conn) end(code consensus.CloseCode, tell bool) {
	if c.ended {
		return
	}
	c.ended = true
	close(c.done)
	var linger time.Duration
	by := link.Received
	if tell {
		linger, by = lingerTime, link.Sent
		c.out.put(frame{kindGoodbye, appendCode(nil, code)})
	}
	c.m.cfg.Link.Counters().Refused(code, by)
	c.out.seal(!tell)
	now := time.Now()
	if c.lc.SetDeadline(now.Add(linger)) != nil {
		_ = c.lc.Close() // it is broken, and nothing else bounds what still blocks on it
	}
	for _, b := range c.bonds {
		b.reset(code)
	}
	if !tell {
		c.release(c.holds)
	}

	p := c.p
	delete(p.conns, c)
	if p.current == c {
		p.current = nil
	}
	if c.reached {
		c.m.reach.connected(-1)
	}
	if c.selected {
		p.alive, p.lastFrame = now, later(p.lastFrame, c.lastFrame)
		p.target.Lasted(now.Sub(c.since))
		c.m.cfg.Logger.Info("connection ended", "peer", p.id.Short(), "code", uint32(code), "reason", code.String())
	}
	if len(p.conns) == 0 {
		p.idle(now)
		close(c.m.disconnected)
		c.m.disconnected = make(chan struct{})
		c.m.mismatches.signal()
	}
	p.touch()
}

// send queues a frame and reports whether it did. A frame that exceeds the bound of what the
// connection holds ends the connection, and with it the bonds: callers check the state again.
func (c *conn) send(kind uint8, payload []byte) bool {
	f := frame{kind, payload}
	if !c.hold(f.size()) {
		return false
	}
	c.out.put(f)
	return true
}

// read handles frames until the connection ends. It returns the cause, and whether to tell it
// to the other end. It is called without the mutex.
func (c *conn) read() (code consensus.CloseCode, tell bool) {
	c.lc.LimitCPU(true)
	defer c.lc.ReleaseCPU()
	var buf []byte
	for {
		kind, payload, err := c.readFrame(buf)
		switch {
		case errors.Is(err, link.ErrFrame):
			return consensus.CodeUndecodable, true
		case err != nil:
			return consensus.CodeUnexpectedClose, false
		}
		if kind == kindGoodbye {
			code, err = parseGoodbye(payload)
			if err == nil {
				return code, false
			}
		} else {
			code, err = c.handle(kind, payload)
		}
		switch {
		case err != nil:
			c.m.cfg.Logger.Warn("undecodable frame received", "peer", c.lc.Peer().Short(), "error", err)
			return consensus.CodeUndecodable, true
		case code != consensus.CodeAccepted:
			return code, true
		}
		buf = c.frameHandled(payload)
		c.payForFrame(kind, len(payload))
	}
}

// readFrame reads a frame. A large one counts as held until frameHandled. It is called without
// the mutex, as is frameHandled.
func (c *conn) readFrame(buf []byte) (kind uint8, payload []byte, err error) {
	size, err := c.lc.PeekFrame()
	if err != nil {
		return 0, nil, err
	}
	c.m.mu.Lock()
	limit := c.frameLimit()
	if size > smallFrame && size <= limit {
		c.hold(size)
	}
	c.m.mu.Unlock()
	return c.lc.ReadFrame(limit, buf)
}

// frameLimit returns the largest payload of the next frame, in bytes.
func (c *conn) frameLimit() int {
	switch {
	case !c.selected:
		return maxSetupFrame
	case c.up == 0:
		return maxStrangerFrame
	}
	return maxFrame
}

// frameHandled releases a frame and returns the buffer for the next one.
func (c *conn) frameHandled(payload []byte) []byte {
	kept := maxKept
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if len(payload) > smallFrame {
		c.release(len(payload))
	}
	if c.up == 0 {
		kept = smallFrame
	}
	if cap(payload) > kept {
		return nil
	}
	return payload
}

// handle handles one frame. A code other than 0 ends the connection. It is called without the
// mutex.
func (c *conn) handle(kind uint8, payload []byte) (consensus.CloseCode, error) {
	if kind == kindEntries || kind == kindMembers {
		return c.handleEntries(kind, payload)
	}
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if code := c.checkKind(kind); code != consensus.CodeAccepted {
		return code, nil
	}
	switch kind {
	case kindHello:
		return with(parseHello, payload, c.handleHello)
	case kindSelect:
		return with(parseSelect, payload, c.handleSelect)
	case kindOpen:
		return with(parseOpen, payload, c.handleOpen)
	case kindAccept:
		return with(parseAccept, payload, c.handleAccept)
	case kindClose:
		return with(parseClose, payload, c.handleClose)
	case kindMessage:
		return with(parseMessage, payload, c.handleMessage)
	case kindPing:
		return with(parsePing, payload, c.handlePing)
	case kindPong:
		return with(parsePong, payload, c.handlePong)
	case kindIntro:
		return with(parseIntro, payload, c.handleIntro)
	case kindCallback:
		return with(parseCallback, payload, c.handleCallback)
	}
	return consensus.CodeAccepted, nil // a newer program's frame on a selected connection
}

// with parses a payload and calls handle with the result.
func with[F any](parse func([]byte) (F, error), payload []byte, handle func(F) consensus.CloseCode) (consensus.CloseCode, error) {
	f, err := parse(payload)
	if err != nil {
		return consensus.CodeUndecodable, err
	}
	return handle(f), nil
}

// checkKind records a sign of life and checks that the other end may send a frame of the kind
// now.
func (c *conn) checkKind(kind uint8) consensus.CloseCode {
	if kind != kindPong { // a PONG counts only if it answers our PING (heartbeat.go)
		c.lastFrame, c.missed = time.Now(), 0
	}
	switch {
	case c.ended:
		return consensus.CodeCancelled
	case (kind == kindHello) != (c.hello.version == 0):
		return consensus.CodeProtocolViolation
	case kind != kindHello && kind != kindSelect && !c.selected:
		return consensus.CodeProtocolViolation
	}
	return consensus.CodeAccepted
}
