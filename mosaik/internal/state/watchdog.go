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
	// SlowLimit is how long a call of the machine runs before it is reported, within another
	// half of it.
	SlowLimit = time.Second
	// maxWatched is how many queries are watched at a time. More are not.
	maxWatched = 16
)

// Slow is a call of the machine that has run for longer than [SlowLimit] and still runs. Its
// field For is not set here.
type Slow = consensus.SlowCall

// Query is a call that reads the machine.
type Query struct {
	Call any // what is called, for its name: a query or a function
	Run  func(at sm.Index, m Machine) error

	at sm.Index // set before it is watched
}

// watchdog notices calls of the machine that run long. A call costs two atomic writes;
// nobody takes the time. While calls run, a timer looks at them twice in SlowLimit, and
// what it sees for long is reported.
//
// One Apply runs at a time, and any number of queries, of which maxWatched are watched. The
// timer ends with the calls: an idle machine has none.
type watchdog struct {
	turn    *turn
	names   func(level uint32, cmd []byte) string // the type of a command
	tell    func([]Slow)
	every   time.Duration // between two looks
	armed   atomic.Bool   // a look is due or runs
	queries [maxWatched]atomic.Pointer[Query]

	// What follows belongs to the look.
	applying sighting[sm.Index]
	reading  [maxWatched]sighting[*Query]
	told     []Slow
}

// sighting is a call that looks have seen.
type sighting[T comparable] struct {
	call  T // zero for none
	since time.Time
	slow  *Slow // once it was found to run long
}

func newWatchdog(t *turn, cfg *Config) *watchdog {
	return &watchdog{turn: t, names: nameCommands(cfg.Machine), tell: cfg.Slow, every: SlowLimit / 2}
}

// begin has somebody look at a call that has begun.
func (w *watchdog) begin() {
	if !w.armed.Load() && w.tell != nil && w.armed.CompareAndSwap(false, true) {
		time.AfterFunc(w.every, w.look)
	}
}

// enter has a query watched until leave is called with what it returns, which is nil if
// there is no room.
func (w *watchdog) enter(q *Query) *atomic.Pointer[Query] {
	for i := range w.queries {
		if place := &w.queries[i]; place.Load() == nil && place.CompareAndSwap(nil, q) {
			w.begin()
			return place
		}
	}
	return nil
}

// leave ends what enter began.
func leave(place *atomic.Pointer[Query]) {
	if place != nil {
		place.Store(nil)
	}
}

// look looks at the calls that run. The next look is due only while there are any.
func (w *watchdog) look() {
	if w.see(time.Now()) {
		time.AfterFunc(w.every, w.look)
		return
	}
	w.armed.Store(false)
	if w.runs() { // it began after the look, and found that one was due
		w.begin()
	}
}

// runs reports whether a call runs.
func (w *watchdog) runs() bool {
	runs := w.turn.applying.Load() != 0
	for i := range w.queries {
		runs = runs || w.queries[i].Load() != nil
	}
	return runs
}

// see reports the calls that run long, and whether any run.
func (w *watchdog) see(now time.Time) (runs bool) {
	var slow []Slow
	add := func(s *Slow) {
		if s != nil {
			slow = append(slow, *s)
		}
	}
	index := sm.Index(w.turn.applying.Load())
	add(w.applying.see(index, index == 0, now, w.limit(), func() Slow {
		return Slow{Doing: "apply", Type: w.commandType(index), Index: index}
	}))
	runs = index != 0
	for i := range w.queries {
		q := w.queries[i].Load()
		runs = runs || q != nil
		add(w.reading[i].see(q, q == nil, now, w.limit(), func() Slow {
			return Slow{Doing: "query", Type: nameOf(q.Call), Index: q.at}
		}))
	}
	if !slices.Equal(slow, w.told) {
		w.told = slow
		w.tell(slices.Clone(slow))
	}
	return runs
}

// limit returns after which time a call that was seen is reported.
func (w *watchdog) limit() time.Duration { return 2 * w.every }

// see takes into account which call runs, and returns it if it has run for long.
func (s *sighting[T]) see(call T, none bool, now time.Time, limit time.Duration, describe func() Slow) *Slow {
	switch {
	case none:
		*s = sighting[T]{}
	case call != s.call:
		*s = sighting[T]{call: call, since: now}
	case s.slow == nil && now.Sub(s.since) >= limit:
		slow := describe()
		slow.Since = s.since
		s.slow = &slow
	}
	return s.slow
}

// commandType returns the type of the command that is being applied, "" if it is over.
func (w *watchdog) commandType(index sm.Index) string {
	level, cmd, ok := w.turn.peek(index)
	if !ok {
		return ""
	}
	return w.names(level, cmd)
}

// Namer is a Machine that names its commands.
type Namer interface {
	// NameCommand returns the type of a command that was encoded at a level. It may be
	// called beside any other method.
	NameCommand(level uint32, cmd []byte) string
}

// nameCommands returns a function that names commands, "" where that is not possible. What
// decodes them is the user's code.
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

// nameOf returns the type of a query, or the name of a function.
func nameOf(call any) string {
	if f := reflect.ValueOf(call); f.Kind() == reflect.Func {
		if named := runtime.FuncForPC(f.Pointer()); named != nil {
			return named.Name()
		}
	}
	return fmt.Sprintf("%T", call)
}
