package state

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// actor is a machine whose Apply calls act. It names its commands.
type actor struct{ act func(cmd string) }

func (m *actor) Apply(_ sm.ApplyContext, _ uint32, cmd []byte) (any, error, bool) {
	m.act(string(cmd))
	return nil, nil, true
}
func (*actor) CanSnapshot() bool                           { return false }
func (*actor) Snapshot(io.Writer) error                    { return nil }
func (*actor) Restore(io.Reader) error                     { return nil }
func (*actor) NameCommand(level uint32, cmd []byte) string { return fmt.Sprintf("%s@%d", cmd, level) }

// newActor returns an open replica of an actor.
func newActor(cfg Config, act func(cmd string)) *replica {
	cfg.Machine = &actor{act}
	r := &replica{State: New(cfg)}
	r.kind(format.KindOpen)
	r.open(mine)
	r.open(others)
	return r
}

// A call that runs for longer than the limit is reported, and its end as well. Shorter calls are
// not reported, even if many follow each other.
func TestWatchdogReportsSlowApply(t *testing.T) {
	for took, want := range map[time.Duration]bool{
		SlowLimit * 9 / 10: false, SlowLimit * 8 / 5: true, 10 * SlowLimit: true,
	} {
		synctest.Test(t, func(t *testing.T) {
			var reports [][]consensus.SlowCall
			began := time.Now()
			r := newActor(Config{Slow: func(calls []consensus.SlowCall) { reports = append(reports, calls) }}, func(cmd string) {
				if strings.HasPrefix(cmd, "slow") {
					time.Sleep(took)
				}
			})
			r.commands(others, 1, "a", "slow b", "slow c", "d")
			time.Sleep(2 * SlowLimit)
			synctest.Wait()
			var expected [][]consensus.SlowCall
			if want {
				expected = [][]consensus.SlowCall{
					{{Doing: "apply", Type: "slow b@1", Index: 2}},
					{{Doing: "apply", Type: "slow c@1", Index: 3}},
					{},
				}
			}
			var quiet [][]consensus.SlowCall
			for i, calls := range reports {
				for _, c := range calls {
					if c.Since.Before(began) || c.Since.After(began.Add(2*took)) {
						t.Errorf("%v: %+v was first observed at another time", took, c)
					}
				}
				if len(calls) > 0 || i == len(reports)-1 { // a check may run between two calls
					quiet = append(quiet, calls)
				}
			}
			if diff := cmp.Diff(expected, quiet, cmpopts.IgnoreFields(consensus.SlowCall{}, "Since"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%v: reports (-want +got):\n%s", took, diff)
			}
			if r.watchdog.armed.Load() {
				t.Errorf("%v: a check is scheduled although no call runs", took)
			}
		})
	}
}

// ask is a query that blocks until its channel is closed.
type ask struct{ until chan struct{} }

func (a ask) run(at sm.Index, _ Machine) error {
	<-a.until
	return nil
}

// Concurrent queries are watched, up to maxWatched.
func TestWatchdogReportsSlowQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports []consensus.SlowCall
		r := newActor(Config{Slow: func(calls []consensus.SlowCall) { reports = calls }}, func(string) {})
		r.commands(others, 1, "a", "b")
		until := make(chan struct{})
		for range maxWatched + 4 {
			q := ask{until}
			go r.Read(context.Background(), &Query{Call: q, Run: q.run})
		}
		time.Sleep(2 * SlowLimit)
		synctest.Wait()
		if len(reports) != maxWatched {
			t.Fatalf("%d queries are reported, want %d", len(reports), maxWatched)
		}
		for _, c := range reports {
			if c.Doing != "query" || c.Type != "state.ask" || c.Index != 2 {
				t.Errorf("reported %+v, want the query at index 2", c)
			}
		}
		close(until)
		time.Sleep(SlowLimit)
		synctest.Wait()
		if len(reports) != 0 {
			t.Errorf("%d queries are reported after they returned", len(reports))
		}
		// A function is reported by its name, and a panic frees its slot.
		for range maxWatched + 1 {
			if err := r.Read(context.Background(), &Query{Call: callName, Run: func(sm.Index, Machine) error { panic("no") }}); err == nil ||
				!strings.Contains(err.Error(), "state.callName: no") {
				t.Errorf("a query that panics: %v, want its name and value", err)
			}
		}
		for i := range r.watchdog.queries {
			if r.watchdog.queries[i].Load() != nil {
				t.Errorf("slot %d is in use", i)
			}
		}
	})
}

// InApply is true on the goroutine that applies, at any depth of the stack and for each command of
// an entry. It is false on all other goroutines.
func TestInApply(t *testing.T) {
	t.Parallel()
	var r *replica
	var deep func(int) bool
	deep = func(depth int) bool {
		if depth == 0 {
			return r.InApply(r.Applying())
		}
		return deep(depth - 1)
	}
	busy, done := make(chan struct{}), make(chan struct{})
	r = newActor(Config{}, func(cmd string) {
		for _, depth := range []int{0, 1, 40, 60, 61, 62, 63, 64, 65, 128, 1000} {
			if !deep(depth) {
				t.Errorf("command %s, depth %d: InApply is false inside Apply", cmd, depth)
			}
		}
		other := make(chan bool)
		go func() { other <- r.InApply(r.Applying()) }()
		if <-other {
			t.Errorf("command %s: InApply is true on a goroutine that Apply started", cmd)
		}
		if cmd == "last" {
			close(busy)
			<-done
		}
	})
	if r.InApply(r.Applying()) {
		t.Error("InApply is true while nothing is applied")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.commands(others, 1, "a", "b", "last")
	}()
	<-busy
	if r.InApply(r.Applying()) {
		t.Error("InApply is true on another goroutine")
	}
	close(done)
	<-ended
}

// Frames returns the frames of the machine's code.
func TestFrames(t *testing.T) {
	t.Parallel()
	for what, act := range map[string]func(){
		"a panic":   func() { panic("no") },
		"no memory": func() { var p *actor; p.act("") },
		"a panic in a deferred call": func() {
			defer func() { panic(fmt.Sprint("again: ", recover())) }()
			panic("no")
		},
	} {
		r := newActor(Config{}, func(string) { act() })
		r.commands(others, 1, "a")
		p := r.Status().Poisoned
		if p == nil || p.Command != "a@1" || p.Index != 1 {
			t.Fatalf("%s: poisoned by %+v", what, p)
		}
		frames := Frames(p.Stack)
		if len(frames) < 3 || len(frames) > 8 || !strings.Contains(frames[0], "TestFrames.func") ||
			!strings.Contains(frames[0], "watchdog_test.go:") || !strings.Contains(frames[len(frames)-1], "(*actor).Apply") {
			t.Errorf("%s: frames are\n%s\nof\n%s", what, strings.Join(frames, "\n"), p.Stack)
		}
	}
	for _, stack := range []string{"", "goroutine 1 [running]:", "\n\n\n", "x\npanic(\n"} {
		if frames := Frames([]byte(stack)); len(frames) > 0 {
			t.Errorf("frames of %q: %q", stack, frames)
		}
	}
}
