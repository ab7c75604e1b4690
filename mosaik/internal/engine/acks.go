package engine

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// ackEvery is after how many bytes an acknowledgment does not wait for its delay.
	ackEvery = 64 << 10
	// The delay that a sender may ask for lies within these bounds.
	minAckDelay = 5 * time.Millisecond
	maxAckDelay = 5 * time.Second
)

// lane names one of the connections that a peer keeps to this engine.
type lane struct {
	peer   sm.PeerID
	number uint64
}

// lanes knows the connection of each lane. A peer that replaces a connection has lost the
// one before, of which this end may never learn.
type lanes struct {
	mu    sync.Mutex
	conns map[lane]*link.Conn
}

// enter makes c the connection of the lane and closes the one before.
func (l *lanes) enter(of lane, c *link.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.conns[of]; old != nil && old != c {
		old.Close()
	}
	if l.conns == nil {
		l.conns = map[lane]*link.Conn{}
	}
	l.conns[of] = c
}

func (l *lanes) leave(of lane, c *link.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[of] == c {
		delete(l.conns, of)
	}
}

// acks acknowledges what arrives on a connection that another peer opened to send, once
// the peer has asked for it. All methods but run belong to the goroutine that reads.
type acks struct {
	conn  *link.Conn
	lanes *lanes
	lane  lane

	delay   atomic.Int64 // a time.Duration, 0 before the peer has asked
	sent    atomic.Uint64
	busy    atomic.Bool   // a frame is being handled
	due     chan struct{} // holds a token when an acknowledgment must not wait
	running sync.WaitGroup
}

// watch begins to acknowledge, or changes the delay.
func (a *acks) watch(payload []byte) error {
	if len(payload) != watchSize {
		return fmt.Errorf("%w: WATCH of %d bytes", wire.ErrBad, len(payload))
	}
	number := binary.BigEndian.Uint64(payload)
	delay := time.Duration(binary.BigEndian.Uint32(payload[8:])) * time.Millisecond
	begun := a.delay.Swap(int64(min(maxAckDelay, max(minAckDelay, delay)))) != 0
	switch {
	case !begun:
		a.lane.number = number
		a.lanes.enter(a.lane, a.conn)
		a.due = make(chan struct{}, 1)
		a.running.Go(a.run)
	case a.lane.number != number:
		return fmt.Errorf("%w: WATCH of another lane", wire.ErrBad)
	}
	a.hurry()
	return nil
}

// handled notes that a frame was read and handled.
func (a *acks) handled() {
	a.busy.Store(false)
	if a.due != nil && a.conn.Received()-a.sent.Load() >= ackEvery {
		a.hurry()
	}
}

func (a *acks) hurry() {
	select {
	case a.due <- struct{}{}:
	default:
	}
}

// run sends acknowledgments until the connection is closed. That nothing moves is not
// acknowledged, unless it is this end's doing: a sender that hears nothing then must take
// the connection for lost.
func (a *acks) run() {
	defer a.conn.Close() // a sender that does not read is not worth listening to
	var traffic uint64
	for {
		timer := time.NewTimer(time.Duration(a.delay.Load()))
		hurry := false
		select {
		case <-timer.C:
		case <-a.due:
			hurry = true
		case <-a.conn.Done():
			timer.Stop()
			return
		}
		timer.Stop()
		received := a.conn.Received()
		read, _ := a.conn.Traffic()
		if read == traffic && !hurry && !a.busy.Load() {
			continue
		}
		traffic = read
		a.sent.Store(received)
		a.conn.SetWriteDeadline(time.Now().Add(stallTimeout))
		if a.conn.WriteFrame(wire.FrameAck, binary.BigEndian.AppendUint64(nil, received)) != nil {
			return
		}
	}
}

// close ends the acknowledgments of a connection that is closed.
func (a *acks) close() {
	a.running.Wait()
	if a.due != nil {
		a.lanes.leave(a.lane, a.conn)
	}
}
