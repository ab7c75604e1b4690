package mosaik

import (
	"log/slog"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// examTime is how long the validators of a group may take over one peer.
	// It leaves room for an answer within a bond's handshake.
	examTime = time.Second
	// maxExams bounds the peers of a group that are examined at a time, those
	// included whose validators never returned.
	maxExams = 64
)

// examiner runs the validators of one group, on goroutines of their own: those
// that hang keep out the peer that they hang on and hold up nobody. Of each peer
// one examination runs at a time.
type examiner struct {
	validators []ticket.Validator
	tickets    func(sm.PeerID) (shown []ticket.Ticket, known bool)
	log        *slog.Logger
	pending    sync.WaitGroup // examinations without a verdict

	// mu guards what follows. It is held while verdicts are told, which keeps
	// those about one peer in order.
	mu      sync.Mutex
	closed  bool
	exams   map[sm.PeerID]*exam
	unwatch []func()
}

// exam is one examination of a peer, until its validators have returned.
type exam struct {
	deadline *time.Timer
	settled  bool    // there is a verdict
	askers   tellers // whom the verdict is for
	next     tellers // who asked since: the tickets may have changed
}

// tellers are those who wait for a verdict, one for each purpose: who asks again
// for the same takes the place of the earlier.
type tellers [group.Purposes]func(link.Code, time.Time)

func (t tellers) tell(code link.Code, expiry time.Time) {
	for _, tell := range t {
		if tell != nil {
			tell(code, expiry)
		}
	}
}

func (t tellers) empty() bool { return t[group.Handshake] == nil && t[group.Review] == nil }

// Admit implements [group.Admission].
func (x *examiner) Admit(peer sm.PeerID, purpose group.Purpose, tell func(link.Code, time.Time)) {
	if len(x.validators) == 0 {
		tell(link.CodeAccepted, time.Time{})
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.exams[peer]
	switch {
	case x.closed:
	case e != nil && !e.settled:
		e.next[purpose] = tell
	case e != nil || len(x.exams) >= maxExams:
		x.log.Warn("a peer is refused unseen, as ticket validators have not returned", "peer", peer.Short(), "hanging", len(x.exams))
		tell(link.CodeTicketRefused, time.Time{})
	default:
		var askers tellers
		askers[purpose] = tell
		x.begin(peer, askers)
	}
}

// begin starts an examination. The caller holds the mutex.
func (x *examiner) begin(peer sm.PeerID, askers tellers) {
	e := &exam{askers: askers}
	x.exams[peer] = e
	x.pending.Add(1)
	e.deadline = time.AfterFunc(examTime, func() { x.overdue(peer, e) })
	go func() {
		code, expiry := link.CodeTicketRefused, time.Time{}
		defer func() { x.returned(peer, e, code, expiry) }() // also when a validator ends the goroutine
		code, expiry = x.check(peer)
	}()
}

// check asks the validators.
func (x *examiner) check(peer sm.PeerID) (link.Code, time.Time) {
	shown, known := x.tickets(peer)
	if !known {
		return link.CodeUnknownPeer, time.Time{}
	}
	expiry, err := ticket.Check(time.Now(), x.validators, peer, shown)
	if err != nil {
		x.log.Info("a peer's tickets are refused", "peer", peer.Short(), "error", err)
		return link.CodeTicketRefused, time.Time{}
	}
	return link.CodeAccepted, expiry
}

// returned takes the validators' verdict, unless it comes too late.
func (x *examiner) returned(peer sm.PeerID, e *exam, code link.Code, expiry time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.exams, peer)
	if e.settled {
		return
	}
	defer x.pending.Done()
	e.settled = true
	e.deadline.Stop()
	e.askers.tell(code, expiry)
	if !e.next.empty() && !x.closed {
		x.begin(peer, e.next)
	}
}

// overdue refuses a peer whose validators have not returned in time. It is
// examined again only when they have.
func (x *examiner) overdue(peer sm.PeerID, e *exam) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.settled {
		return
	}
	defer x.pending.Done()
	e.settled = true
	x.log.Warn("a peer is refused, as ticket validators hang", "peer", peer.Short(), "after", examTime)
	e.askers.tell(link.CodeTicketRefused, time.Time{})
	e.next.tell(link.CodeTicketRefused, time.Time{})
}

// watch has changed called whenever a validator may decide differently.
func (x *examiner) watch(changed func()) {
	for _, v := range x.validators {
		w, ok := v.(ticket.Watchable)
		if !ok {
			continue
		}
		stop := w.Watch(changed)
		changed() // it may have changed before
		x.mu.Lock()
		closed := x.closed
		if !closed {
			x.unwatch = append(x.unwatch, stop)
		}
		x.mu.Unlock()
		if closed {
			stop()
		}
	}
}

// Close implements [group.Admission].
func (x *examiner) Close() {
	x.mu.Lock()
	x.closed = true
	unwatch := x.unwatch
	x.unwatch = nil
	x.mu.Unlock()
	for _, stop := range unwatch {
		stop()
	}
	x.pending.Wait()
}
