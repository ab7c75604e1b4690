package transport

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
	// ackEvery is the number of received bytes after which an acknowledgment does not wait
	// for its delay.
	ackEvery = 64 << 10
	// The delay that a sender may ask for lies within these bounds.
	minAckDelay = 5 * time.Millisecond
	maxAckDelay = 5 * time.Second
)

// lane names one of the connections that a peer keeps to this process.
type lane struct {
	peer   sm.PeerID
	number uint64
}

// lanes holds the current connection of each lane. A peer that replaces a connection has lost
// the earlier one, and this end may never learn of the loss.
type lanes struct {
	mu    sync.Mutex
	conns map[lane]*link.Conn
}

// enter makes c the connection of a lane and closes the one before.
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

// acks acknowledges the data that arrives on a connection, once the peer has asked for that. It
// belongs to the goroutine that reads the connection, which must call close.
type acks struct {
	conn  *link.Conn
	lanes *lanes
	lane  lane

	delay   atomic.Int64  // a time.Duration, 0 before the peer has asked
	sent    atomic.Uint64 // the number of bytes that was acknowledged last
	busy    atomic.Bool   // a frame is being handled
	due     chan struct{} // holds a token when an acknowledgment must not wait
	running sync.WaitGroup
}

// watch begins to acknowledge, or changes the delay.
func (a *acks) watch(payload []byte) error {
	if len(payload) != watchSize {
		return fmt.Errorf("%w: WATCH of %d bytes, want %d", wire.ErrBad, len(payload), watchSize)
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

// run sends acknowledgments until the connection is closed. It sends none while no data
// arrives, unless this end is busy with a frame: the sender then takes the connection for
// lost, as it must.
func (a *acks) run() {
	defer a.conn.Close() // a sender that does not read acknowledgments is broken
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
		if a.conn.SetWriteDeadline(time.Now().Add(stallTimeout)) != nil {
			return
		}
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
