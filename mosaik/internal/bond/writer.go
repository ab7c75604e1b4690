package bond

import (
	"encoding/binary"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

const (
	// relayBatch bounds the entries of one frame, in bytes, unless the frame has only one.
	relayBatch = 16 << 10
	// Changes of the catalog are relayed at once in newsBurst frames, and then in one frame
	// per relayInterval. If an entry changes more often, only its last version is relayed.
	// The burst lets a network that forms spread its entries without delay.
	newsBurst     = 16
	relayInterval = 50 * time.Millisecond
)

// writer writes a connection's frames: those in the outbox and, between them, entries of the
// catalog. Entries are not queued: the writer has a cursor into the changes of the catalog and
// reads the next ones when the frame before is written. So a peer that reads slowly costs no
// memory. The writer's goroutine owns it.
type writer struct {
	c      *conn
	ready  bool // the connection is selected, and the frames queued before were dequeued
	cursor uint64
	pace   *rate.Bucket    // of frames of news
	next   time.Time       // no entries are relayed before
	due    *time.Timer     // fires at next
	news   <-chan struct{} // closed when an entry changes; nil if there may be entries to relay
}

// write writes frames until the connection has ended. It is called without the mutex, as are the
// methods of writer.
func (c *conn) write() {
	w := writer{
		c:    c,
		pace: rate.NewBucket(newsBurst, float64(time.Second/relayInterval), time.Now()),
		due:  time.NewTimer(0),
	}
	defer w.due.Stop()
	for more := true; more; {
		select {
		case <-c.out.wake:
		case <-w.due.C:
		case <-w.news:
			w.news = nil
		}
		if !w.ready {
			c.m.mu.Lock()
			w.ready = c.selected
			c.m.mu.Unlock()
		}
		var frames []frame
		frames, more = c.out.take()
		err := w.queued(frames)
		if err == nil && more && w.ready {
			err = w.relay(time.Now())
		}
		if err != nil {
			c.m.mu.Lock()
			c.end(consensus.CodeUnexpectedClose, false)
			c.m.mu.Unlock()
			return
		}
	}
}

// queued writes frames of the outbox.
func (w *writer) queued(frames []frame) error {
	if len(frames) == 0 {
		return nil
	}
	size := 0
	for _, f := range frames {
		size += f.size()
		if err := w.write(f.kind, f.payload); err != nil {
			return err
		}
	}
	w.c.m.mu.Lock()
	defer w.c.m.mu.Unlock()
	w.c.release(size)
	return nil
}

// write writes one frame.
func (w *writer) write(kind uint8, payload ...[]byte) error {
	size := 0
	for _, p := range payload {
		size += len(p)
	}
	w.c.out.begin(size, time.Now())
	defer w.c.out.finish()
	return w.c.lc.WriteFrame(kind, payload...)
}

// relay writes the next entries of the catalog, one frame, if they are due. It sets due or news
// for the next call.
func (w *writer) relay(now time.Time) error {
	if w.news != nil {
		return nil
	}
	if wait := w.next.Sub(now); wait > 0 {
		w.due.Reset(wait)
		return nil
	}
	c := w.c
	c.m.mu.Lock()
	trusted, news := c.trusted(), c.m.news
	c.m.mu.Unlock()
	defer c.lc.AcquireCPU()()
	entries, cursor, more := c.m.cfg.Catalog.Changes(w.cursor, relayBatch, c.p.id, c.number)
	w.cursor, w.next = cursor, now
	if !more {
		w.news = news
		if len(entries) > 0 {
			w.next = now.Add(w.pace.Take(1, now))
		}
	}
	if len(entries) > 0 {
		size, err := w.entries(entries)
		if err != nil {
			return err
		}
		if !trusted {
			wait := c.m.budgets.relay.Take(float64(max(size, relayCost)), now)
			w.next = later(w.next, now.Add(wait))
		}
	}
	if more {
		w.due.Reset(time.Until(w.next))
	}
	return nil
}

// entries writes an ENTRIES frame without copying the entries. It returns the frame's size.
func (w *writer) entries(entries []discovery.Signed) (size int, err error) {
	lengths := make([]byte, 0, 4*len(entries))
	payload := make([][]byte, 0, 2*len(entries))
	for _, e := range entries {
		raw := e.Bytes()
		lengths = binary.BigEndian.AppendUint32(lengths, uint32(len(raw)))
		payload = append(payload, lengths[len(lengths)-4:], raw)
		size += 4 + len(raw)
	}
	m := w.c.m
	m.counts.frames.Add(1)
	m.counts.entries.Add(int64(len(entries)))
	m.counts.bytes.Add(int64(size))
	m.mu.Lock()
	there := w.c.hold(size)
	m.mu.Unlock()
	if !there {
		return size, nil
	}
	err = w.write(kindEntries, payload...)
	m.mu.Lock()
	defer m.mu.Unlock()
	w.c.release(size)
	return size, err
}
