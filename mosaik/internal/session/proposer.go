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

// Proposer brings the calls of one member of a group into the log. Its methods
// may be called concurrently.
type Proposer struct {
	cfg    Config
	cancel context.CancelFunc // ends run
	exited chan struct{}      // closed when run ended
	wake   chan struct{}      // there are calls
	due    chan struct{}      // the pace allows another entry
	landed chan struct{}      // an outcome came while no attempt waits for it
	ones   sync.Pool          // of One

	mu     sync.Mutex
	queue  queue
	window []*flight // the entries on their way, in order; changed by run only
	closed error     // why the proposer was closed, nil while it is open

	// Owned by run.
	session  format.SessionID
	isOpen   bool          // the session is
	opening  time.Duration // how long the next attempt to open it may take, 0 for Config.Attempt
	sequence uint64        // the number of the next entry
	isFolded bool          // what is on its way is sent again one by one
	way      time.Duration // how long an entry is on its way, at its quickest
	pace     *time.Timer   // signals due
	woken    int           // how many callers were woken since then
	spares   []*flight     // the memory of flights
}

// New returns a proposer and starts its goroutine, which [Proposer.Close] ends.
func New(cfg Config) *Proposer {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proposer{
		cfg:    cfg.withDefaults(),
		cancel: cancel,
		exited: make(chan struct{}),
		wake:   make(chan struct{}, 1),
		due:    make(chan struct{}, 1),
		landed: make(chan struct{}, 1),
	}
	p.pace = time.AfterFunc(p.cfg.Pace, func() { signal(p.due) })
	p.queue.max, p.queue.maxBytes = p.cfg.MaxQueue, p.cfg.QueueBytes
	p.newSession()
	go p.run(ctx)
	return p
}

// Submit queues a call of commands that are encoded at a level of the schema, 0 if
// it is not known. They will stand next to each other in one entry. Calls are applied in the order in which Submit is called.
// It blocks only while the queue is full, until ctx ends: the error then, and for a
// context that has ended before, joins the context's with [ErrNotApplied]. Once it
// returned, ctx means nothing to the call. cmds must not be changed before the call is done. A zero span is
// none.
//
// A call without commands yields [ErrEmpty], one that exceeds Config.MaxEntry
// [ErrTooLarge].
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
	if limit := p.room(); c.size > limit {
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
		if c.lent {
			c.done <- struct{}{} // for Do
		}
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.retract(c, watch.Cause(ctx)) {
			return c.err
		}
	}
	return nil
}

// Deliver takes an outcome from the local state. It never blocks. Outcomes of
// other entries than those on their way are dropped.
func (p *Proposer) Deliver(d state.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Restored && p.mayLackLevel(d.Sequence) && errors.Is(d.Err, state.ErrForming) && !errors.Is(d.Err, state.ErrSealed) {
		d.Err = state.ErrLevel // for all that a snapshot says
	}
	isFirst := true
	for _, f := range p.window {
		if f.hasLanded {
			continue
		}
		if f.isMeant(d) {
			p.deliver(f, d, isFirst)
		}
		isFirst = false
	}
}

// mayLackLevel reports whether the entry of a number may have been refused for its
// level, which says nothing of those before it. None is refused for the first.
func (p *Proposer) mayLackLevel(sequence uint64) bool {
	for _, f := range p.window {
		if f.sequence == sequence {
			return f.level > 1
		}
	}
	return true
}

// deliver takes the outcome of an entry, which may be the first that has none.
func (p *Proposer) deliver(f *flight, d state.Delivery, isFirst bool) {
	if !isFirst && errors.Is(d.Err, state.ErrGap) {
		// This copy overtook the entry before it, and is void.
		f.isSpent = true
		return
	}
	if f.sequence < d.Sequence && (!errors.Is(d.Err, state.ErrForming) || errors.Is(d.Err, state.ErrSealed)) {
		// It may have been refused before the later one was accepted, or the
		// other way round. Only what lets no command in yet refused all before.
		d.Err = errPassedOver
	}
	f.hasLanded, f.outcome = true, d
	// The attempt that brought the entry here ends by itself. One that repeats
	// what an earlier one achieved, or whose entry was passed over by a
	// snapshot, may have nothing to wait for.
	if f.isTainted || d.Restored {
		f.cancel()
		signal(p.landed)
	}
}

// Close fails all calls with the cause, [ErrClosed] for nil, and waits for the
// proposer's goroutine. Closing again does nothing.
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

// room is how many bytes of commands an entry has room for.
func (p *Proposer) room() int { return p.cfg.MaxEntry - format.MaxOverhead - format.MaxTrace }

// attend notes that somebody waits for a call.
func (p *Proposer) attend(c *Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.waiters++
	c.givenUp = nil
}

// withdraw notes that one of those who wait for a call stopped. When it was the
// last, a call that is still queued ends, and one that was sent is remembered as
// given up, should it come back.
func (p *Proposer) withdraw(c *Call, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.waiters--; c.waiters > 0 {
		return
	}
	if !p.retract(c, cause) {
		c.givenUp = cause
	}
}

// retract ends a call that is still queued and reports whether it was.
func (p *Proposer) retract(c *Call, cause error) bool {
	if !p.queue.remove(c) {
		return false
	}
	c.end(0, nil, notApplied(cause))
	return true
}

// signal sets a flag that one goroutine waits for.
func signal(flag chan struct{}) {
	select {
	case flag <- struct{}{}:
	default:
	}
}
