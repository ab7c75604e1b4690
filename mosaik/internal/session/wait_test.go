package session

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// TestWaitAgain has one of two waiters stop, or one waiter stop and wait again. The call
// must not be abandoned.
func TestWaitAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan error)
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(context.Context, []byte) error { return <-release })
		})
		defer l.Close(nil)
		a, b := l.submit(t, "a"), (*Call)(nil)
		synctest.Wait()
		b = l.submit(t, "b") // remains in the queue
		for _, c := range []*Call{a, b} {
			go func() {
				if _, _, err := c.Wait(t.Context()); err != nil {
					t.Errorf("the waiter that stays: %v", err)
				}
			}()
			synctest.Wait()
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, _, err := c.Wait(short); !errors.Is(err, ErrUnknownOutcome) {
				t.Errorf("the waiter that stops: %v", err)
			}
		}
		release <- errBusy
		values(t, a)
		values(t, b)
		if diff := cmp.Diff([]string{"a", "b"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}

		// The same waiter stops and waits again.
		l.then(l.script(func(context.Context, []byte) error { return <-release }))
		c := l.submit(t, "c")
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.Wait(short); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the waiter that stops: %v", err)
		}
		go func() {
			synctest.Wait()
			release <- errBusy
		}()
		values(t, c)
	})
}

// tardy is a context that ends only after a goroutine waits for its end and another event has
// occurred.
type tardy struct {
	context.Context
	before func()
	ended  chan struct{}
	err    error
}

func (c *tardy) Done() <-chan struct{} {
	if c.err == nil {
		c.before()
		c.err = context.Canceled
		close(c.ended)
	}
	return c.ended
}

func (c *tardy) Err() error { return c.err }

// TestContextEndsAfterAdmission ends the context of a call that waited for space and has been
// admitted. The end must not affect the call.
func TestContextEndsAfterAdmission(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 20 { // select chooses at random
			steps := make(chan error)
			l := newLocal(func(l *local, cfg *Config) {
				cfg.MaxQueue, cfg.MaxCommands = 1, 1
				apply := func(_ context.Context, data []byte) error { <-steps; return l.apply(data) }
				l.propose = l.script(apply, apply, func(context.Context, []byte) error { return <-steps })
			})
			l.submit(t, "on its way")
			synctest.Wait()
			l.submit(t, "fills the queue")
			ctx := &tardy{Context: t.Context(), ended: make(chan struct{}), before: func() {
				for range 2 {
					steps <- nil
					synctest.Wait()
				}
			}}
			c, err := l.Submit(ctx, 1, encode([]string{"c"}), format.Span{})
			if err != nil {
				t.Fatal(err)
			}
			steps <- errBusy
			<-c.Done() // no goroutine waits whose context could count
			values(t, c)
			l.Close(nil)
		}
	})
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, cfg *Config) {
			cfg.QueueBytes = 1000
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		l.submit(t, "on its way")
		synctest.Wait()
		l.submit(t, string(make([]byte, 5000))) // goes into an empty queue
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Submit(ctx, 1, encode([]string{"no room"}), format.Span{})
		if !errors.Is(err, ErrNotApplied) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("submit into a full queue: %v", err)
		}
		close(release)
		values(t, l.submit(t, "room again"))
	})
}

// TestSnapshotCoversSeal restores a snapshot that reports the rejection of the last of two entries,
// because the epoch was sealed. The entry before may have been applied.
func TestSnapshotCoversSeal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sent := make(chan []byte, 2)
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxInflight, cfg.MaxCommands = 2, 1
			l.session = func(_ context.Context, data []byte) error {
				time.Sleep(50 * time.Millisecond) // bubble time: the round-trip time exceeds the pace
				return l.apply(data)
			}
			l.propose = func(ctx context.Context, data []byte) error {
				sent <- bytes.Clone(data)
				return silent(ctx, data)
			}
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		first := <-sent
		b := l.submit(t, "b")
		second := <-sent

		remote := state.New(state.Config{Machine: &journal{}})
		for i, data := range [][]byte{
			mark(format.Header{Kind: format.KindOpen}),
			mark(format.Header{Kind: format.KindSession, Session: l.Proposer.session}),
			first,
			mark(format.Header{Kind: format.KindSeal, Sequence: 1}), // it gives up one command
			second,
		} {
			remote.Apply(sm.Index(i+1), 1, data)
		}
		var snapshot bytes.Buffer
		if err := errors.Join(remote.Snapshot(&snapshot), l.state.Restore(&snapshot)); err != nil {
			t.Fatal(err)
		}
		fails(t, a, ErrUnknownOutcome, errCoveredBySnapshot)
		fails(t, b, ErrNotApplied, state.ErrSealed)
	})
}

// TestPauseAfterUnknownSession has a group reject sessions that were just opened, as may happen
// during a carryover. The next session must be opened after a pause.
func TestPauseAfterUnknownSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		var steps []func(context.Context, []byte) error
		for range 10 {
			steps = append(steps, func(_ context.Context, data []byte) error {
				e, _ := format.Parse(data)
				l.Deliver(state.Delivery{Session: e.Session, Sequence: e.Sequence, Err: state.ErrUnknownSession})
				return nil
			})
		}
		l.then(l.script(steps...))
		started := time.Now()
		values(t, l.submit(t, "a"))
		if took, want := time.Since(started), 10*DefaultRetry; took < want {
			t.Errorf("ten sessions were opened in %v, want at least %v", took, want)
		}
	})
}

// mark returns an entry without commands.
func mark(h format.Header) []byte { return format.Append(nil, &format.Envelope{Header: h}) }
