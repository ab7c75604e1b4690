package session

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// run sends entries until ctx ends.
func (p *Proposer) run(ctx context.Context) {
	defer close(p.exited)
	defer p.pace.Stop()
	pause := p.cfg.Retry
	for p.awaitWork(ctx) {
		changed := p.cfg.Leader() // before the attempt: a change during it counts
		if err := p.step(ctx, changed); err == nil {
			pause = p.cfg.Retry
			continue
		}
		if cause := p.cfg.Stalled(); cause != nil {
			p.failAll(cause)
		}
		if p.rest(ctx, changed, pause) {
			pause = p.cfg.Retry
		} else {
			pause = min(2*pause, p.cfg.MaxRetry)
		}
	}
	p.failAll(p.closed)
}

// awaitWork waits until there is something to send. It is false when ctx ended.
func (p *Proposer) awaitWork(ctx context.Context) bool {
	for {
		p.mu.Lock()
		isWork := len(p.window) > 0 || p.queue.first() != nil
		p.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		if isWork {
			return true
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
		}
	}
}

// rest waits before the next attempt, and reports whether something happened
// meanwhile that makes it likely to succeed.
func (p *Proposer) rest(ctx context.Context, changed <-chan struct{}, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-changed:
	case <-p.landed:
	case <-timer.C:
		return false
	case <-ctx.Done():
	}
	return true
}

// step makes one attempt at what is to be sent next, and waits for what was
// sent. An error means that it is worth another attempt. changed is closed when
// another attempt is likely to end otherwise.
func (p *Proposer) step(ctx context.Context, changed <-chan struct{}) error {
	switch {
	case !p.isOpen:
		return p.openSession(ctx, changed)
	case p.isFolded:
		return p.repeat(ctx)
	}
	return p.fly(ctx)
}

// newSession draws a session that is not open yet.
func (p *Proposer) newSession() {
	le := binary.LittleEndian
	le.PutUint64(p.session[:8], p.cfg.Rand())
	le.PutUint64(p.session[8:], p.cfg.Rand())
	p.isOpen, p.sequence = false, 1
	p.cfg.Own(p.session)
}

// maxOpening bounds one attempt to open a session.
const maxOpening = time.Minute

// errChanged is an attempt that was given up because the leader changed.
var errChanged = errors.New("session: the leader changed")

// openSession makes one attempt to open the session. One that may have been
// opened is given up for a new one: if its entry came late, after the session
// was used and dropped from the table, it would begin anew and apply its
// commands again.
//
// Unlike that of commands, the outcome of an attempt that was given up does not
// count. So where an attempt ends by its time, as it must if that is shorter than a
// round trip, the next one gets twice the time, and ends early when the leader
// changes.
func (p *Proposer) openSession(ctx context.Context, changed <-chan struct{}) error {
	limit := max(p.cfg.Attempt, p.opening)
	if p.opening == 0 {
		changed = nil
	}
	try, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	e := format.Envelope{Header: p.header(format.KindSession)}
	started := time.Now()
	attempt, err := p.cfg.Transport.Start(try, format.Append(nil, &e))
	if err == nil {
		var settled bool
		if settled, err = attempt.Wait(try, changed); err == nil && !settled {
			err = errChanged
		}
	}
	p.opening = 0
	switch {
	case err == nil:
		p.isOpen = true
		p.learn(time.Since(started))
		return nil
	case try.Err() != nil && ctx.Err() == nil:
		p.opening = min(2*limit, max(limit, maxOpening))
	}
	if !p.cfg.IsVoid(err) {
		p.newSession()
	}
	return err
}

func (p *Proposer) header(kind format.Kind) format.Header {
	h := format.Header{
		Kind:    kind,
		Session: p.session,
		Time:    p.cfg.Clock().UnixNano(),
		Seed:    p.cfg.Rand(),
	}
	if kind == format.KindCommands {
		h.Sequence = p.sequence
	}
	return h
}

// failAll ends all calls. Entries that may be in the log stay on their way.
func (p *Proposer) failAll(cause error) {
	p.mu.Lock()
	calls := p.queue.drain()
	p.mu.Unlock()
	for _, f := range p.window {
		f.fail(unknown(cause))
	}
	failCalls(calls, notApplied(cause))
}
