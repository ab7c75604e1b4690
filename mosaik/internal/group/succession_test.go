package group

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var (
	testClock = time.Unix(1_700_000_000, 0)
	dirOne    = Directory{1}
	dirTwo    = Directory{2}
)

func newTestIncarnation() Incarnation {
	return NewOrigin(0, Directory{}, testClock).newIncarnation(Incarnation{}).Incarnation
}

func (s standing) String() string { return [...]string{"admitted", "waiting", "superseded"}[s] }

// TestIncarnationsAreOrdered makes incarnations of a process and of a directory, with any clock.
// Later ones compare higher, and higher than those that begin with a time.
func TestIncarnationsAreOrdered(t *testing.T) {
	t.Parallel()
	var all []Incarnation
	begin := func(o *Origin, lives int) {
		for range lives {
			all = append(all, o.newIncarnation(Incarnation{}).Incarnation)
		}
	}
	begin(NewOrigin(0, Directory{}, testClock), 300) // as those in directories once began
	begin(NewOrigin(0, Directory{}, testClock.Add(time.Second)), 2)
	begin(NewOrigin(1, dirOne, testClock.Add(time.Hour)), 300)
	begin(NewOrigin(2, dirOne, testClock.Add(-time.Hour)), 2)
	begin(NewOrigin(1<<40, dirOne, time.Time{}), 2)
	if !slices.IsSortedFunc(all, Incarnation.Compare) {
		t.Error("a later incarnation does not compare higher")
	}
	slices.SortFunc(all, Incarnation.Compare)
	if n := len(slices.Compact(all)); n != 606 {
		t.Errorf("%d incarnations differ, want 606", n)
	}
	last := NewOrigin(0, Directory{}, testClock).newIncarnation(Incarnation{}).Incarnation
	if next := NewOrigin(0, Directory{}, testClock.Add(-time.Hour)).newIncarnation(last).Incarnation; next.Compare(last) <= 0 {
		t.Errorf("incarnation %x follows %x and compares lower", next, last)
	}
}

// comer is a process that joins with the identity of another one.
type comer struct {
	name string
	// process is that of the process, which started at the time, and after a
	// predecessor, whose earlier incarnations are known.
	process func(at time.Time, before ProcessInfo, past []Incarnation) ProcessInfo
	// Its standing at once, with a clock that is behind or equal, and with one that is ahead;
	// after the predecessor was missing for the grace; and after the predecessor bonds again.
	behind, ahead, missed, lives standing
}

// TestSuccession has every kind of process follow every kind of predecessor that it can have, with
// a clock that is behind, equal and ahead, while the predecessor is bonded, missing and back.
func TestSuccession(t *testing.T) {
	t.Parallel()
	const W, A, S = waiting, admitted, superseded
	begin := func(start uint64, d Directory) func(time.Time, ProcessInfo, []Incarnation) ProcessInfo {
		return func(at time.Time, _ ProcessInfo, _ []Incarnation) ProcessInfo {
			return NewOrigin(start, d, at).newIncarnation(Incarnation{})
		}
	}
	resume := func(start uint64, d Directory) func(time.Time, ProcessInfo, []Incarnation) ProcessInfo {
		return func(at time.Time, before ProcessInfo, _ []Incarnation) ProcessInfo {
			return NewOrigin(start, d, at).resumeIncarnation(before.Incarnation)
		}
	}
	resumePast := func(start uint64, d Directory) func(time.Time, ProcessInfo, []Incarnation) ProcessInfo {
		return func(at time.Time, _ ProcessInfo, past []Incarnation) ProcessInfo {
			return NewOrigin(start, d, at).resumeIncarnation(past[0])
		}
	}
	fromMemory := []comer{
		{"memory", begin(0, Directory{}), W, A, A, S},
		{"new directory", begin(1, dirOne), W, A, A, S},
		{"directory that was used meanwhile", func(at time.Time, _ ProcessInfo, _ []Incarnation) ProcessInfo {
			return NewOrigin(9, dirOne, at).resumeIncarnation(NewOrigin(8, dirOne, at).newIncarnation(Incarnation{}).Incarnation)
		}, W, W, A, S},
		{"directory that it followed", resumePast(9, dirOne), S, S, S, S},
	}
	// The predecessor is at start 5 of directory one, and incarnations of earlier starts
	// are known.
	fromDirectory := []comer{
		{"directory that continues", resume(6, dirOne), A, A, A, A},
		{"directory without its log", begin(6, dirOne), A, A, A, A},
		{"directory without network file", begin(1, dirTwo), W, A, A, S}, // emptied, or another one
		{"other directory that was used meanwhile", func(at time.Time, _ ProcessInfo, _ []Incarnation) ProcessInfo {
			return NewOrigin(9, dirTwo, at).resumeIncarnation(NewOrigin(8, dirTwo, at).newIncarnation(Incarnation{}).Incarnation)
		}, W, W, A, S},
		{"memory", begin(0, Directory{}), W, A, A, S},
		{"older copy, started less often", resumePast(4, dirOne), S, S, S, S},
		{"older copy, started as often", resumePast(5, dirOne), S, S, S, S},
		{"older copy, started more often", resumePast(7, dirOne), S, S, S, S},
		{"older copy of an unknown life, started more often", func(at time.Time, _ ProcessInfo, _ []Incarnation) ProcessInfo {
			return NewOrigin(7, dirOne, at).resumeIncarnation(NewOrigin(2, dirOne, at).newIncarnation(Incarnation{}).Incarnation)
		}, S, S, S, S},
		{"older copy without its log", begin(3, dirOne), W, W, A, S},
		{"copy beside, started less often", resume(4, dirOne), S, S, S, S},
		{"copy beside, started as often", resume(5, dirOne), S, S, S, S},
		{"copy beside without its log", begin(5, dirOne), W, W, A, S},
	}
	// A process that continued a life may have begun another one before it ended.
	another := func(want standing) []comer {
		return append(slices.Clone(fromDirectory), comer{"directory with another life of that start", func(at time.Time, _ ProcessInfo, _ []Incarnation) ProcessInfo {
			return NewOrigin(8, dirOne, at).resumeIncarnation(NewOrigin(5, dirOne, at).newIncarnation(Incarnation{}).Incarnation)
		}, want, want, want, want})
	}
	earlier := func(d Directory) []Incarnation {
		return []Incarnation{NewOrigin(3, d, testClock).newIncarnation(Incarnation{}).Incarnation}
	}
	old := NewOrigin(5, dirOne, testClock)
	for _, group := range []struct {
		name   string
		before ProcessInfo
		comers []comer
	}{
		{"memory", NewOrigin(0, Directory{}, testClock).newIncarnation(Incarnation{}), fromMemory},
		{"directory that began a life", old.newIncarnation(Incarnation{}), another(S)},
		{"directory that continued", old.resumeIncarnation(NewOrigin(4, dirOne, testClock).newIncarnation(Incarnation{}).Incarnation), another(A)},
	} {
		for _, o := range group.comers {
			for _, ahead := range []time.Duration{-10 * time.Second, 0, 10 * time.Second} {
				want := o.behind
				if ahead > 0 {
					want = o.ahead
				}
				past := earlier(dirOne)
				come := o.process(testClock.Add(ahead), group.before, past)
				name := fmt.Sprintf("%s, then %s with a clock %v ahead", group.name, o.name, ahead)
				newSuccession := func() *succession { return &succession{latest: group.before, past: past} }

				if got := newSuccession().judge(come, false); got != want {
					t.Errorf("%s: it is %v while the other one may be alive, want %v", name, got, want)
				}
				gone := newSuccession()
				if want == waiting {
					gone.note(come, gone.judge(come, false))
				}
				if got, want := gone.judge(come, true), after(want, o.missed); got != want {
					t.Errorf("%s: it is %v after the other one was missing, want %v", name, got, want)
				}
				if gone.note(come, admitted); gone.judge(come, false) != admitted {
					t.Errorf("%s: it is refused when it bonds again", name)
				}
				alive := newSuccession()
				alive.note(come, alive.judge(come, false))
				if want != admitted {
					if alive.judge(group.before, false) != admitted {
						t.Errorf("%s: the other one is refused when it bonds again", name)
					}
					alive.note(group.before, admitted)
				}
				if got, want := alive.judge(come, false), after(want, o.lives); got != want {
					t.Errorf("%s: it is %v when the other one is alive, want %v", name, got, want)
				}
			}
		}
	}
}

// after is what follows a standing: only one that waits changes.
func after(now, next standing) standing {
	if now == waiting {
		return next
	}
	return now
}

// TestSuccessorsWaitEach has two processes wait for one predecessor. That the first one is
// superseded does not decide about the second.
func TestSuccessorsWaitEach(t *testing.T) {
	t.Parallel()
	at := func(s time.Duration) ProcessInfo {
		return NewOrigin(0, Directory{}, testClock.Add(s)).newIncarnation(Incarnation{})
	}
	old, one, two := at(0), at(-time.Second), at(-2*time.Second)
	s := &succession{}
	for i, step := range []struct {
		who  ProcessInfo
		want standing
	}{
		{old, admitted}, {one, waiting}, {one, waiting}, {old, admitted}, {one, superseded}, {two, waiting}, {two, waiting}, {old, admitted}, {two, superseded},
	} {
		got := s.judge(step.who, false)
		if s.note(step.who, got); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

// TestSuccessionIsBounded has a peer take more incarnations than are remembered.
func TestSuccessionIsBounded(t *testing.T) {
	t.Parallel()
	s := &succession{}
	for i := range 3 * maxPastIncarnations {
		o := NewOrigin(uint64(i+1), dirOne, testClock).newIncarnation(Incarnation{})
		s.note(o, s.judge(o, false))
	}
	if len(s.past) != maxPastIncarnations || s.latest.Process.start() != 3*maxPastIncarnations {
		t.Errorf("%d incarnations are remembered and start %d, want %d and %d", len(s.past), s.latest.Process.start(), maxPastIncarnations, 3*maxPastIncarnations)
	}
}
