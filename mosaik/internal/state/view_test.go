package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

// freezer is a journal that can be frozen. Its methods and those of its view call during, with the
// name of the method.
type freezer struct {
	*journal
	during func(method string) error
	closed int
}

func (f *freezer) call(method string) error {
	if f.during == nil {
		return nil
	}
	return f.during(method)
}

func (f *freezer) Freeze() (sm.View, error) {
	if err := f.call("Freeze"); err != nil {
		return nil, err
	}
	return &frozenLines{f, slices.Clone(f.Lines)}, nil
}

type frozenLines struct {
	of    *freezer
	lines []string
}

func (v *frozenLines) Snapshot(w io.Writer) error {
	if err := v.of.call("Snapshot"); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(v.lines)
}

func (v *frozenLines) Close() error {
	v.of.closed++
	return v.of.call("Close")
}

// newFreezer returns a replica whose machine can be frozen.
func newFreezer() (*replica, *freezer) {
	r := newReplica()
	f := &freezer{journal: r.machine}
	cfg := r.cfg
	cfg.Machine = f
	r.State = New(cfg)
	r.SetOwnSession(mine)
	r.kind(format.KindOpen)
	r.open(mine)
	r.open(others)
	return r, f
}

// TestViewIsUnaffectedByLaterEntries changes the whole state while a view is written.
func TestViewIsUnaffectedByLaterEntries(t *testing.T) {
	t.Parallel()
	from := ready()
	from.commands(others, 1, "restored")
	var other bytes.Buffer
	if err := from.Snapshot(&other); err != nil {
		t.Fatal(err)
	}
	for name, later := range map[string]func(*replica){
		"apply": func(r *replica) {
			for i := range uint64(200) {
				r.commands(others, 3+i, "later")
				r.commands(mine, 1+i, "later", "still")
			}
		},
		"sessions": func(r *replica) {
			for i := range MaxSessions + 10 { // the first ones are dropped
				r.open(format.SessionID{9, byte(i), byte(i >> 8)})
			}
		},
		"level and seal": func(r *replica) {
			r.kind(format.KindLevel)
			r.commands(others, 3, "at level 2")
			r.next(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSeal, Sequence: 1 << 40}}))
		},
		"tokens": func(r *replica) {
			r.next(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen, Sequence: 5000}}))
		},
		"restore": func(r *replica) {
			if err := r.Restore(bytes.NewReader(other.Bytes())); err != nil {
				t.Error(err)
			}
		},
		"poison": func(r *replica) { r.commands(others, 3, "panic") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, f := newFreezer()
			r.commands(others, 1, "a", "b")
			r.commands(others, 2, "c")
			var want bytes.Buffer
			if err := r.Snapshot(&want); err != nil {
				t.Fatal(err)
			}
			view, concurrent, err := r.Freeze()
			if err != nil || !concurrent {
				t.Fatalf("Freeze: concurrent %v, error %v, want false", concurrent, err)
			}
			written := make(chan error)
			var got bytes.Buffer
			go func() { written <- view.Snapshot(&got) }() // the race detector finds shared memory
			later(r)
			if err := errors.Join(<-written, view.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("the view wrote\n%x\nwant\n%x", got.Bytes(), want.Bytes())
			}
			if f.closed != 2 { // also the view of Snapshot
				t.Errorf("%d views were closed, want 2", f.closed)
			}
			if name != "poison" {
				var now bytes.Buffer
				if err := r.Snapshot(&now); err != nil || bytes.Equal(now.Bytes(), want.Bytes()) {
					t.Errorf("snapshot of the changed state is equal, or error %v", err)
				}
			}
		})
	}
}

// TestViewWrittenLater changes the state before a view is written.
func TestViewWrittenLater(t *testing.T) {
	t.Parallel()
	r, _ := newFreezer()
	r.ancestors = [][16]byte{{1, 2, 3}}
	r.commands(others, 1, "a")
	var want bytes.Buffer
	if err := r.Snapshot(&want); err != nil {
		t.Fatal(err)
	}
	view, _, err := r.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	r.ancestors[0] = [16]byte{4}
	r.commands(others, 2, "b")
	var got bytes.Buffer
	if err := errors.Join(view.Snapshot(&got), view.Close()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Bytes(), got.Bytes()); d != "" {
		t.Error(d)
	}
}

// TestFreezeFails lets each method of a freezing machine fail in each way.
func TestFreezeFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ways := map[string]func() error{
		"error": func() error { return broken },
		"panic": func() error { panic(broken) },
		"exit":  func() error { runtime.Goexit(); return nil },
	}
	doing := map[string]string{"Freeze": "freeze", "Snapshot": "snapshot", "Close": "close snapshot"}
	for method, what := range doing {
		for way, fail := range ways {
			t.Run(fmt.Sprint(method, " ", way), func(t *testing.T) {
				t.Parallel()
				r, f := newFreezer()
				f.during = func(m string) error {
					if m == method {
						return fail()
					}
					return nil
				}
				err := r.Snapshot(io.Discard)
				var p *PanicError
				switch way {
				case "error":
					if !errors.Is(err, broken) || errors.As(err, &p) {
						t.Errorf("Snapshot: %v, want %v", err, broken)
					}
				default:
					if !errors.As(err, &p) || p.Doing != what || way == "panic" != errors.Is(err, broken) || way == "exit" && p.Value != isolate.ErrExited {
						t.Errorf("Snapshot: %v, want a panic while doing %q", err, what)
					}
				}
				if method != "Freeze" && f.closed != 1 {
					t.Errorf("the view was closed %d times, want 1", f.closed)
				}
				f.during = nil
				r.commands(others, 1, "a")
				if err := r.Snapshot(io.Discard); err != nil || len(f.Lines) != 1 {
					t.Errorf("after the failure: snapshot error %v, lines %v; want one line", err, f.Lines)
				}
			})
		}
	}
}

// TestFreezeExcludesQueries checks that a machine may change itself in Freeze.
func TestFreezeExcludesQueries(t *testing.T) {
	t.Parallel()
	r, f := newFreezer()
	f.during = func(method string) error {
		if method == "Freeze" {
			f.Lines = slices.Clone(f.Lines)
		}
		return nil
	}
	done := make(chan error)
	go func() {
		var err error
		for range 100 {
			err = errors.Join(err, r.Read(context.Background(), &Query{Run: func(sm.Index, Machine) error {
				return f.call(fmt.Sprint(len(f.Lines)))
			}}))
		}
		done <- err
	}()
	for range 100 {
		if _, _, err := r.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestMachineThatCannotFreeze checks the view of a machine without Freeze, or whose Freeze returns
// no view.
func TestMachineThatCannotFreeze(t *testing.T) {
	t.Parallel()
	r := ready()
	view, concurrent, err := r.Freeze()
	if err != nil || concurrent {
		t.Fatalf("Freeze: concurrent %v, error %v, want false", concurrent, err)
	}
	var b bytes.Buffer
	if err := errors.Join(view.Snapshot(&b), view.Close()); err != nil || b.Len() == 0 {
		t.Fatalf("snapshot of %d bytes, error %v", b.Len(), err)
	}
	f := newUnfrozen()
	if view, concurrent, err := f.Freeze(); err != nil || concurrent || view == nil {
		t.Fatalf("Freeze of a machine that returns no view: %v, %v", concurrent, err)
	}
}

// unfrozen is a machine whose Freeze returns no view.
type unfrozen struct{ *journal }

func (unfrozen) Freeze() (sm.View, error) { return nil, nil }

func newUnfrozen() *State { return New(Config{Machine: unfrozen{&journal{}}}) }
