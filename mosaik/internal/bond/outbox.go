package bond

import (
	"sync"
	"sync/atomic"
	"time"
)

// frameOverhead is what a queued frame counts beside its payload, in bytes.
const frameOverhead = 64

// frame is a frame that waits to be written.
type frame struct {
	kind    uint8
	payload []byte
}

// size is what the frame counts as.
func (f frame) size() int { return len(f.payload) + frameOverhead }

// outbox is the queue between those that send on a connection and its writer.
// Its bound is that of what the connection holds (held.go).
type outbox struct {
	mu     sync.Mutex
	frames []frame
	sealed bool
	wake   chan struct{} // holds a token when there is something to do

	begun   atomic.Int64 // when the frame in flight was begun, 0 for none
	writing atomic.Int64 // its bytes
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put queues a frame, whose payload must not change from then on. A sealed
// outbox drops it.
func (o *outbox) put(f frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		return
	}
	o.frames = append(o.frames, f)
	o.signal()
}

// seal lets the outbox take no more. What is queued is dropped or still taken.
func (o *outbox) seal(drop bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	if drop {
		o.frames = nil
	}
	o.signal()
}

// take returns what is queued, oldest first, and whether more may come.
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

// A frame must be written within stallTime, and one second more for each
// stallRate bytes.
const (
	stallTime = 5 * time.Second
	stallRate = 64 << 10
)

// begin notes that a frame is being written.
func (o *outbox) begin(bytes int, now time.Time) {
	o.writing.Store(int64(bytes))
	o.begun.Store(now.UnixNano())
}

// finish notes that it was.
func (o *outbox) finish() { o.begun.Store(0) }

// deadline returns by when the frame in flight must be written, if there is one.
func (o *outbox) deadline() (limit time.Time, inFlight bool) {
	begun := o.begun.Load()
	if begun == 0 {
		return limit, false
	}
	allowed := stallTime + time.Duration(o.writing.Load())*time.Second/stallRate
	return time.Unix(0, begun).Add(allowed), true
}
