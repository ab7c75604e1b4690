package raftlog

import (
	"sync"
	"time"
)

// A call of a disk that does not return blocks the worker of dragonboat that saves and
// reads, and with it every replica that this worker serves, also those with logs in memory.
// A blocked leader sends no heartbeats, so the others replace it, and it cannot learn of
// that. So the owners of these replicas are told when a call of a log has taken an election
// timeout, and again when it has returned.

// Stall tells the owner of one replica that its worker is blocked. Its fields must not
// change while a [Worker] serves it.
type Stall struct {
	// Limit is the election timeout of the replica.
	Limit time.Duration
	// Report is called with true once a call has taken Limit, and with false once it has
	// returned. took is how long the call has taken. Report must not block and must not call
	// the worker.
	Report func(stalled bool, took time.Duration)
}

// Worker observes one of dragonboat's step workers, which call the logs of their replicas
// one at a time. A replica that starts makes calls beside the worker; they count as well,
// because they wait for the same disk. All methods may be called concurrently.
type Worker struct {
	mu       sync.Mutex
	calls    []time.Time     // when each call in flight began, the zero time for a free slot
	replicas map[*Stall]bool // whether the owner was last told true
	told     int             // how many owners were
	limit    time.Duration   // the shortest Limit, 0 without replicas
	due      time.Time       // when the timer fires, zero while it is not armed
	timer    *time.Timer     // runs check; nil before the first call
}

// Serve begins reports to s. [Worker.Dismiss] must follow.
func (w *Worker) Serve(s *Stall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.replicas == nil {
		w.replicas = map[*Stall]bool{}
	}
	w.replicas[s] = false
	w.setLimit()
	if began := w.oldest(); !began.IsZero() {
		w.checkAt(began.Add(s.Limit))
	}
}

// Dismiss ends reports to s.
func (w *Worker) Dismiss(s *Stall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.replicas[s] {
		w.told--
	}
	delete(w.replicas, s)
	w.setLimit()
}

func (w *Worker) setLimit() {
	w.limit = 0
	for s := range w.replicas {
		if w.limit == 0 || s.Limit < w.limit {
			w.limit = s.Limit
		}
	}
}

// begin notes a call, which ends with end. Most calls take much less than the limit, so a
// timer that is armed serves the calls that follow, too.
func (w *Worker) begin() (call int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for call < len(w.calls) && !w.calls[call].IsZero() {
		call++
	}
	if call == len(w.calls) {
		w.calls = append(w.calls, time.Time{})
	}
	now := time.Now()
	w.calls[call] = now
	if w.limit > 0 {
		w.checkAt(now.Add(w.limit))
	}
	return call
}

// oldest returns when the first of the calls in flight began. Called with w.mu.
func (w *Worker) oldest() (began time.Time) {
	for _, at := range w.calls {
		if began.IsZero() || !at.IsZero() && at.Before(began) {
			began = at
		}
	}
	return began
}

// checkAt makes check run at a time or before. Called with w.mu.
func (w *Worker) checkAt(at time.Time) {
	if !w.due.IsZero() && !at.Before(w.due) {
		return
	}
	w.due = at
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(at), w.check)
	} else {
		w.timer.Reset(time.Until(at))
	}
}

// check tells the owners whose limit the oldest call has reached.
func (w *Worker) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = time.Time{}
	began := w.oldest()
	if began.IsZero() {
		return
	}
	taken := time.Since(began)
	for s, told := range w.replicas {
		switch {
		case told:
		case taken < s.Limit:
			w.checkAt(began.Add(s.Limit))
		default:
			w.replicas[s] = true
			w.told++
			s.Report(true, taken)
		}
	}
}

func (w *Worker) end(call int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	start := w.calls[call]
	w.calls[call] = time.Time{}
	if w.told == 0 {
		return
	}
	took, began := time.Since(start), w.oldest()
	for s, told := range w.replicas {
		if told && (began.IsZero() || time.Since(began) < s.Limit) {
			w.replicas[s] = false
			w.told--
			s.Report(false, took)
			if !began.IsZero() {
				w.checkAt(began.Add(s.Limit))
			}
		}
	}
}
