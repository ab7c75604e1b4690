package bond

import (
	"sync"
	"sync/atomic"
	"time"
)

// frameOverhead is what a queued frame counts in addition to its payload, in bytes.
const frameOverhead = 64

// frame is a frame that is queued to be written.
type frame struct {
	kind    uint8
	payload []byte
}

// size returns what the frame counts in conn.holds.
func (f frame) size() int { return len(f.payload) + frameOverhead }

// outbox is the queue of frames between a connection and its writer. It has no bound of its
// own: its frames count in conn.holds until they are written (held.go). Its lock is taken
// under the manager's mutex, never the other way round.
type outbox struct {
	mu     sync.Mutex
	frames []frame
	sealed bool
	wake   chan struct{} // holds a token when the writer must look again

	begun   atomic.Int64 // when the frame that is being written was begun, 0 for none
	writing atomic.Int64 // its bytes
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put queues a frame, whose payload must not change afterwards. A sealed outbox drops it.
func (o *outbox) put(f frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		return
	}
	o.frames = append(o.frames, f)
	o.signal()
}

// seal makes the outbox drop frames that are put afterwards and, with drop, those that are
// queued.
func (o *outbox) seal(drop bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	if drop {
		o.frames = nil
	}
	o.signal()
}

// take dequeues all frames, oldest first, and reports whether more may be put.
func (o *outbox) take() (frames []frame, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.frames = o.frames, nil
	return frames, !o.sealed
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// A frame must be written within stallTime, and one second more for each stallRate bytes.
const (
	stallTime = 5 * time.Second
	stallRate = 64 << 10
)

// begin records that the writer begins to write a frame.
func (o *outbox) begin(bytes int, now time.Time) {
	o.writing.Store(int64(bytes))
	o.begun.Store(now.UnixNano())
}

// finish records that the frame is written.
func (o *outbox) finish() { o.begun.Store(0) }

// deadline returns when the frame that is being written must be finished. It is false if there
// is none.
func (o *outbox) deadline() (limit time.Time, inFlight bool) {
	begun := o.begun.Load()
	if begun == 0 {
		return limit, false
	}
	allowed := stallTime + time.Duration(o.writing.Load())*time.Second/stallRate
	return time.Unix(0, begun).Add(allowed), true
}
