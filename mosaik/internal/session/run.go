package session

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/gather"
)

// errUndelivered is an entry that the transport calls applied and the state has
// not told about: their contract is broken.
var errUndelivered = errors.New("session: entry was applied without an outcome")

// run sends one entry after the other until ctx ends.
func (p *Proposer) run(ctx context.Context) {
	defer close(p.exited)
	pause := p.cfg.Retry
	for p.awaitWork(ctx) {
		changed := p.cfg.Leader() // before the attempt: a change during it counts
		if err := p.step(ctx); err == nil {
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
		isWork := p.flight != nil || p.queue.first() != nil
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

// step makes one attempt at what is to be sent next. An error means that it is
// worth another one.
func (p *Proposer) step(ctx context.Context) error {
	if !p.isOpen {
		return p.openSession(ctx)
	}
	f := p.takeOff()
	if f == nil {
		return nil
	}
	return p.land(f, p.attempt(ctx, f))
}

// newSession draws a session that is not open yet.
func (p *Proposer) newSession() {
	le := binary.LittleEndian
	le.PutUint64(p.session[:8], p.cfg.Rand())
	le.PutUint64(p.session[8:], p.cfg.Rand())
	p.isOpen, p.sequence = false, 1
	p.cfg.Own(p.session)
}

// openSession makes one attempt to open the session. One that may have been
// opened is given up for a new one: if its entry came late, after the session
// was used and dropped from the table, it would begin anew and apply its
// commands again.
func (p *Proposer) openSession(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Attempt)
	defer cancel()
	e := format.Envelope{Header: p.header(format.KindSession)}
	err := p.cfg.Transport.Propose(ctx, format.Append(nil, &e))
	if err == nil {
		p.isOpen = true
	} else if p.cfg.Classify(err) == Unknown {
		p.newSession()
	}
	return err
}

func (p *Proposer) header(kind format.Kind) format.Header {
	h := format.Header{
		Kind:    kind,
		Level:   p.cfg.Level,
		Session: p.session,
		Time:    p.cfg.Clock().UnixNano(),
		Seed:    p.cfg.Rand(),
	}
	if kind == format.KindCommands {
		h.Sequence = p.sequence
	}
	return h
}

// takeOff returns the entry that is on its way, or a new one made of queued
// calls, or nil.
func (p *Proposer) takeOff() *flight {
	p.mu.Lock()
	if f := p.flight; f != nil {
		p.mu.Unlock()
		return f
	}
	p.mu.Unlock()
	f := &p.spare
	gather.Wait(len(f.calls), p.waiting) // for the callers of the entry before
	f.reset()
	p.mu.Lock()
	commands := f.load(&p.queue, p.cfg.MaxEntry-format.MaxOverhead, p.cfg.MaxCommands)
	p.mu.Unlock()
	if commands == 0 {
		return nil
	}
	f.encode(p.header(format.KindCommands), commands)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flight = f
	return f
}

// waiting returns how many calls could be in the next entry.
func (p *Proposer) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.calls
}

// attempt makes one attempt to bring the entry into the log.
func (p *Proposer) attempt(ctx context.Context, f *flight) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Attempt)
	defer cancel()
	p.mu.Lock()
	if f.hasLanded {
		p.mu.Unlock()
		return nil
	}
	f.cancel = cancel
	p.mu.Unlock()
	return p.cfg.Transport.Propose(ctx, f.data)
}

// land ends the flight if the attempt, or what was delivered meanwhile, settled
// its fate. Otherwise it returns the attempt's error.
func (p *Proposer) land(f *flight, err error) error {
	fate := Unknown
	if err != nil {
		fate = p.cfg.Classify(err)
	}
	p.mu.Lock()
	hasLanded, surely := f.hasLanded, fate != Unknown && !f.isTainted
	if hasLanded || err == nil || surely {
		p.flight = nil
	} else if fate == Unknown {
		f.isTainted = true
	}
	p.mu.Unlock()
	switch {
	case hasLanded:
		select {
		case <-p.landed:
		default:
		}
		p.settle(f)
		return nil
	case err == nil:
		p.newSession()
		f.fail(unknown(errUndelivered))
		return nil
	case surely && fate == Refused:
		f.fail(notApplied(err))
		return nil
	case surely:
		p.requeue(f)
	}
	return err
}

// failAll ends all calls. An entry that may be in the log stays on its way.
func (p *Proposer) failAll(cause error) {
	p.mu.Lock()
	calls, f := p.queue.drain(), p.flight
	p.mu.Unlock()
	if f != nil {
		f.fail(unknown(cause))
	}
	failCalls(calls, notApplied(cause))
}
