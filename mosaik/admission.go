package mosaik

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// examTime bounds how long the validators of a group may take for one peer. It is
	// short enough for an answer within the handshake of a bond.
	examTime = time.Second
	// maxExams bounds the goroutines that run a group's validators at a time, including
	// those whose validators never return.
	maxExams = 64
	// maxTries bounds how often one examination starts again with newer tickets.
	maxTries = 8
)

// examiner runs the validators of one group on goroutines of their own, so a validator
// that hangs refuses the peer that it validates and blocks nothing else. At most one
// examination of a peer runs at a time.
type examiner struct {
	validators []ticket.Validator
	tickets    func(sm.PeerID) (shown []ticket.Ticket, known bool)
	log        *slog.Logger
	pending    sync.WaitGroup // examinations without a verdict

	// mu guards what follows. It is held while verdicts are delivered, which keeps
	// those about one peer in order.
	mu      sync.Mutex
	closed  bool
	exams   map[sm.PeerID]*exam
	queue   []*exam  // not started; at most one for each peer
	begun   int      // started and not returned
	hung    int      // of these, the overdue ones
	unwatch []func() // end the watches on the validators
}

// exam is one examination of a peer. It exists until its validators have returned.
type exam struct {
	peer     sm.PeerID
	deadline *time.Timer // nil before the start
	settled  bool        // the verdict was delivered
	waiting  recipients  // for the verdict
	next     recipients  // asked after the start, when the tickets may have changed
}

// recipients receive a verdict, one function for each purpose. A later request for the
// same purpose replaces the earlier one.
type recipients [group.Purposes]func(consensus.CloseCode, time.Time)

func (r recipients) deliver(code consensus.CloseCode, expiry time.Time) {
	for _, answer := range r {
		if answer != nil {
			answer(code, expiry)
		}
	}
}

func (r recipients) empty() bool { return r[group.Handshake] == nil && r[group.Review] == nil }

// Admit implements [group.Admission].
func (x *examiner) Admit(peer sm.PeerID, purpose group.Purpose, answer func(consensus.CloseCode, time.Time)) {
	if len(x.validators) == 0 {
		answer(consensus.CodeAccepted, time.Time{})
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.exams[peer]
	switch {
	case x.closed:
	case e == nil:
		var waiting recipients
		waiting[purpose] = answer
		x.add(peer, waiting)
	case e.settled:
		x.log.Warn("peer refused without validation: validators still hang on its tickets", "peer", peer.Short())
		answer(consensus.CodeTicketRefused, time.Time{})
	case e.deadline == nil:
		e.waiting[purpose] = answer
	default:
		e.next[purpose] = answer
	}
}

// add queues the examination of a peer. The caller holds mu, as for all methods below
// that do not take it.
func (x *examiner) add(peer sm.PeerID, waiting recipients) {
	e := &exam{peer: peer, waiting: waiting}
	x.exams[peer] = e
	x.queue = append(x.queue, e)
	x.pending.Add(1)
	x.advance()
}

// advance starts queued examinations, as many as the bound allows. When validators hang
// on that many peers, it refuses all others without validation.
func (x *examiner) advance() {
	for len(x.queue) > 0 && (x.begun < maxExams || x.hung == maxExams) {
		e := x.queue[0]
		x.queue = x.queue[1:]
		if x.begun < maxExams {
			x.begin(e)
			continue
		}
		x.log.Warn("peer refused without validation: validators hang on the tickets of others", "peer", e.peer.Short(), "others", x.hung)
		delete(x.exams, e.peer)
		x.settle(e, consensus.CodeTicketRefused, time.Time{})
	}
}

// begin starts an examination.
func (x *examiner) begin(e *exam) {
	x.begun++
	e.deadline = time.AfterFunc(examTime, func() { x.overdue(e) })
	go func() {
		code, expiry := consensus.CodeTicketRefused, time.Time{}
		defer func() { x.returned(e, code, expiry) }() // also when a validator ends the goroutine
		code, expiry = x.check(e.peer)
	}()
}

// settle delivers the verdict.
func (x *examiner) settle(e *exam, code consensus.CloseCode, expiry time.Time) {
	e.settled = true
	e.waiting.deliver(code, expiry)
	x.pending.Done()
}

// check calls the validators. A refusal of tickets that were replaced meanwhile does not
// count, because the new tickets may be accepted. A peer that keeps replacing its tickets
// is refused after maxTries.
func (x *examiner) check(peer sm.PeerID) (consensus.CloseCode, time.Time) {
	shown, known := x.tickets(peer)
	for tries := 1; known; tries++ {
		expiry, err := ticket.Check(time.Now(), x.validators, peer, shown)
		if err == nil {
			return consensus.CodeAccepted, expiry
		}
		examined := shown
		shown, known = x.tickets(peer)
		if tries == maxTries || slices.EqualFunc(shown, examined, func(a, b ticket.Ticket) bool { return sameTicket(a)(b) }) {
			x.log.Info("tickets refused", "peer", peer.Short(), "error", err)
			return consensus.CodeTicketRefused, time.Time{}
		}
	}
	return consensus.CodeUnknownPeer, time.Time{}
}

// returned delivers the validators' verdict, unless the examination is overdue.
func (x *examiner) returned(e *exam, code consensus.CloseCode, expiry time.Time) {
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

// overdue refuses a peer whose validators have not returned in time. The peer is
// examined again only after they have.
func (x *examiner) overdue(e *exam) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.settled {
		return
	}
	x.hung++
	x.log.Warn("peer refused: ticket validators hang", "peer", e.peer.Short(), "after", examTime)
	x.settle(e, consensus.CodeTicketRefused, time.Time{})
	e.next.deliver(consensus.CodeTicketRefused, time.Time{})
	x.advance()
}

// watch arranges that changed is called whenever a validator may decide differently. It
// returns an error if a validator's Watch panics.
func (x *examiner) watch(changed func()) error {
	for i, v := range x.validators {
		w, ok := v.(ticket.Watchable)
		if !ok {
			continue
		}
		stop, err := guarded(fmt.Sprintf("ticket validator %d's Watch", i+1), func() func() { return w.Watch(changed) })
		if err != nil {
			return err
		}
		changed() // the validator may have changed before the watch
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
	return nil
}

// Close implements [group.Admission].
func (x *examiner) Close() {
	x.mu.Lock()
	x.closed = true
	for range x.queue {
		x.pending.Done() // no verdict is delivered
	}
	unwatch := x.unwatch
	x.queue, x.unwatch = nil, nil
	x.mu.Unlock()
	for _, stop := range unwatch {
		stop()
	}
	x.pending.Wait()
}
