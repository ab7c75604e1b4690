package state

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// SlowLimit is how long a call of the machine may run before it is reported. The report
	// follows within another half of it.
	SlowLimit = time.Second
	// maxWatched limits the queries that are watched at a time. Further ones are not watched.
	maxWatched = 16
)

// Query is a call that reads the machine.
type Query struct {
	Call any // the query or function to name in reports and panics
	Run  func(at sm.Index, m Machine) error

	at sm.Index // AppliedIndex while Run runs; set before the query is watched
}

// watchdog reports calls of the machine that run longer than SlowLimit. A call costs two atomic
// writes and no look at the clock. While calls run, a timer checks them twice per SlowLimit. The
// timer stops when no call runs.
//
// One Apply runs at a time, and any number of queries, of which maxWatched are watched.
type watchdog struct {
	execution   *execution
	commandName func(level uint32, cmd []byte) string // returns the type of a command
	report      func([]consensus.SlowCall)
	interval    time.Duration // between two checks
	armed       atomic.Bool   // a check is scheduled or runs
	queries     [maxWatched]atomic.Pointer[Query]

	// The check owns the fields below.
	applying observation[sm.Index]
	querying [maxWatched]observation[*Query]
	reported []consensus.SlowCall
}

// observation is a running call that checks have found.
type observation[T comparable] struct {
	call  T // zero for none
	since time.Time
	slow  *consensus.SlowCall // nil until the call is slow
}

func newWatchdog(x *execution, cfg *Config) *watchdog {
	return &watchdog{execution: x, commandName: nameCommands(cfg.Machine), report: cfg.Slow, interval: SlowLimit / 2}
}

// arm schedules a check unless one is scheduled or the reports have no receiver.
func (w *watchdog) arm() {
	if !w.armed.Load() && w.report != nil && w.armed.CompareAndSwap(false, true) {
		time.AfterFunc(w.interval, w.check)
	}
}

// watch watches a query until the caller passes the result to unwatch. It returns nil, and the
// query is not watched, if all slots are in use.
func (w *watchdog) watch(q *Query) *atomic.Pointer[Query] {
	for i := range w.queries {
		if slot := &w.queries[i]; slot.Load() == nil && slot.CompareAndSwap(nil, q) {
			w.arm()
			return slot
		}
	}
	return nil
}

// unwatch frees the slot that watch returned.
func unwatch(slot *atomic.Pointer[Query]) {
	if slot != nil {
		slot.Store(nil)
	}
}

// check checks the running calls, and schedules the next check if there are any.
func (w *watchdog) check() {
	if w.checkAt(time.Now()) {
		time.AfterFunc(w.interval, w.check)
		return
	}
	w.armed.Store(false)
	if w.anyRunning() { // a call that began after checkAt found w armed
		w.arm()
	}
}

// anyRunning reports whether a call runs.
func (w *watchdog) anyRunning() bool {
	runs := w.execution.applying.Load() != 0
	for i := range w.queries {
		runs = runs || w.queries[i].Load() != nil
	}
	return runs
}

// checkAt reports the slow calls if they changed, and returns whether any call runs.
func (w *watchdog) checkAt(now time.Time) (runs bool) {
	var slow []consensus.SlowCall
	add := func(s *consensus.SlowCall) {
		if s != nil {
			slow = append(slow, *s)
		}
	}
	index := sm.Index(w.execution.applying.Load())
	add(w.applying.update(index, index == 0, now, w.limit(), func() consensus.SlowCall {
		return consensus.SlowCall{Doing: "apply", Type: w.currentCommandName(index), Index: index}
	}))
	runs = index != 0
	for i := range w.queries {
		q := w.queries[i].Load()
		runs = runs || q != nil
		add(w.querying[i].update(q, q == nil, now, w.limit(), func() consensus.SlowCall {
			return consensus.SlowCall{Doing: "query", Type: callName(q.Call), Index: q.at}
		}))
	}
	if !slices.Equal(slow, w.reported) {
		w.reported = slow
		w.report(slices.Clone(slow))
	}
	return runs
}

// limit returns how long after its first observation a call is reported.
func (w *watchdog) limit() time.Duration { return 2 * w.interval }

// update records which call runs, and returns its report if it has run for the limit. none means
// that no call runs.
func (s *observation[T]) update(
	call T, none bool, now time.Time, limit time.Duration, describe func() consensus.SlowCall,
) *consensus.SlowCall {
	switch {
	case none:
		*s = observation[T]{}
	case call != s.call:
		*s = observation[T]{call: call, since: now}
	case s.slow == nil && now.Sub(s.since) >= limit:
		slow := describe()
		slow.Since = s.since
		s.slow = &slow
	}
	return s.slow
}

// currentCommandName returns the type of the command with the index, or "" if it is no longer being
// applied.
func (w *watchdog) currentCommandName(index sm.Index) string {
	level, cmd, ok := w.execution.current(index)
	if !ok {
		return ""
	}
	return w.commandName(level, cmd)
}

// Namer is a Machine that names its commands.
type Namer interface {
	// NameCommand returns the type of a command that was encoded at a level. It must be safe for
	// concurrent use with all other methods.
	NameCommand(level uint32, cmd []byte) string
}

// nameCommands returns a function that names commands. It returns "" if the machine is not a Namer
// or panics: the machine is user code.
func nameCommands(m Machine) func(level uint32, cmd []byte) string {
	return func(level uint32, cmd []byte) (name string) {
		n, ok := m.(Namer)
		if !ok {
			return ""
		}
		if broken, _ := isolate.Call(func() { name = n.NameCommand(level, cmd) }); broken != nil {
			return ""
		}
		return name
	}
}

// callName returns the type of a query, or the name of a function.
func callName(call any) string {
	if f := reflect.ValueOf(call); f.Kind() == reflect.Func {
		if named := runtime.FuncForPC(f.Pointer()); named != nil {
			return named.Name()
		}
	}
	return fmt.Sprintf("%T", call)
}
