package engine

import (
	"slices"
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// task is one thing that dragonboat hands over to a replica's state machine: an entry, a range
// of entries that the goroutine reads from the log, or a call.
type task struct {
	ticket  uint64   // of the task, or of the last entry of a range
	entry   Entry    // of a range, the first one without its data
	through sm.Index // the last entry of a range, 0 for another task
	count   int      // how many entries it stands for, 0 for a call
	size    int      // of the entries that are not applied, in bytes
	call    func()   // nil for entries
}

// isRange reports whether the entries must be read from the log.
func (t *task) isRange() bool { return t.through != 0 }

// queue carries tasks from dragonboat's workers, which serve all replicas and must not wait for
// the state machine of one, to the goroutine that calls that state machine.
//
// Tasks have tickets: 1 for the first one, and for each task or entry one more. A reader that
// wants to see all that dragonboat calls applied waits for the last ticket.
//
// The queue holds at most limit bytes of entries, or one entry. It holds only the indices of the
// entries beyond that, which the goroutine then reads from the log. The log has them: it is
// pruned behind snapshots, and these wait in the same queue. Its methods may be called
// concurrently, except that one goroutine takes tasks and finishes them.
type queue struct {
	limit  int                 // of held, and of bytes before the replica is behind
	start  sm.Index            // the last entry of the log when the replica started
	report func(event lagging) // called with mu when behind changes; it must not block

	mu       sync.Mutex
	filled   sync.Cond // signals that there are tasks, or that the queue is closed
	tasks    []task
	handed   uint64   // the last ticket that was given to a task
	done     uint64   // the last ticket whose task is finished
	entries  int      // that were handed over and are not finished
	bytes    int      // of these entries
	held     int      // bytes of these entries that are in memory
	steps    uint64   // how often something was applied or finished
	behind   bool     // bytes has exceeded limit, and has not fallen to half of it since
	draining bool     // more than a quarter of limit is left, which must be applied first
	index    sm.Index // entries through this one are finished
	closed   bool
	waiters  []*waiter
}

// waiter waits for a ticket.
type waiter struct {
	ticket uint64
	done   chan struct{} // closed when the task is finished
}

// maxSpareTasks is the largest number of tasks for which a queue keeps its memory.
const maxSpareTasks = 1024

func (q *queue) init(limit int, report func(lagging)) {
	q.limit, q.report = limit, report
	q.filled.L = &q.mu
}

// drain makes isBehind true until only a quarter of the limit is left, and reports whether more is
// left now. The entry that is being finished, of size bytes, does not count.
func (q *queue) drain(size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining = q.bytes-size > q.limit/4
	return q.draining
}

// review notes whether the state machine is behind. A replica that starts accepts entries while
// it applies those that its log held: without it the group might lack a quorum. Called with q.mu.
func (q *queue) review() {
	behind := q.bytes > q.limit && q.index >= q.start || q.behind && q.bytes > q.limit/2
	q.draining = q.draining && q.bytes > q.limit/4
	if behind != q.behind {
		q.behind = behind
		q.report(lagging{behind, q.entries, q.bytes})
	}
}

// isBehind reports whether the replica must not accept entries: the state machine is behind by
// more than the limit, or the queue drains.
func (q *queue) isBehind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.behind || q.draining && q.index >= q.start
}

// push hands an entry over and returns its ticket, 0 if the queue is closed. The goroutine does
// not learn of it before wake.
func (q *queue) push(e Entry) (ticket uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	if q.entries == 0 {
		q.index = max(q.index, e.Index-1) // others than proposals, and snapshots, are not pushed
	}
	q.handed++
	size := len(e.Data)
	q.entries++
	q.bytes += size
	q.review()
	if q.held == 0 || q.held+size <= q.limit {
		q.held += size
		q.tasks = append(q.tasks, task{ticket: q.handed, entry: e, count: 1, size: size})
		return q.handed
	}
	if n := len(q.tasks); n == 0 || !q.tasks[n-1].isRange() {
		q.tasks = append(q.tasks, task{entry: Entry{Index: e.Index}})
	}
	last := &q.tasks[len(q.tasks)-1]
	last.ticket, last.through = q.handed, e.Index
	last.count++
	last.size += size
	return q.handed
}

// call hands over a call that runs after all tasks before it. It returns the ticket of the call, 0
// if the queue is closed.
func (q *queue) call(f func()) (ticket uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	q.handed++
	q.tasks = append(q.tasks, task{ticket: q.handed, call: f})
	q.filled.Signal()
	return q.handed
}

// wake tells the goroutine of entries that were pushed.
func (q *queue) wake() { q.filled.Signal() }

// take waits for tasks and returns them all, nil once the queue is closed. spare is the result
// of the last call, whose tasks the caller has finished and cleared. Its memory is used again.
func (q *queue) take(spare []task) []task {
	if cap(spare) > maxSpareTasks {
		spare = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.tasks) == 0 && !q.closed {
		q.filled.Wait()
	}
	if q.closed {
		return nil
	}
	tasks := q.tasks
	q.tasks = spare[:0]
	return tasks
}

// applied notes that the goroutine is done with one entry of a task.
func (q *queue) applied(t *task, index sm.Index, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.steps++
	q.entries--
	q.bytes -= size
	if !t.isRange() {
		q.held -= size
	}
	t.count--
	t.size -= size
	q.index = index
	q.review()
}

// finish notes that a task is done. What is left of its entries was skipped. If skipped is true,
// the state does not include the task before a later one is finished.
func (q *queue) finish(t *task, skipped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.steps++
	q.entries -= t.count
	q.bytes -= t.size
	if !t.isRange() {
		q.held -= t.size
	}
	if t.through != 0 {
		q.index = t.through
	} else if t.call == nil {
		q.index = t.entry.Index
	}
	q.review()
	if skipped {
		return
	}
	q.done = t.ticket
	if len(q.waiters) == 0 {
		return
	}
	q.waiters = slices.DeleteFunc(q.waiters, func(w *waiter) bool {
		if w.ticket > q.done {
			return false
		}
		close(w.done)
		return true
	})
}

// last returns the ticket of the task that was handed over last.
func (q *queue) last() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.handed
}

// progress returns a number that grows with each entry and each task that is done.
func (q *queue) progress() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.steps
}

// backlog returns the number of entries that were handed over and are not applied, and their
// bytes.
func (q *queue) backlog() (entries, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.entries, q.bytes
}

// await returns a waiter for a ticket, nil if its task is finished. The caller must forget the
// waiter if it does not wait until the end.
func (q *queue) await(ticket uint64) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ticket <= q.done {
		return nil
	}
	w := &waiter{ticket, make(chan struct{})}
	q.waiters = append(q.waiters, w)
	return w
}

// forget ends a wait.
func (q *queue) forget(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiters, w); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	}
}

// close discards all tasks that were not taken, and those that follow.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.tasks = true, nil
	q.filled.Signal()
}
