package bond

import (
	"encoding/binary"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

const (
	// relayBatch bounds the entries of one frame, in bytes, unless it has one
	// only.
	relayBatch = 16 << 10
	// News is passed on at once in newsBurst frames, and then in one for each
	// relayInterval: of an entry that changes more often only the last version is
	// passed on. A network that forms needs the burst, or entries would wait.
	newsBurst     = 16
	relayInterval = 50 * time.Millisecond
)

// writer writes a connection's frames: those that are queued and, between them,
// the entries of the catalog. Of these nothing is queued. The writer has a cursor
// into the changes of the catalog and reads what comes next when the other end
// has taken what came before: a peer that reads slowly costs a number.
type writer struct {
	c      *conn
	ready  bool // the connection is selected, and what was queued then is taken
	cursor uint64
	pace   *rate.Bucket    // of frames of news
	next   time.Time       // no more entries before
	due    *time.Timer     // fires then
	news   <-chan struct{} // closed when there is something behind the cursor; nil if there may be
}

// write writes until the connection has ended.
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
			c.end(link.CodeUnexpectedClose, false)
			c.m.mu.Unlock()
			return
		}
	}
}

// queued writes frames that were queued.
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

// relay passes on what comes next of the catalog, one frame, if it is due, and
// has the writer called again when more may be.
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

// entries writes an ENTRIES frame without copying the entries.
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
	m.relayed.frames.Add(1)
	m.relayed.entries.Add(int64(len(entries)))
	m.relayed.bytes.Add(int64(size))
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
