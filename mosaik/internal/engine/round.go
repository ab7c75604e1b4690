package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/gather"
)

// ErrUnanswered reports a read that no leader answered within
// [ReplicaConfig.ReadTimeout].
var ErrUnanswered = errors.New("engine: the read was not answered in time")

// ReadIndex returns nil once the local state includes everything that the group had committed at
// the call (Raft §6.4, "ReadIndex"). It tries until the context ends, and then returns the
// context's error; until the replica ends: [ErrClosed]; or for the time that the replica's
// configuration allows: [ErrUnanswered].
//
// Calls share rounds to the leader. One round is in flight at a time; calls that arrive
// meanwhile wait for the next one, which begins after all of them.
func (r *Replica) ReadIndex(ctx context.Context) error {
	joined, err := r.reads.join()
	if err == nil {
		select {
		case <-joined.done:
			err = joined.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("engine: read: %w", err)
	}
	return nil
}

// ask makes one round.
func (r *Replica) ask(p *readTimes) error {
	ctx := context.Background()
	if p.round > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.round)
		defer cancel()
	}
	begun := time.Now()
	ticket, err := attempt(ctx, r, p.try, r.readOnce)
	if err == nil {
		// The leader has answered. A machine that lags is no reason to ask again.
		err = r.awaitTicket(ctx, ticket)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		p.unanswered()
		return ErrUnanswered
	case err == nil:
		p.answered(time.Since(begun))
	}
	return err
}

// readTimes is how long rounds and their first tries may take. It adapts to answers that take
// longer than the configuration expects: a round without an answer doubles the time of the
// next, and after an answer the first try gets twice the time that this one took.
type readTimes struct {
	configured time.Duration // of a round, 0 for no bound
	round, try time.Duration
}

// maxReadFactor bounds a round, as a multiple of the configured time. A try that was lost is not
// repeated before its time is over.
const maxReadFactor = 4

func newReadTimes(configured time.Duration) *readTimes {
	return &readTimes{configured: configured, round: configured}
}

func (p *readTimes) unanswered() {
	p.round = min(2*p.round, maxReadFactor*p.configured)
	p.try = p.round / 2
}

func (p *readTimes) answered(took time.Duration) {
	p.try = 2 * took
	p.round = max(p.configured, min(2*p.try, maxReadFactor*p.configured))
}

// round is a read of the leader's commit index that any number of calls share.
type round struct {
	calls int           // the lock of reads guards it until the round begins
	done  chan struct{} // closed when err is set
	err   error
}

func (r *round) end(err error) {
	r.err = err
	close(r.done)
}

// reads are the rounds of one replica.
type reads struct {
	ask     func() error // makes a round
	running sync.WaitGroup

	mu     sync.Mutex
	next   *round // the round that has not begun, nil while no call waits for it
	isBusy bool   // a goroutine runs rounds
	closed bool
}

// join returns the round that begins next.
func (s *reads) join() (*round, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.next == nil {
		s.next = &round{done: make(chan struct{})}
	}
	s.next.calls++
	if !s.isBusy {
		s.isBusy = true
		s.running.Go(s.run)
	}
	return s.next, nil
}

// begin returns the round that begins now; no call joins it from then on. It returns nil, and
// the goroutine must end, when no call waits.
func (s *reads) begin() *round {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	s.next, s.isBusy = nil, n != nil
	return n
}

// run runs rounds while calls wait for one. A round that fails also fails the next one, whose
// calls have waited as well.
func (s *reads) run() {
	for n := s.begin(); n != nil; n = s.begin() {
		err := s.ask()
		n.end(err)
		if err != nil {
			s.fail(err)
		}
		gather.Wait(n.calls, s.waiting) // lets the callers of this round join the next
	}
}

// waiting returns how many calls wait for the next round.
func (s *reads) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		return 0
	}
	return s.next.calls
}

// fail ends the next round before it begins.
func (s *reads) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		s.next.end(err)
		s.next = nil
	}
}

// close makes calls fail and waits for the goroutine. The replica has ended, which ends the
// round in flight, too.
func (s *reads) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
}
