package session

import (
	"context"
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/gather"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
)

// maxRecycled is the limit of entries that are kept for reuse.
const maxRecycled = 4

// rttSamples is the weight of the old estimate of the round-trip time against one new sample.
const rttSamples = 16

// Upper bounds of the time to process an entry on a busy machine.
const (
	workPerCommand = 5 * time.Microsecond
	workPerByte    = 10 * time.Nanosecond
)

var (
	// errNoOutcome reports an entry that the transport calls applied, but whose outcome the
	// state did not deliver before. It violates the contract between them.
	errNoOutcome = errors.New("session: entry was applied without an outcome")
	// errOutOfOrder reports an entry that reached the log before the entry before it.
	errOutOfOrder = errors.New("session: entry overtook another")
	// errCoveredBySnapshot reports an entry that a snapshot covers together with later ones: the
	// snapshot has the outcome of the last one only.
	errCoveredBySnapshot = errors.New("session: entry is covered by a snapshot without its outcome")
)

// sendAndWait sends new entries, as many as may be in flight, and waits for the oldest.
//
// Pipelining pays off when network latency dominates. When processing dominates, waiting lets more
// calls share the next entry.
func (p *Proposer) sendAndWait(ctx context.Context) error {
	for p.maySend() {
		f := p.dequeue()
		if f == nil {
			break
		}
		if p.startAttempt(ctx, f); f.attempt == nil {
			return p.resolve()
		}
	}
	if len(p.window) == 0 || !p.window[0].wait(p.interrupt()) {
		return nil
	}
	if p.completeOldest() {
		return nil
	}
	return p.resolve()
}

// resend makes another attempt to send the oldest entry.
func (p *Proposer) resend(ctx context.Context) error {
	p.startAttempt(ctx, p.window[0])
	return p.resolve()
}

// maySend reports whether another entry may be sent.
func (p *Proposer) maySend() bool {
	if len(p.window) == 0 {
		return true
	}
	return p.isPipelining() && p.windowHasSpace() && (p.isDue() || p.hasFullEntry())
}

// isDue reports whether the interval since the newest entry has passed.
func (p *Proposer) isDue() bool { return p.sinceLastSend() >= p.sendInterval() }

// sinceLastSend returns how long ago the newest entry was sent.
func (p *Proposer) sinceLastSend() time.Duration {
	return time.Since(p.window[len(p.window)-1].sentAt)
}

// sendInterval returns the interval between entries: the pace, or more if the round-trip time is so
// long that the window would be sent in a fraction of it.
func (p *Proposer) sendInterval() time.Duration {
	return max(p.cfg.Pace, p.rtt/time.Duration(p.cfg.MaxInflight))
}

// hasFullEntry reports whether the queued calls fill an entry.
func (p *Proposer) hasFullEntry() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.commands >= p.cfg.MaxCommands || p.queue.bytes >= p.maxCallSize()
}

// windowHasSpace reports whether the window has space for another entry.
func (p *Proposer) windowHasSpace() bool {
	var bytes int
	for _, f := range p.window {
		bytes += len(f.data)
	}
	return len(p.window) < p.cfg.MaxInflight && bytes < p.cfg.MaxEntry
}

// interrupt returns a channel that is ready when another entry may be sent before the outcome of
// the oldest is known.
func (p *Proposer) interrupt() <-chan struct{} {
	switch {
	case !p.isPipelining() || !p.windowHasSpace():
		return nil
	case !p.isDue():
		p.pace.Reset(p.sendInterval() - p.sinceLastSend())
		return p.due
	}
	return p.wake
}

// isPipelining reports whether the round-trip time exceeds the pace, so that several entries are
// sent without waiting.
func (p *Proposer) isPipelining() bool { return p.rtt > p.cfg.Pace }

// updateRTT updates the round-trip estimate: the lowest recent sample, excluding processing time,
// decaying toward newer samples.
func (p *Proposer) updateRTT(took time.Duration) {
	if p.rtt == 0 || took < p.rtt {
		p.rtt = max(took, 1)
	} else {
		p.rtt += (took - p.rtt) / rttSamples
	}
}

// dequeue makes an entry of queued calls and adds it to the window. It returns nil if there are no
// calls.
func (p *Proposer) dequeue() *inflightEntry {
	gather.Wait(p.woken, p.queuedCalls) // lets the callers that were woken join this entry
	p.woken = 0
	f := &inflightEntry{}
	if n := len(p.recycled); n > 0 {
		f, p.recycled = p.recycled[n-1], p.recycled[:n-1]
	}
	p.mu.Lock()
	commands := f.take(&p.queue, p.cfg.MaxEntry-format.MaxOverhead, p.cfg.MaxCommands)
	p.mu.Unlock()
	if commands == 0 {
		p.recycle(f)
		return nil
	}
	f.commands = commands
	h := p.header(format.KindCommands)
	h.Level = f.level
	f.encode(h)
	f.cancel = func() {}
	p.sequence++
	f.sentAt = time.Now()
	p.mu.Lock()
	p.window = append(p.window, f)
	p.mu.Unlock()
	return f
}

// recycle keeps the memory of an entry for reuse.
func (p *Proposer) recycle(f *inflightEntry) {
	if len(p.recycled) < maxRecycled {
		f.reset()
		p.recycled = append(p.recycled, f)
	}
}

// queuedCalls returns how many calls are queued.
func (p *Proposer) queuedCalls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.calls
}

// startAttempt begins an attempt to send an entry.
func (p *Proposer) startAttempt(ctx context.Context, f *inflightEntry) {
	p.mu.Lock()
	if f.hasOutcome {
		p.mu.Unlock()
		return
	}
	f.ctx, f.cancel = context.WithTimeout(ctx, p.cfg.Attempt)
	f.isCopyVoid = false
	p.mu.Unlock()
	if f.attempt, f.err = p.cfg.Transport.Start(f.ctx, f.data); f.err != nil {
		f.attempt = nil
		f.cancel()
	}
}

// completeOldest removes the oldest entry, whose attempt has ended, from the window and ends its
// calls, if its outcome is known and does not end the session. It reports whether it did.
func (p *Proposer) completeOldest() bool {
	f := p.window[0]
	p.mu.Lock()
	if !f.hasOutcome || f.isSessionRefused() {
		p.mu.Unlock()
		return false
	}
	p.window = append(p.window[:0], p.window[1:]...)
	p.mu.Unlock()
	select {
	case <-p.outcome:
	default:
	}
	if !f.mayBeInLog {
		p.updateRTT(time.Since(f.sentAt) - f.processingTime())
	}
	p.endCalls(f)
	p.recycle(f)
	return true
}

// endCalls ends the calls of an entry with its outcome.
func (p *Proposer) endCalls(f *inflightEntry) {
	p.woken += len(f.calls)
	p.sequence = max(p.sequence, f.outcome.Sequence+1)
	err := f.outcome.Err
	switch {
	case err == nil:
		f.succeed()
	case errors.Is(err, state.ErrForming), errors.Is(err, state.ErrSealed), errors.Is(err, state.ErrLevel):
		f.fail(notApplied(err))
	case errors.Is(err, state.ErrResultLost):
		f.succeedWithoutResults()
	default:
		f.fail(unknown(err))
	}
}

// resolve handles an attempt that failed. It waits for the attempts in flight, requeues the newest
// entries that are certainly not in the log, and leaves the others to be sent again one by one. It
// returns the error of the oldest of these.
func (p *Proposer) resolve() error {
	for _, f := range p.window {
		f.wait(nil)
		p.noteAttempt(f)
	}
	for len(p.window) > 0 && p.completeOldest() {
	}
	var err error
	if len(p.window) > 0 {
		oldest := p.window[0]
		err = oldest.err
		if cause := p.sessionError(oldest); cause != nil {
			p.replaceSession(cause)
			err = cause
		}
	}
	for n := len(p.window); n > 0 && p.isVoid(p.window[n-1]); n-- {
		p.requeueNewest()
	}
	p.isResending = len(p.window) > 0
	return err
}

// noteAttempt records what the end of an attempt reveals about the entry.
func (p *Proposer) noteAttempt(f *inflightEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.hasOutcome:
	case f.isCopyVoid:
		f.mayBeInLog = true // other copies may exist
		f.err = errOutOfOrder
	case f.err != nil && !p.cfg.IsVoid(f.err):
		f.mayBeInLog = true
	}
}

// isVoid reports whether an entry whose attempts have ended is certainly not in the log, or was
// rejected there with its session, and no copy of it is in flight.
func (p *Proposer) isVoid(f *inflightEntry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.mayBeInLog:
		return false
	case f.hasOutcome:
		return f.isSessionRefused()
	}
	return f.err != nil && p.cfg.IsVoid(f.err)
}

// sessionError returns why the session cannot continue after the oldest entry, nil if it can.
func (p *Proposer) sessionError(oldest *inflightEntry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case oldest.isSessionRefused():
		return oldest.outcome.Err
	case !oldest.hasOutcome && oldest.err == nil:
		return errNoOutcome
	}
	return nil
}

// replaceSession fails all entries in flight and starts a new session. Entries that are certainly
// not in the log are requeued.
func (p *Proposer) replaceSession(cause error) {
	for len(p.window) > 0 {
		if p.isVoid(p.window[len(p.window)-1]) {
			p.requeueNewest()
			continue
		}
		f := p.dropNewest()
		f.fail(unknown(cause))
		p.recycle(f)
	}
	p.newSession()
}

// requeueNewest removes the newest entry, which was certainly not accepted, from the window. Its
// calls return to the head of the queue, except that calls without a waiter end.
func (p *Proposer) requeueNewest() {
	f := p.dropNewest()
	p.sequence = f.sequence
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(f.calls) - 1; i >= 0; i-- {
		c := f.calls[i]
		if c.abandoned != nil {
			c.end(0, nil, notApplied(c.abandoned))
			continue
		}
		p.queue.requeue(c)
	}
	p.recycle(f)
}

// dropNewest removes the newest entry from the window.
func (p *Proposer) dropNewest() *inflightEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.window) - 1
	f := p.window[last]
	p.window = p.window[:last]
	return f
}
