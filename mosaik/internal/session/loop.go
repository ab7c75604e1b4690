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
		changed := p.cfg.Leader() // before the attempt, so that a change during it is not missed
		if err := p.step(ctx, changed); err == nil {
			pause = p.cfg.Retry
			continue
		}
		if cause := p.cfg.Stalled(); cause != nil {
			p.failAll(cause)
		}
		if p.waitToRetry(ctx, changed, pause) {
			pause = p.cfg.Retry
		} else {
			pause = min(2*pause, p.cfg.MaxRetry)
		}
	}
	p.failAll(p.closed)
}

// awaitWork waits until there is something to send. It returns false when ctx has ended.
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

// waitToRetry waits before the next attempt. It reports whether the leader changed or an outcome
// arrived, so that the next attempt is likely to succeed.
func (p *Proposer) waitToRetry(ctx context.Context, changed <-chan struct{}, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-changed:
	case <-p.outcome:
	case <-timer.C:
		return false
	case <-ctx.Done():
	}
	return true
}

// step makes one attempt to send what is next, and waits for entries in flight. An error means that
// the attempt must be repeated. changed is closed when the leader changes.
func (p *Proposer) step(ctx context.Context, changed <-chan struct{}) error {
	switch {
	case !p.isOpen:
		return p.openSession(ctx, changed)
	case p.isResending:
		return p.resend(ctx)
	}
	return p.sendAndWait(ctx)
}

// newSession draws a new session, which is not open yet.
func (p *Proposer) newSession() {
	le := binary.LittleEndian
	le.PutUint64(p.session[:8], p.cfg.Rand())
	le.PutUint64(p.session[8:], p.cfg.Rand())
	p.isOpen, p.sequence = false, 1
	p.cfg.SetSession(p.session)
}

// maxOpenTimeout is the limit of one attempt to open a session.
const maxOpenTimeout = time.Minute

// errChanged reports an attempt that ended early because the leader changed.
var errChanged = errors.New("session: the leader changed")

// openSession makes one attempt to open the session. If a failed attempt may have opened it, a new
// session replaces it: if the entry arrived late, after the session was used and dropped from the
// table, it would open the session again, and its commands could be applied twice.
//
// The outcome of an attempt that timed out is lost, unlike that of commands. So an attempt limit
// below the round-trip time would never succeed. Each attempt that times out therefore doubles the
// limit of the next one, which then ends early when the leader changes.
func (p *Proposer) openSession(ctx context.Context, changed <-chan struct{}) error {
	limit := max(p.cfg.Attempt, p.openTimeout)
	if p.openTimeout == 0 {
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
	p.openTimeout = 0
	switch {
	case err == nil:
		p.isOpen = true
		p.updateRTT(time.Since(started))
		return nil
	case try.Err() != nil && ctx.Err() == nil:
		p.openTimeout = min(2*limit, max(limit, maxOpenTimeout))
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

// failAll ends all calls. Entries that may be in the log stay in the window.
func (p *Proposer) failAll(cause error) {
	p.mu.Lock()
	calls := p.queue.drain()
	p.mu.Unlock()
	for _, f := range p.window {
		f.fail(unknown(cause))
	}
	failCalls(calls, notApplied(cause))
}
