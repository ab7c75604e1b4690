package bond

import "sync"

// The bound of an outbox. It has room for a full catalog and the handshakes of
// as many groups as an entry can list.
const (
	maxQueued     = 16 << 20 // bytes, frameOverhead for each frame added
	frameOverhead = 64
)

// frame is a frame that waits to be written.
type frame struct {
	kind    uint8
	payload []byte
}

// outbox is the bounded queue between whoever sends on a connection and its
// writer.
type outbox struct {
	mu     sync.Mutex
	frames []frame
	size   int
	sealed bool
	wake   chan struct{} // holds a token when there is something to take
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put queues a frame, whose payload the outbox owns from then on, and reports
// whether there was room. A sealed outbox drops it.
func (o *outbox) put(kind uint8, payload []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		return true
	}
	size := o.size + len(payload) + frameOverhead
	if size > maxQueued {
		return false
	}
	o.size = size
	o.frames = append(o.frames, frame{kind, payload})
	o.signal()
	return true
}

// seal lets the outbox take no more. What is queued is dropped or still taken.
func (o *outbox) seal(drop bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	if drop {
		o.frames, o.size = nil, 0
	}
	o.signal()
}

// take waits until there is something and returns all of it, oldest first, and
// whether more may come.
func (o *outbox) take() (frames []frame, more bool) {
	<-o.wake
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.frames, o.size = o.frames, nil, 0
	return frames, !o.sealed
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
