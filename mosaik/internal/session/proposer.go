package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
)

// Proposer replicates the calls of one member of a group. Its methods may be called concurrently.
type Proposer struct {
	cfg     Config
	cancel  context.CancelFunc // ends run
	exited  chan struct{}      // closed when run has ended
	wake    chan struct{}      // signals that there are calls
	due     chan struct{}      // signals that Pace allows another entry
	outcome chan struct{}      // signals an outcome that no attempt waits for
	singles sync.Pool          // of Single

	mu     sync.Mutex
	queue  queue
	window []*inflightEntry // the entries in flight, in order; only run changes it
	closed error            // why the proposer was closed, nil while it is open

	// Owned by run.
	session     format.SessionID
	isOpen      bool             // the session is open
	openTimeout time.Duration    // limit of the next attempt to open the session, 0 for Config.Attempt
	sequence    uint64           // the number of the next entry
	isResending bool             // the entries in flight are sent again one by one
	rtt         time.Duration    // the round-trip estimate, 0 before the first sample
	pace        *time.Timer      // signals due
	woken       int              // callers that were woken since the last entry was sent
	recycled    []*inflightEntry // for reuse; at most maxRecycled
}

// New returns a proposer and starts its goroutine, which [Proposer.Close] ends.
func New(cfg Config) *Proposer {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proposer{
		cfg:     cfg.withDefaults(),
		cancel:  cancel,
		exited:  make(chan struct{}),
		wake:    make(chan struct{}, 1),
		due:     make(chan struct{}, 1),
		outcome: make(chan struct{}, 1),
	}
	p.pace = time.AfterFunc(p.cfg.Pace, func() { signal(p.due) })
	p.queue.max, p.queue.maxBytes = p.cfg.MaxQueue, p.cfg.QueueBytes
	p.newSession()
	go p.run(ctx)
	return p
}

// Submit queues a batch of commands, which are encoded at a level of the schema, 0 if it is not
// known. Calls are applied in the order of Submit, and the commands of a call follow each other in
// one entry. A zero span means none. cmds must not be changed before the call is done.
//
// Submit blocks only while the queue is full. If ctx ends before the call is queued, the error
// wraps [ErrNotApplied] and the cause of ctx. After Submit has returned, the end of ctx does not
// concern the call. A call without commands is refused with [ErrEmpty], one that exceeds
// Config.MaxEntry with [ErrTooLarge].
func (p *Proposer) Submit(ctx context.Context, level uint32, cmds [][]byte, span format.Span) (*Call, error) {
	if len(cmds) == 0 {
		return nil, ErrEmpty
	}
	var size int
	for _, cmd := range cmds {
		size += format.CommandSize(len(cmd))
	}
	c := &Call{p: p, cmds: cmds, level: level, size: size, span: span, done: make(chan struct{})}
	if err := p.submit(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// submit queues a call.
func (p *Proposer) submit(ctx context.Context, c *Call) error {
	if limit := p.maxCallSize(); c.size > limit {
		return fmt.Errorf("%w: %d commands of %d bytes, at most %d bytes are allowed",
			ErrTooLarge, len(c.cmds), c.size, limit)
	}
	if err := watch.Cause(ctx); err != nil {
		return notApplied(err)
	}
	p.mu.Lock()
	if p.closed != nil {
		p.mu.Unlock()
		return notApplied(p.closed)
	}
	admitted := p.queue.push(c)
	p.mu.Unlock()
	signal(p.wake)
	if admitted {
		return nil
	}
	select {
	case <-c.admitted:
	case <-c.done:
		if c.isReusable {
			c.done <- struct{}{} // for Do
		}
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.cancelQueued(c, watch.Cause(ctx)) {
			return c.err
		}
	}
	return nil
}

// Deliver accepts an outcome from the local state. It never blocks. It ignores outcomes of entries
// that are not in flight.
func (p *Proposer) Deliver(d state.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Restored && p.mayLackLevel(d.Sequence) && errors.Is(d.Err, state.ErrForming) && !errors.Is(d.Err, state.ErrSealed) {
		d.Err = state.ErrLevel // the snapshot does not rule it out
	}
	isFirst := true
	for _, f := range p.window {
		if f.hasOutcome {
			continue
		}
		if f.matches(d) {
			p.deliver(f, d, isFirst)
		}
		isFirst = false
	}
}

// mayLackLevel reports whether the entry of a number may have been rejected because of its level.
// That would not apply to the entries before it. No entry is rejected because of level 1.
func (p *Proposer) mayLackLevel(sequence uint64) bool {
	for _, f := range p.window {
		if f.sequence == sequence {
			return f.level > 1
		}
	}
	return true
}

// deliver sets the outcome of an entry. isFirst reports whether all entries before it have one.
func (p *Proposer) deliver(f *inflightEntry, d state.Delivery, isFirst bool) {
	if !isFirst && errors.Is(d.Err, state.ErrGap) {
		// This copy arrived before the entry before it, and is void.
		f.isCopyVoid = true
		return
	}
	if f.sequence < d.Sequence && (!errors.Is(d.Err, state.ErrForming) || errors.Is(d.Err, state.ErrSealed)) {
		// The snapshot reports only the later entry. This one may have had another
		// outcome, unless the epoch is not open yet: then both were rejected.
		d.Err = errCoveredBySnapshot
	}
	f.hasOutcome, f.outcome = true, d
	// The attempt that brought the entry here ends by itself. An attempt that
	// repeats an earlier one, or whose entry a snapshot covers, may not end.
	if f.mayBeInLog || d.Restored {
		f.cancel()
		signal(p.outcome)
	}
}

// Close fails all calls with cause, nil for [ErrClosed], and waits for the proposer's goroutine.
// Only the first cause counts.
func (p *Proposer) Close(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	p.mu.Lock()
	if p.closed == nil {
		p.closed = cause
	}
	p.mu.Unlock()
	p.cancel()
	<-p.exited
}

// maxCallSize returns the limit in bytes of the commands of one call.
func (p *Proposer) maxCallSize() int { return p.cfg.MaxEntry - format.MaxOverhead - format.MaxTrace }

// addWaiter adds a goroutine that waits for a call.
func (p *Proposer) addWaiter(c *Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.waiters++
	c.abandoned = nil
}

// removeWaiter removes a goroutine that waited for a call. If it was the last, a call that is still
// queued ends. A call that was sent is marked, so that it is not sent again.
func (p *Proposer) removeWaiter(c *Call, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.waiters--; c.waiters > 0 {
		return
	}
	if !p.cancelQueued(c, cause) {
		c.abandoned = cause
	}
}

// cancelQueued ends a call that is still queued, and reports whether it was queued.
func (p *Proposer) cancelQueued(c *Call, cause error) bool {
	if !p.queue.remove(c) {
		return false
	}
	c.end(0, nil, notApplied(cause))
	return true
}

// signal sets a flag that one goroutine waits for. It never blocks.
func signal(flag chan struct{}) {
	select {
	case flag <- struct{}{}:
	default:
	}
}
