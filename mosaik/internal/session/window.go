package session

import (
	"context"
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/gather"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
)

// maxSpares bounds how many flights are kept for their memory.
const maxSpares = 4

// memory is how many entries it takes to forget a quick one.
const memory = 16

// What the work on an entry adds to its way at most, on a machine that has
// others, too.
const (
	workPerCommand = 5 * time.Microsecond
	workPerByte    = 10 * time.Nanosecond
)

var (
	// errUndelivered is an entry that the transport calls applied and the state has
	// not told about: their contract is broken.
	errUndelivered = errors.New("session: entry was applied without an outcome")
	// errOvertook is an entry that came before the one before it.
	errOvertook = errors.New("session: entry overtook another")
	// errPassedOver is an entry that a snapshot covers together with later ones:
	// it tells the outcome of the last.
	errPassedOver = errors.New("session: a snapshot passed over the entry")
)

// fly sends new entries, as many as may be on their way, and waits for the oldest.
//
// Several are worth their cost where the way is long and not where the work is:
// there it is shared by more calls if they wait for the entry before theirs.
func (p *Proposer) fly(ctx context.Context) error {
	for p.mayLaunch() {
		f := p.takeOff()
		if f == nil {
			break
		}
		if p.start(ctx, f); f.attempt == nil {
			return p.fold()
		}
	}
	if len(p.window) == 0 || !p.window[0].wait(p.interrupt()) {
		return nil
	}
	if p.arrive() {
		return nil
	}
	return p.fold()
}

// repeat makes another attempt at the oldest entry.
func (p *Proposer) repeat(ctx context.Context) error {
	p.start(ctx, p.window[0])
	return p.fold()
}

// mayLaunch reports whether another entry may be sent.
func (p *Proposer) mayLaunch() bool {
	if len(p.window) == 0 {
		return true
	}
	return p.isFar() && p.isRoom() && (p.isDue() || p.isFull())
}

// isDue reports whether the newest entry was sent as long ago as the pace wants.
func (p *Proposer) isDue() bool { return p.sinceLaunch() >= p.gap() }

// sinceLaunch returns how long ago the newest entry was sent.
func (p *Proposer) sinceLaunch() time.Duration {
	return time.Since(p.window[len(p.window)-1].launched)
}

// gap is the pace, or more where the way is so long that as many entries as may
// be on it at a time are spread over it.
func (p *Proposer) gap() time.Duration {
	return max(p.cfg.Pace, p.way/time.Duration(p.cfg.MaxFlights))
}

// isFull reports whether the queue holds calls for a whole entry.
func (p *Proposer) isFull() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.commands >= p.cfg.MaxCommands || p.queue.bytes >= p.room()
}

// isRoom reports whether fewer entries are on their way than may be.
func (p *Proposer) isRoom() bool {
	var bytes int
	for _, f := range p.window {
		bytes += len(f.data)
	}
	return len(p.window) < p.cfg.MaxFlights && bytes < p.cfg.MaxEntry
}

// interrupt returns what is ready when another entry may be sent before the
// oldest has landed.
func (p *Proposer) interrupt() <-chan struct{} {
	switch {
	case !p.isFar() || !p.isRoom():
		return nil
	case !p.isDue():
		p.pace.Reset(p.gap() - p.sinceLaunch())
		return p.due
	}
	return p.wake
}

// isFar reports whether even a quick entry is longer on its way than the pace.
func (p *Proposer) isFar() bool { return p.way > p.cfg.Pace }

// learn takes in how long an entry was on its way, but for the work on it: as long
// as the way is for the quickest, until that one is long ago.
func (p *Proposer) learn(took time.Duration) {
	if p.way == 0 || took < p.way {
		p.way = max(took, 1)
	} else {
		p.way += (took - p.way) / memory
	}
}

// takeOff makes a new entry of queued calls, or returns nil.
func (p *Proposer) takeOff() *flight {
	gather.Wait(p.woken, p.waiting) // for the callers of the entries before
	p.woken = 0
	f := &flight{}
	if n := len(p.spares); n > 0 {
		f, p.spares = p.spares[n-1], p.spares[:n-1]
	}
	p.mu.Lock()
	commands := f.load(&p.queue, p.cfg.MaxEntry-format.MaxOverhead, p.cfg.MaxCommands)
	p.mu.Unlock()
	if commands == 0 {
		p.keep(f)
		return nil
	}
	f.commands = commands
	h := p.header(format.KindCommands)
	h.Level = f.level
	f.encode(h)
	f.cancel = func() {}
	p.sequence++
	f.launched = time.Now()
	p.mu.Lock()
	p.window = append(p.window, f)
	p.mu.Unlock()
	return f
}

// keep keeps the memory of a flight.
func (p *Proposer) keep(f *flight) {
	if len(p.spares) < maxSpares {
		f.reset()
		p.spares = append(p.spares, f)
	}
}

// waiting returns how many calls could be in the next entry.
func (p *Proposer) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.calls
}

// start begins an attempt at an entry.
func (p *Proposer) start(ctx context.Context, f *flight) {
	p.mu.Lock()
	if f.hasLanded {
		p.mu.Unlock()
		return
	}
	f.ctx, f.cancel = context.WithTimeout(ctx, p.cfg.Attempt)
	f.isSpent = false
	p.mu.Unlock()
	if f.attempt, f.err = p.cfg.Transport.Start(f.ctx, f.data); f.err != nil {
		f.attempt = nil
		f.cancel()
	}
}

// arrive ends the flight of the oldest entry, whose attempt has ended, if its
// outcome is known and the session goes on.
func (p *Proposer) arrive() bool {
	f := p.window[0]
	p.mu.Lock()
	if !f.hasLanded || f.isOutcast() {
		p.mu.Unlock()
		return false
	}
	p.window = append(p.window[:0], p.window[1:]...)
	p.mu.Unlock()
	select {
	case <-p.landed:
	default:
	}
	if !f.isTainted {
		p.learn(time.Since(f.launched) - f.work())
	}
	p.settle(f)
	p.keep(f)
	return true
}

// settle ends the calls of an entry whose outcome is known.
func (p *Proposer) settle(f *flight) {
	p.woken += len(f.calls)
	p.sequence = max(p.sequence, f.outcome.Sequence+1)
	err := f.outcome.Err
	switch {
	case err == nil:
		f.succeed()
	case errors.Is(err, state.ErrForming), errors.Is(err, state.ErrSealed), errors.Is(err, state.ErrLevel):
		f.fail(notApplied(err))
	case errors.Is(err, state.ErrResultLost):
		f.lose()
	default:
		f.fail(unknown(err))
	}
}

// fold deals with an attempt that has not ended well. It waits for the others,
// takes back from the end of the window what surely is not in the log, and leaves
// the rest to be sent again, one by one. The error is that of the oldest of these.
func (p *Proposer) fold() error {
	for _, f := range p.window {
		f.wait(nil)
		p.judge(f)
	}
	for len(p.window) > 0 && p.arrive() {
	}
	var err error
	if len(p.window) > 0 {
		oldest := p.window[0]
		err = oldest.err
		if cause := p.broken(oldest); cause != nil {
			p.breakSession(cause)
			err = cause
		}
	}
	for n := len(p.window); n > 0 && p.isVoid(p.window[n-1]); n-- {
		p.takeBack()
	}
	p.isFolded = len(p.window) > 0
	return err
}

// judge notes what the end of an attempt says about the entry.
func (p *Proposer) judge(f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.hasLanded:
	case f.isSpent:
		f.isTainted = true // there may be other copies
		f.err = errOvertook
	case f.err != nil && !p.cfg.IsVoid(f.err):
		f.isTainted = true
	}
}

// isVoid reports whether an entry whose attempts have ended surely is not in the
// log, or was refused there with its session, and no copy of it is on its way.
func (p *Proposer) isVoid(f *flight) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.isTainted:
		return false
	case f.hasLanded:
		return f.isOutcast()
	}
	return f.err != nil && p.cfg.IsVoid(f.err)
}

// broken returns why the session can't go on behind the oldest entry, or nil.
func (p *Proposer) broken(oldest *flight) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case oldest.isOutcast():
		return oldest.outcome.Err
	case !oldest.hasLanded && oldest.err == nil:
		return errUndelivered
	}
	return nil
}

// breakSession ends the session and everything on its way in it.
func (p *Proposer) breakSession(cause error) {
	for len(p.window) > 0 {
		if p.isVoid(p.window[len(p.window)-1]) {
			p.takeBack()
			continue
		}
		f := p.drop()
		f.fail(unknown(cause))
		p.keep(f)
	}
	p.newSession()
}

// takeBack takes the newest entry, which surely was not accepted, out of the
// window. Its calls go to the head of the queue, but for those that nobody waits
// for any more, which end.
func (p *Proposer) takeBack() {
	f := p.drop()
	p.sequence = f.sequence
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(f.calls) - 1; i >= 0; i-- {
		c := f.calls[i]
		if c.givenUp != nil {
			c.end(0, nil, notApplied(c.givenUp))
			continue
		}
		p.queue.unpop(c)
	}
	p.keep(f)
}

// drop takes the newest entry out of the window.
func (p *Proposer) drop() *flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.window) - 1
	f := p.window[last]
	p.window = p.window[:last]
	return f
}
