package bond

import (
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// Who is dialled when
//
// An entry costs its maker nothing: the catalog can be full of made-up peers
// whose addresses are a victim's. So one goroutine, run, decides for all peers.
// A peer that is not connected waits for its time; then it is ready in one of two
// lanes: that of members and of addresses at which a peer was reached before, or
// that of all others. Peers that were never reached also pause for much longer.
// Each lane bounds the dials in flight, their rate, and the rate for each
// destination (lane.go). What succeeds gives its share of the rates back, so that
// a large network forms as fast as handshakes complete, while a flood of dead
// addresses gets what failed dials may use.
//
// A round dials the addresses of a peer, the one that worked last first. The next
// one is dialled when the one before it has failed or has taken stagger, so that
// several can be in flight (RFC 8305). When all have failed the peer pauses. Of a
// peer that was reached, and is no member, most rounds dial that address alone:
// the others are for the lane where they may have to wait.
//
// Seeds are configured and not learned: they are dialled beside all this (seed.go).

const (
	// stagger is how long one address may take before the next one is dialled as
	// well.
	stagger = 250 * time.Millisecond
	// renewal is how long it takes at least until another version of the entry of
	// a peer that is no member has it dialled sooner than its backoff says.
	renewal = 30 * time.Second
	// othersEvery is in which failed round the other addresses of a peer that was
	// reached, and is no member, are dialled as well.
	othersEvery = 4
	// patient bounds, in handshake timeouts, how long the end that does not select
	// waits for the other one to dial.
	patient = 5
	// idleCheck is how often the dialler looks when there is nothing to do.
	idleCheck = time.Hour
)

// dialler decides when each peer is dialled. The manager's mutex guards it.
type dialler struct {
	m       *Manager
	waiting queue // peers whose time is to come
	known   *lane // for members, and for addresses at which a peer was reached
	fresh   *lane // for all others
	swept   time.Time

	connected time.Time     // when a connection was last selected
	typical   time.Duration // how long a dial that succeeds takes

	wake chan struct{} // holds a token when there is something to look at
}

func newDialler(m *Manager) *dialler {
	return &dialler{
		m:       m,
		waiting: queue{before: func(p, q *peer) bool { return p.due.Before(q.due) }},
		known:   newLane(memberLimits),
		fresh:   newLane(freshLimits),
		wake:    make(chan struct{}, 1),
	}
}

// run starts dials and forgets peers until the manager closes.
func (d *dialler) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-d.wake:
		case <-d.m.done:
			return
		}
		d.m.mu.Lock()
		next, chores := d.step(time.Now())
		d.m.mu.Unlock()
		for _, do := range chores {
			do()
		}
		timer.Reset(time.Until(next))
	}
}

// signal has run look again.
func (d *dialler) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// step does what is due. It returns when to look again and what to do without
// the mutex.
func (d *dialler) step(now time.Time) (next time.Time, chores []func()) {
	if d.m.closing {
		return now.Add(idleCheck), nil
	}
	gone := d.sweep(now)
	for p := d.waiting.first(); p != nil && !p.due.After(now); p = d.waiting.first() {
		if p.lost(now) {
			p.dequeue()
			gone = append(gone, p)
			continue
		}
		d.place(p, now)
	}
	chores = d.m.bury(gone, now)
	next = now.Add(idleCheck)
	for _, l := range d.lanes() {
		next = earlier(next, d.drain(l, now, &chores))
		if l.ready.Len() > 0 {
			next = earlier(next, d.swept.Add(d.m.cfg.ForgetAfter/10))
		}
	}
	if p := d.waiting.first(); p != nil {
		next = earlier(next, p.due)
	}
	return next, chores
}

func (d *dialler) lanes() [2]*lane { return [...]*lane{d.known, d.fresh} }

// sweep takes out the peers that must be forgotten though they are ready: under
// a flood of entries they may have to wait for longer than that.
func (d *dialler) sweep(now time.Time) (gone []*peer) {
	if now.Before(d.swept.Add(d.m.cfg.ForgetAfter / 10)) {
		return nil
	}
	d.swept = now
	for _, l := range d.lanes() {
		for _, p := range l.ready.peers {
			if p.lost(now) {
				gone = append(gone, p)
			}
		}
	}
	for _, p := range gone {
		p.dequeue()
	}
	return gone
}

// drain starts the dials that a lane allows now and returns when it allows more.
// The end of a dial is a time as well, of which the dialler is signalled.
func (d *dialler) drain(l *lane, now time.Time, chores *[]func()) time.Time {
	for l.flying < l.window {
		p := l.ready.first()
		if p == nil {
			break
		}
		if wait := l.wait(now); wait > 0 {
			return now.Add(wait)
		}
		p.dequeue()
		if quiet := d.quiet(p); quiet.After(now) {
			p.next = quiet
			d.place(p, now)
			continue
		}
		d.launch(p, l, now, chores)
	}
	return now.Add(idleCheck)
}

// quiet returns when the peer may be dialled for the first time. The end that
// selects dials first: while connections keep coming, that of the peer is
// probably among those that will, and a dial to it would be one too many.
func (d *dialler) quiet(p *peer) time.Time {
	if p.rank <= rankReached || p.failures > 0 || d.m.decides(p.id) {
		return p.met
	}
	return earlier(d.connected.Add(max(d.m.cfg.Redial.Min, 2*d.typical)), p.met.Add(patient*d.m.cfg.HandshakeTimeout))
}

// took notes the duration of a dial that succeeded.
func (d *dialler) took(duration time.Duration) {
	if d.typical == 0 {
		d.typical = duration
	}
	d.typical += (duration - d.typical) / 8
}

// place queues the peer according to its state, or leaves it out when there is
// nothing to do about it.
func (d *dialler) place(p *peer, now time.Time) {
	p.dequeue()
	if len(p.conns) > 0 {
		p.left, p.errs = nil, nil
	}
	if d.m.closing || d.m.peers[p.id] != p || len(p.conns) > 0 {
		return
	}
	entry, _ := d.m.cfg.Catalog.Get(p.id)
	p.rank = p.rankBy(entry)
	if p.rank == rankReached && len(p.left) > 0 && p.left[0] != p.worked {
		p.rank = p.claim(entry) // its other addresses may be a victim's
	}
	p.due = p.alive.Add(d.m.cfg.ForgetAfter)
	overdue := !p.due.After(now)
	dials := len(p.left) > 0 || p.flying == 0 && len(entry.Addrs) > 0
	switch {
	case p.flying > 0 && (overdue || !dials):
		return // the end of the dial places it
	case dials && !overdue && !p.next.After(now):
		d.laneOf(p).ready.add(p)
		return
	case dials:
		p.due = earlier(p.due, p.next)
	}
	d.waiting.add(p)
}

func (d *dialler) laneOf(p *peer) *lane {
	if p.rank <= rankReached {
		return d.known
	}
	return d.fresh
}

// launch begins a dial to the best address of the peer that may be dialled now.
// When there is none the peer waits or ends its round.
func (d *dialler) launch(p *peer, l *lane, now time.Time, chores *[]func()) {
	if len(p.left) == 0 {
		entry, _ := d.m.cfg.Catalog.Get(p.id)
		p.listed, p.left = entry.Addrs, inOrder(entry.Addrs, p.worked)
		if p.rank == rankReached && p.rounds%othersEvery != othersEvery-1 {
			p.left = p.left[:1]
		}
	}
	own := d.m.cfg.Catalog.Self().Addrs
	soonest := idleCheck
	for i := 0; i < len(p.left); {
		a, err := d.m.newAttempt(p, l, p.left[i], own)
		if err != nil {
			d.m.cfg.Link.Tally().Dialled(link.DialForbidden)
			p.errs = append(p.errs, err)
			p.left = slices.Delete(p.left, i, i+1)
			continue
		}
		if p.rank == rankReached && a.addr != p.worked {
			break // for the other lane
		}
		if wait := l.waitFor(a.dest, now); wait > 0 {
			soonest = min(soonest, wait)
			i++
			continue
		}
		p.left = slices.Delete(p.left, i, i+1)
		a.begin(now)
		p.next, p.crowded = now.Add(stagger), 0
		d.place(p, now)
		return
	}
	if len(p.left) > 0 {
		p.next = now.Add(p.yield(soonest))
	} else if p.flying == 0 {
		*chores = append(*chores, p.endRound(now))
	}
	d.place(p, now)
}
