package mosaik

import (
	"log/slog"
	"slices"
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
	// maxExams bounds the goroutines that run a group's validators at a time,
	// those included whose validators never return.
	maxExams = 64
	// maxTries bounds how often one examination begins again with new tickets.
	maxTries = 8
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
	queue   []*exam // that have not begun
	begun   int     // that have begun and not returned
	hung    int     // of those, the ones that are overdue
	unwatch []func()
}

// exam is one examination of a peer, until its validators have returned.
type exam struct {
	peer     sm.PeerID
	deadline *time.Timer // nil before it has begun
	settled  bool        // there is a verdict
	askers   tellers     // whom the verdict is for
	next     tellers     // who asked since: the tickets may have changed
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
	case e == nil:
		var askers tellers
		askers[purpose] = tell
		x.add(peer, askers)
	case e.settled:
		x.log.Warn("a peer is refused unseen, as ticket validators still hang on it", "peer", peer.Short())
		tell(link.CodeTicketRefused, time.Time{})
	case e.deadline == nil:
		e.askers[purpose] = tell
	default:
		e.next[purpose] = tell
	}
}

// add has a peer examined when its turn comes. The caller holds the mutex, as
// with all below that do not take it.
func (x *examiner) add(peer sm.PeerID, askers tellers) {
	e := &exam{peer: peer, askers: askers}
	x.exams[peer] = e
	x.queue = append(x.queue, e)
	x.pending.Add(1)
	x.advance()
}

// advance begins the examinations that there is room for. When validators hang
// on as many peers as there is room for, all others are refused unseen.
func (x *examiner) advance() {
	for len(x.queue) > 0 && (x.begun < maxExams || x.hung == maxExams) {
		e := x.queue[0]
		x.queue = x.queue[1:]
		if x.begun < maxExams {
			x.begin(e)
			continue
		}
		x.log.Warn("a peer is refused unseen, as ticket validators hang on others", "peer", e.peer.Short(), "others", x.hung)
		delete(x.exams, e.peer)
		x.settle(e, link.CodeTicketRefused, time.Time{})
	}
}

// begin starts an examination.
func (x *examiner) begin(e *exam) {
	x.begun++
	e.deadline = time.AfterFunc(examTime, func() { x.overdue(e) })
	go func() {
		code, expiry := link.CodeTicketRefused, time.Time{}
		defer func() { x.returned(e, code, expiry) }() // also when a validator ends the goroutine
		code, expiry = x.check(e.peer)
	}()
}

// settle gives the verdict to whom it is for.
func (x *examiner) settle(e *exam, code link.Code, expiry time.Time) {
	e.settled = true
	e.askers.tell(code, expiry)
	x.pending.Done()
}

// check asks the validators. A refusal of tickets that were replaced meanwhile
// does not count: what decides about them may have changed with them. A peer
// that never stops replacing them is refused all the same.
func (x *examiner) check(peer sm.PeerID) (link.Code, time.Time) {
	shown, known := x.tickets(peer)
	for tries := 1; known; tries++ {
		expiry, err := ticket.Check(time.Now(), x.validators, peer, shown)
		if err == nil {
			return link.CodeAccepted, expiry
		}
		examined := shown
		shown, known = x.tickets(peer)
		if tries == maxTries || slices.EqualFunc(shown, examined, func(a, b ticket.Ticket) bool { return sameTicket(a)(b) }) {
			x.log.Info("a peer's tickets are refused", "peer", peer.Short(), "error", err)
			return link.CodeTicketRefused, time.Time{}
		}
	}
	return link.CodeUnknownPeer, time.Time{}
}

// returned takes the validators' verdict, unless it comes too late.
func (x *examiner) returned(e *exam, code link.Code, expiry time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.exams, e.peer)
	x.begun--
	if e.settled {
		x.hung--
	} else {
		e.deadline.Stop()
		x.settle(e, code, expiry)
		if !e.next.empty() && !x.closed {
			x.add(e.peer, e.next)
		}
	}
	x.advance()
}

// overdue refuses a peer whose validators have not returned in time. It is
// examined again only when they have.
func (x *examiner) overdue(e *exam) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.settled {
		return
	}
	x.hung++
	x.log.Warn("a peer is refused, as ticket validators hang", "peer", e.peer.Short(), "after", examTime)
	x.settle(e, link.CodeTicketRefused, time.Time{})
	e.next.tell(link.CodeTicketRefused, time.Time{})
	x.advance()
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
	for range x.queue {
		x.pending.Done() // nobody waits for a verdict any more
	}
	unwatch := x.unwatch
	x.queue, x.unwatch = nil, nil
	x.mu.Unlock()
	for _, stop := range unwatch {
		stop()
	}
	x.pending.Wait()
}
