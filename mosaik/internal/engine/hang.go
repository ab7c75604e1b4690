package engine

import (
	"sync"
	"time"
)

// A disk that hangs holds up the worker of dragonboat that saves or reads, and with
// it all that the replicas which it serves would say, those with logs in memory, too:
// a leader sends no heartbeats, and the others replace it. What it can't do meanwhile
// is learn of that. So the owners of all these replicas are told when a call of a log
// takes as long as an election, and when it is over.

// stepWorker is a worker of dragonboat's that makes the calls of its replicas' logs,
// one at a time. Others may make one while a replica starts, which counts as well:
// it waits for the same disk.
type stepWorker struct {
	mu       sync.Mutex
	calls    []time.Time       // when those under way began, the zero time for none
	replicas map[*Replica]bool // whether it was told of a call that hangs
	told     int               // how many were
	limit    time.Duration     // the shortest election timeout, 0 without replicas
	due      time.Time         // when somebody looks at the calls, zero for nobody
	timer    *time.Timer       // who does, nil before the first
}

// serve has a replica told from now on, until dismiss.
func (w *stepWorker) serve(r *Replica) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.replicas == nil {
		w.replicas = map[*Replica]bool{}
	}
	w.replicas[r] = false
	w.setLimit()
	if began := w.oldest(); !began.IsZero() {
		w.look(began.Add(r.election))
	}
}

func (w *stepWorker) dismiss(r *Replica) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.replicas[r] {
		w.told--
	}
	delete(w.replicas, r)
	w.setLimit()
}

func (w *stepWorker) setLimit() {
	w.limit = 0
	for r := range w.replicas {
		if w.limit == 0 || r.election < w.limit {
			w.limit = r.election
		}
	}
}

// begin notes a call, which ends with end, and has somebody look at it after the
// limit. Most calls take much less than that: a look that is due serves for those
// that follow, too.
func (w *stepWorker) begin() (call int) {
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
		w.look(now.Add(w.limit))
	}
	return call
}

// oldest returns when the first of the calls under way began.
func (w *stepWorker) oldest() (began time.Time) {
	for _, at := range w.calls {
		if began.IsZero() || !at.IsZero() && at.Before(began) {
			began = at
		}
	}
	return began
}

// look has somebody look at the calls at a time, or before.
func (w *stepWorker) look(at time.Time) {
	if !w.due.IsZero() && !at.Before(w.due) {
		return
	}
	w.due = at
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(at), w.late)
	} else {
		w.timer.Reset(time.Until(at))
	}
}

// late looks at the calls under way.
func (w *stepWorker) late() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = time.Time{}
	began := w.oldest()
	if began.IsZero() {
		return
	}
	taken := time.Since(began)
	for r, told := range w.replicas {
		switch {
		case told:
		case taken < r.election:
			w.look(began.Add(r.election))
		default:
			w.replicas[r] = true
			w.told++
			r.report(logHangs{true})
		}
	}
}

func (w *stepWorker) end(call int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[call] = time.Time{}
	if w.told == 0 {
		return
	}
	began := w.oldest()
	for r, told := range w.replicas {
		if told && (began.IsZero() || time.Since(began) < r.election) {
			w.replicas[r] = false
			w.told--
			r.report(logHangs{false})
			if !began.IsZero() {
				w.look(began.Add(r.election))
			}
		}
	}
}
