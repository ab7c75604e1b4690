package dialler

import (
	"log/slog"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// Stagger is how long the dial to one address may take before the next address of the
	// same peer is dialled as well.
	Stagger = 250 * time.Millisecond
	// Renewal is the least time between two dials that a new entry of a peer that is no
	// member brings about before its backoff allows them.
	Renewal = 30 * time.Second
	// AlarmAfter is how long a peer or a seed may be unreachable before a warning is logged:
	// processes of one deployment start, and restart, one after the other.
	AlarmAfter = 10 * time.Second
	// Idle is how long the scheduler lets its owner sleep when nothing is due.
	Idle = time.Hour

	// One in othersEvery rounds to a peer that was reached and is not a member also
	// dials its other addresses.
	othersEvery = 4
	// maxQuiet bounds, in handshake timeouts, how long the end that does not select
	// connections waits for the other one to dial.
	maxQuiet = 5
)

// Config is the configuration of a [Scheduler]. All fields are required.
type Config struct {
	HandshakeTimeout time.Duration
	Redial           rate.Bounds   // of the pause after a round
	Unreached        time.Duration // replaces Redial.Max for peers that were never reached
	ForgetAfter      time.Duration // how long a peer without a connection is kept
	// OwnAddrs returns the addresses that this peer advertises.
	OwnAddrs func() []string
	// Exempt reports whether the rules for addresses do not apply to an address, since the
	// operator configured it.
	Exempt func(addr string) bool
	// Forbidden is called for each address that the rules do not allow to be dialled.
	Forbidden func()
	Logger    *slog.Logger
}

// Scheduler decides when each peer is dialled. Its owner serialises all calls.
type Scheduler struct {
	cfg       Config
	waiting   targetHeap // targets that are not due yet, by due
	trusted   *dialQueue // for members, and for addresses at which a peer was reached
	untrusted *dialQueue // for all others
	swept     time.Time  // the last sweep

	connected time.Time     // when a connection was last selected
	typical   time.Duration // how long a dial that succeeds takes, a moving average
}

// New returns a scheduler without targets.
func New(cfg Config) *Scheduler {
	return &Scheduler{
		cfg:       cfg,
		waiting:   targetHeap{before: func(t, u *Target) bool { return t.due.Before(u.due) }},
		trusted:   newDialQueue(TrustedLimits),
		untrusted: newDialQueue(UntrustedLimits),
	}
}

// Plan is what the owner must do after a step.
type Plan struct {
	Dials   []*Attempt  // to start, each on a goroutine of its own
	Lost    []sm.PeerID // to forget: they were out of reach for ForgetAfter
	Reports []func()    // to call without the owner's lock: they write to the log
	Next    time.Time   // when to call Step again if no target changes before
}

// Step returns what is due.
func (s *Scheduler) Step(now time.Time) Plan {
	var plan Plan
	s.sweep(now, &plan)
	for t := s.waiting.first(); t != nil && !t.due.After(now); t = s.waiting.first() {
		if t.lost(now) {
			t.dequeue()
			plan.Lost = append(plan.Lost, t.peer.ID())
			continue
		}
		s.Place(t, now)
	}
	plan.Next = now.Add(Idle)
	for _, q := range s.queues() {
		plan.Next = earlier(plan.Next, s.drain(q, now, &plan))
		if q.ready.Len() > 0 {
			plan.Next = earlier(plan.Next, s.nextSweep())
		}
	}
	if t := s.waiting.first(); t != nil {
		plan.Next = earlier(plan.Next, t.due)
	}
	return plan
}

func (s *Scheduler) queues() [2]*dialQueue { return [...]*dialQueue{s.trusted, s.untrusted} }

// sweep removes the ready targets that must be forgotten: under a flood of entries they may
// be ready for longer than ForgetAfter.
func (s *Scheduler) sweep(now time.Time, plan *Plan) {
	if now.Before(s.nextSweep()) {
		return
	}
	s.swept = now
	var lost []*Target
	for _, q := range s.queues() {
		for _, t := range q.ready.targets {
			if t.lost(now) {
				lost = append(lost, t)
			}
		}
	}
	for _, t := range lost {
		t.dequeue()
		plan.Lost = append(plan.Lost, t.peer.ID())
	}
}

func (s *Scheduler) nextSweep() time.Time { return s.swept.Add(s.cfg.ForgetAfter / 10) }

// drain starts the dials that a queue allows now and returns when it allows more. It may
// also allow more when a dial ends, after which the owner calls Step.
func (s *Scheduler) drain(q *dialQueue, now time.Time, plan *Plan) time.Time {
	for q.inFlight < q.window {
		t := q.ready.first()
		if t == nil {
			break
		}
		if wait := q.wait(now); wait > 0 {
			return now.Add(wait)
		}
		t.dequeue()
		if quiet := s.quiet(t); quiet.After(now) {
			t.next = quiet
			s.Place(t, now)
			continue
		}
		s.launch(t, q, now, plan)
	}
	return now.Add(Idle)
}

// quiet returns when the peer may be dialled for the first time. The end that selects
// connections dials first. While connections keep arriving, one from this peer will
// probably arrive too, and a dial to it would be superfluous.
func (s *Scheduler) quiet(t *Target) time.Time {
	if t.rank <= rankReached || t.failures > 0 || !t.peer.Selects() {
		return t.met
	}
	return earlier(
		s.connected.Add(max(s.cfg.Redial.Min, 2*s.typical)),
		t.met.Add(maxQuiet*s.cfg.HandshakeTimeout),
	)
}

// Connected reports that a connection was selected.
func (s *Scheduler) Connected(now time.Time) { s.connected = now }

// Took reports how long a dial that succeeded took.
func (s *Scheduler) Took(duration time.Duration) {
	if s.typical == 0 {
		s.typical = duration
	}
	s.typical += (duration - s.typical) / 8
}

// Place queues the target according to its state, or leaves it out when there is nothing to
// do about it. The owner calls it, and then Step, after each change of the peer.
func (s *Scheduler) Place(t *Target, now time.Time) {
	t.dequeue()
	connected := t.peer.Connected()
	if connected {
		t.left, t.errs = nil, nil
	}
	if connected || t.peer.Gone() {
		return
	}
	addrs := t.peer.Addrs()
	t.rank = t.rankAt(addrs)
	if t.rank == rankReached && len(t.left) > 0 && t.left[0] != t.Worked {
		t.rank = t.claim() // its other addresses may be a victim's
	}
	t.due = t.peer.LastSeen().Add(s.cfg.ForgetAfter)
	overdue := !t.due.After(now)
	dials := len(t.left) > 0 || t.inFlight == 0 && len(addrs) > 0
	switch {
	case t.inFlight > 0 && (overdue || !dials):
		return // the end of the dial places it
	case dials && !overdue && !t.next.After(now):
		s.queueOf(t).ready.add(t)
		return
	case dials:
		t.due = earlier(t.due, t.next)
	}
	s.waiting.add(t)
}

// Remove takes the target out of all queues.
func (s *Scheduler) Remove(t *Target) { t.dequeue() }

func (s *Scheduler) queueOf(t *Target) *dialQueue {
	if t.rank <= rankReached {
		return s.trusted
	}
	return s.untrusted
}

// launch begins a dial to the best address of the peer that may be dialled now. When there
// is none the peer waits or ends its round.
func (s *Scheduler) launch(t *Target, q *dialQueue, now time.Time, plan *Plan) {
	if len(t.left) == 0 {
		t.listed = t.peer.Addrs()
		t.left = InOrder(t.listed, t.Worked)
		if t.rank == rankReached && t.rounds%othersEvery != othersEvery-1 {
			t.left = t.left[:1]
		}
	}
	own := s.cfg.OwnAddrs()
	soonest := Idle
	for i := 0; i < len(t.left); {
		a, err := s.newAttempt(t, q, t.left[i], own)
		if err != nil {
			s.cfg.Forbidden()
			t.errs = append(t.errs, err)
			t.left = slices.Delete(t.left, i, i+1)
			continue
		}
		if t.rank == rankReached && a.Addr != t.Worked {
			break // for the other queue
		}
		if wait := q.waitFor(a.dest, now); wait > 0 {
			soonest = min(soonest, wait)
			i++
			continue
		}
		t.left = slices.Delete(t.left, i, i+1)
		a.begin(now)
		plan.Dials = append(plan.Dials, a)
		t.next, t.crowded = now.Add(Stagger), 0
		s.Place(t, now)
		return
	}
	if len(t.left) > 0 {
		t.next = now.Add(t.yield(soonest))
	} else if t.inFlight == 0 {
		plan.Reports = append(plan.Reports, t.endRound(now))
	}
	s.Place(t, now)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
