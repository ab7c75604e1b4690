package state

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

func TestPanicPoisons(t *testing.T) {
	t.Parallel()
	r := ready()
	r.commands(others, 1, "a")
	r.commands(mine, 1, "b", "panic", "c")
	p := r.Status().Poisoned
	if p == nil {
		t.Fatal("not poisoned")
	}
	if p.Doing != "apply" || p.Index != 3 || p.Entry != (sm.Cursor{Term: 1, Index: r.index}) || p.Offset != 1 ||
		p.Value != "the machine is broken" || !strings.Contains(string(p.Stack), "journal") {
		t.Errorf("poisoned by %+v, want the panic of command 3", p)
	}
	if want := "state machine is poisoned: apply command 3 (entry t1/i5, offset 1): the machine is broken"; p.Error() != want {
		t.Errorf("error %q, want %q", p.Error(), want)
	}
	if d := r.last(t); d.Err != error(p) || d.Sequence != 1 {
		t.Errorf("delivered %+v, want the poison", d)
	}
	at := r.at
	if at.Index != r.index-1 {
		t.Errorf("Applied received %v last, want the entry before the poison", at)
	}

	// The replica does nothing more, and every call returns the poison.
	r.commands(mine, 2, "later")
	r.commands(others, 2, "later")
	if diff := cmp.Diff([]string{"a", "b"}, r.machine.Lines); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if r.at != at {
		t.Errorf("Applied received %v after the poison, want no call", r.at)
	}
	if d := r.last(t); d.Err != error(p) || d.Sequence != 2 || len(r.deliveries) != 2 {
		t.Errorf("delivered %+v, want the poison for each entry of our own", r.deliveries)
	}
	if r.CanSnapshot() {
		t.Error("CanSnapshot of a poisoned replica is true")
	}
	if err := r.Snapshot(io.Discard); err != error(p) {
		t.Errorf("snapshot: %v, want the poison", err)
	}
	if err := r.Read(context.Background(), &Query{Run: func(sm.Index, Machine) error { t.Error("the query runs"); return nil }}); err != error(p) {
		t.Errorf("read: %v, want the poison", err)
	}
	if err := r.Restore(bytes.NewReader(nil)); err != error(p) {
		t.Errorf("restore: %v, want the poison", err)
	}
	if diff := cmp.Diff([]string{"opened", "poisoned apply", "deliver 1", "deliver 2"}, r.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A machine that calls runtime.Goexit is poisoned like one that panics, in each of its methods.
func TestGoexitPoisons(t *testing.T) {
	t.Parallel()
	r := ready()
	r.commands(mine, 1, "a", "exit", "b")
	p := r.Status().Poisoned
	if p == nil || p.Index != 2 || p.Offset != 1 || !errors.Is(p, isolate.ErrExited) {
		t.Errorf("poisoned by %+v, want an exit in command 2", p)
	}
	if d := r.last(t); d.Err != error(p) || d.Sequence != 1 {
		t.Errorf("delivered %+v, want the poison", d)
	}

	whole := ready()
	whole.commands(mine, 1, "a")
	var snapshot bytes.Buffer
	if err := whole.Snapshot(&snapshot); err != nil {
		t.Fatal(err)
	}
	whole.machine.exits = true
	var panicked *PanicError
	if err := whole.Snapshot(io.Discard); !errors.As(err, &panicked) || !errors.Is(err, isolate.ErrExited) {
		t.Errorf("a snapshot that ends its goroutine: %v, want ErrExited", err)
	}
	restored := newReplica()
	restored.machine.exits = true
	if err := restored.Restore(&snapshot); !errors.Is(err, consensus.ErrPoisoned) || !errors.Is(err, isolate.ErrExited) {
		t.Errorf("a restore that ends its goroutine: %v, want ErrExited", err)
	}
}

func TestPanicWithAnErrorUnwraps(t *testing.T) {
	t.Parallel()
	if err := error(&consensus.PoisonedError{Value: errDomain}); !errors.Is(err, errDomain) {
		t.Error("the error of the panic is lost")
	}
	if err := error(&PanicError{Value: errDomain}); !errors.Is(err, errDomain) {
		t.Error("the error of the panic is lost")
	}
}

func TestReadSeesWholeEntries(t *testing.T) {
	t.Parallel()
	r := ready()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			err := r.Read(context.Background(), &Query{Run: func(at sm.Index, _ Machine) error {
				if n := len(r.machine.Lines); n%3 != 0 || sm.Index(n) != at {
					t.Errorf("a query sees %d commands at index %d, entries have three", n, at)
				}
				return errDomain
			}})
			if !errors.Is(err, errDomain) {
				t.Errorf("read: %v, want the query's error", err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range 500 {
		r.commands(others, uint64(i+1), "a", "b", "c")
	}
	close(stop)
	<-done
}

func TestPanickingQueryDoesNotPoison(t *testing.T) {
	t.Parallel()
	r := ready()
	err := r.Read(context.Background(), &Query{Call: r, Run: func(sm.Index, Machine) error { panic("a bad query") }})
	var p *PanicError
	if !errors.As(err, &p) || p.Doing != "query *state.replica" || p.Value != "a bad query" || len(p.Stack) == 0 {
		t.Errorf("read: %v, want the panic", err)
	}
	r.commands(mine, 1, "a")
	if d := r.last(t); d.Err != nil {
		t.Errorf("delivered %+v after a panicking query, want a result", d)
	}
}

// Queries that wait for an Apply end with their contexts, and one goroutine waits for all of them.
// The remaining queries run after the Apply.
func TestReadWaitsForItsContext(t *testing.T) {
	t.Parallel()
	busy, gate := make(chan struct{}), make(chan struct{})
	r := newActor(Config{}, func(string) {
		close(busy)
		<-gate
	})
	applied := make(chan struct{})
	go func() {
		defer close(applied)
		r.commands(others, 1, "a")
	}()
	<-busy
	const each = 50
	ctx, cancel := context.WithCancel(t.Context())
	canceled, waiting := make(chan error, each), make(chan error, each)
	for range each {
		go func() {
			canceled <- r.Read(ctx, &Query{Run: func(sm.Index, Machine) error { t.Error("a query runs during an Apply"); return nil }})
		}()
		go func() {
			waiting <- r.Read(t.Context(), &Query{Run: func(at sm.Index, _ Machine) error {
				if at != 1 {
					t.Errorf("a query runs at index %d, want 1", at)
				}
				return errDomain
			}})
		}()
	}
	cancel()
	for range each {
		if err := <-canceled; !errors.Is(err, context.Canceled) {
			t.Errorf("a query whose context ended: %v, want its error", err)
		}
	}
	close(gate)
	for range each {
		if err := <-waiting; err != errDomain {
			t.Errorf("a query that waited: %v, want its error", err)
		}
	}
	<-applied
	if !r.mu.TryLock() {
		t.Fatal("the lock is still held")
	}
	r.mu.Unlock()
}
