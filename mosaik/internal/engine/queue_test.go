package engine

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/sm"
)

// newTestQueue returns a queue with a limit of 10 bytes, and what it reports.
func newTestQueue(t *testing.T) (q *queue, reports *[]bool) {
	t.Helper()
	q, reports = &queue{}, &[]bool{}
	q.init(10, func(e lagging) { *reports = append(*reports, e.behind) })
	return q, reports
}

// pushSizes pushes entries of these sizes, with indices from first on.
func pushSizes(q *queue, first sm.Index, sizes ...int) (last uint64) {
	for i, size := range sizes {
		last = q.push(Entry{Index: first + sm.Index(i), Data: make([]byte, size)})
	}
	return last
}

// TestQueueHoldsNoMoreThanItsLimit enumerates sizes of four entries, and where the goroutine takes
// tasks in between: all entries come out in order, and those in memory are within the limit.
func TestQueueHoldsNoMoreThanItsLimit(t *testing.T) {
	sizes := []int{0, 1, 6, 10, 11}
	for _, a := range sizes {
		for _, b := range sizes {
			for _, c := range sizes {
				for _, d := range sizes {
					for cut := range 5 {
						testLimit(t, []int{a, b, c, d}, cut)
					}
				}
			}
		}
	}
}

func testLimit(t *testing.T, sizes []int, cut int) {
	t.Helper()
	q, _ := newTestQueue(t)
	var out []sm.Index
	work := func() {
		if len(q.tasks) == 0 {
			return
		}
		for _, task := range q.take(nil) {
			if !task.isRange() {
				out = append(out, task.entry.Index)
			}
			for i := task.entry.Index; task.isRange() && i <= task.through; i++ {
				out = append(out, i)
				q.applied(&task, i, sizes[i-1])
			}
			if task.isRange() && (task.count != 0 || task.size != 0) {
				t.Fatalf("sizes %v, cut at %d: %d entries and %d bytes of a range are left", sizes, cut, task.count, task.size)
			}
			q.finish(&task, false)
		}
	}
	for i, size := range sizes {
		if i == cut {
			work()
		}
		pushSizes(q, sm.Index(i+1), size)
		inMemory, largest := 0, 0
		for _, task := range q.tasks {
			inMemory += len(task.entry.Data)
			largest = max(largest, len(task.entry.Data))
		}
		if inMemory > max(q.limit, largest) || inMemory != q.held {
			t.Fatalf("sizes %v, cut at %d: %d bytes in memory, %d counted, want at most %d", sizes, cut, inMemory, q.held, q.limit)
		}
	}
	work()
	if want := []sm.Index{1, 2, 3, 4}; !slices.Equal(out, want) {
		t.Fatalf("sizes %v, cut at %d: entries %v came out, want %v", sizes, cut, out, want)
	}
	if q.entries != 0 || q.bytes != 0 || q.held != 0 || q.done != 4 {
		t.Fatalf("sizes %v, cut at %d: %d entries, %d bytes, %d held and ticket %d at the end, want 0, 0, 0 and 4",
			sizes, cut, q.entries, q.bytes, q.held, q.done)
	}
}

func TestQueueWakesWaiters(t *testing.T) {
	q, _ := newTestQueue(t)
	last := pushSizes(q, 1, 1, 1)
	called := q.call(func() {})
	first, second, third, forgotten := q.await(1), q.await(last), q.await(called), q.await(last)
	q.forget(forgotten)
	isDone := func(w *waiter) bool {
		select {
		case <-w.done:
			return true
		default:
			return false
		}
	}
	var got [][4]bool
	for _, task := range q.take(nil) {
		q.finish(&task, task.ticket == 2)
		got = append(got, [4]bool{isDone(first), isDone(second), isDone(third), isDone(forgotten)})
	}
	want := [][4]bool{{true, false, false, false}, {true, false, false, false}, {true, true, true, false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waiters that are done after each task, the second of which is skipped (-want +got):\n%s", diff)
	}
	if w := q.await(called); w != nil {
		t.Error("a finished task is waited for")
	}
}

// TestQueueReportsALag works off a backlog: what the log held at the start does not count.
func TestQueueReportsALag(t *testing.T) {
	q, reports := newTestQueue(t)
	q.start = 3
	pushSizes(q, 1, 6, 6, 6) // the log
	if !q.drain(0) || q.isBehind() {
		t.Error("a replica refuses entries while it applies what its log held at the start")
	}
	for _, task := range q.take(nil) {
		if !task.isRange() {
			pushSizes(q, 4, 6, 6)
		}
		q.finish(&task, false)
	}
	if !q.isBehind() {
		t.Error("a queue with 12 bytes is not behind its limit of 10")
	}
	rest := q.take(nil)[0] // a range of two
	q.applied(&rest, 4, 6)
	if !q.isBehind() {
		t.Error("a queue with more than half of its limit is no longer behind")
	}
	q.applied(&rest, 5, 6)
	q.finish(&rest, false)
	if want := []bool{true, false}; !slices.Equal(*reports, want) {
		t.Errorf("reports %v, want %v", *reports, want)
	}
}

// TestQueueIsBehindAfterARestart has a log that ends with an entry that is no proposal, or whose
// proposals are all in the snapshot: the first command afterwards counts.
func TestQueueIsBehindAfterARestart(t *testing.T) {
	for _, held := range [][]int{{}, {1, 1}} {
		q, _ := newTestQueue(t)
		q.start = 3
		if pushSizes(q, 1, held...); len(held) > 0 {
			for _, task := range q.take(nil) {
				q.finish(&task, false)
			}
		}
		pushSizes(q, 4, 11)
		if !q.isBehind() {
			t.Errorf("with %d commands in the log, a queue with 11 bytes is not behind its limit of 10", len(held))
		}
	}
}

// TestQueueDoesNotDrainWhatIsDone asks while an entry larger than a quarter of the limit is being
// finished.
func TestQueueDoesNotDrainWhatIsDone(t *testing.T) {
	q, _ := newTestQueue(t)
	pushSizes(q, 1, 5, 2)
	if q.drain(5) {
		t.Error("a queue drains with 2 bytes behind the entry that is being finished")
	}
	pushSizes(q, 3, 1)
	if !q.drain(5) {
		t.Error("a queue does not drain with 3 bytes behind the entry that is being finished")
	}
}

// TestQueueDrains accepts nothing until a quarter of the limit is left.
func TestQueueDrains(t *testing.T) {
	q, reports := newTestQueue(t)
	pushSizes(q, 1, 2)
	if q.drain(0) || q.isBehind() {
		t.Error("a queue with less than a quarter of its limit must drain")
	}
	pushSizes(q, 2, 2, 2)
	if !q.drain(0) || !q.isBehind() {
		t.Error("a queue with more than a quarter of its limit does not drain")
	}
	tasks := q.take(nil)
	q.finish(&tasks[0], false)
	if !q.isBehind() {
		t.Error("a queue stopped to drain too early")
	}
	q.finish(&tasks[1], false)
	if q.isBehind() {
		t.Error("a queue drains longer than to a quarter of its limit")
	}
	if len(*reports) != 0 {
		t.Errorf("a queue that drains reported %v", *reports)
	}
}

func TestClosedQueue(t *testing.T) {
	q, _ := newTestQueue(t)
	pushSizes(q, 1, 1)
	taken := make(chan []task)
	q.close()
	go func() { taken <- q.take(nil) }()
	if tasks := <-taken; tasks != nil {
		t.Errorf("a closed queue yields %v", tasks)
	}
	if ticket := pushSizes(q, 2, 1); ticket != 0 {
		t.Errorf("a closed queue gives ticket %d to an entry", ticket)
	}
	if ticket := q.call(func() { t.Error("called") }); ticket != 0 {
		t.Errorf("a closed queue gives ticket %d to a call", ticket)
	}
}
