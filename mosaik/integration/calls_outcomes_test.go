package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// A caller that stops waiting for a command that is being applied gets an unknown outcome, and
// learns the result if it waits again.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	g, entered, open := newGated(t)
	p, err := g.Feed(t.Context(), step{Verb: "wait"}, step{"pay", 7})
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = p.Wait(ended)
	wantOutcome(t, "wait for what is in flight", err, mosaik.Unknown)
	wantError(t, "wait for what is in flight", err, context.Canceled)
	select {
	case <-p.Done():
		t.Error("the outcome is known before the machine is through")
	default:
	}
	open <- struct{}{}
	results, err := p.Wait(soon(t))
	if err != nil || len(results) != 2 || results[1].Value != int64(7) {
		t.Errorf("waiting again returned %+v, error %v", results, err)
	}
}

// errors.Is finds the context's error and its cause in the error of every call.
func TestCausesOfContexts(t *testing.T) {
	t.Parallel()
	gated, entered, open := newGated(t)
	waiting, err := gated.Feed(t.Context(), step{Verb: "wait"})
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	c := testutil.NewCluster(t, 1)
	n, g := c.Node(0), testutil.JoinAll(c, newTill)[0]
	ended := map[string]func(context.Context) error{
		"execute":      func(ctx context.Context) error { _, err := g.Execute(ctx, step{"pay", 1}); return err },
		"execute many": func(ctx context.Context) error { _, err := g.ExecuteMany(ctx, step{"pay", 1}); return err },
		"feed":         func(ctx context.Context) error { _, err := g.Feed(ctx, step{"pay", 1}); return err },
		"wait":         func(ctx context.Context) error { _, err := waiting.Wait(ctx); return err },
		"applied": func(ctx context.Context) (err error) {
			for _, err = range g.Commands(ctx, consensus.Epoch{}, 100) {
			}
			return err
		},
		"applied index": func(ctx context.Context) error { return g.When().Applied(ctx, 100) },
		"until":         func(ctx context.Context) error { _, err := g.When().Until(ctx, ledBy(sm.PeerID{1})); return err },
		"join": func(ctx context.Context) error {
			_, err := n.Net().Groups().WithKey(mosaik.RandomKey()).Join(ctx)
			return err
		},
		"open": func(ctx context.Context) error { _, err := mosaik.Open(ctx, n.Net().ID()); return err },
	}
	for name, consistency := range map[string]mosaik.Consistency{"strong": mosaik.Strong, "at least": mosaik.AtLeast(100)} {
		ended[name+" read"] = func(ctx context.Context) error {
			_, err := mosaik.Read(ctx, g, consistency, func(*till) (int, error) { return 0, nil })
			return err
		}
	}
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(errShort)
	late, cancelLate := context.WithTimeoutCause(t.Context(), time.Nanosecond, errShort)
	defer cancelLate()
	<-late.Done()
	for name, call := range ended {
		for _, ctx := range []context.Context{canceled, late} {
			err := call(ctx)
			wantError(t, name, err, ctx.Err())
			wantError(t, name, err, errShort)
		}
	}

	// A context that ends while a call waits is no different.
	ctx, cancel := context.WithCancelCause(t.Context())
	errs := make(chan error)
	go func() {
		_, err := gated.Execute(ctx, step{"pay", 1})
		errs <- err
	}()
	go func() {
		_, err := mosaik.Read(ctx, g, mosaik.AtLeast(100), func(*till) (int, error) { return 0, nil })
		errs <- err
	}()
	cancel(errShort)
	for range 2 {
		err := <-errs
		wantError(t, "a call that waits", err, context.Canceled)
		wantError(t, "a call that waits", err, errShort)
	}
	open <- struct{}{}
	if _, err := waiting.Wait(soon(t)); err != nil {
		t.Error(err)
	}
}

// A leader that is cut off cannot know what becomes of what it sent before it
// noticed. Later commands are surely not applied.
func TestOutcomesOfALeaderWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	leader := leaderOf(t, c, groups[0])
	g, ctx := groups[leader.Index()], soon(t)
	mustPay(t, g, 1)
	c.Isolate(leader.Index())
	_, err := mosaik.Execute(ctx, g, pay(10))
	wantOutcome(t, "execute before the loss was noticed", err, mosaik.Unknown)
	wantError(t, "execute before the loss was noticed", err, mosaik.ErrStalled)
	for range 3 {
		_, err = mosaik.Execute(ctx, g, pay(100))
		wantOutcome(t, "execute after the loss was noticed", err, mosaik.NotApplied)
		wantError(t, "execute after the loss was noticed", err, mosaik.ErrStalled)
	}
	c.HealAll()
	testutil.Settle(t, groups...)
	got, err := mosaik.Query(ctx, g, sum{}, mosaik.Strong)
	if err != nil || got.Value != 1 && got.Value != 11 {
		t.Errorf("in the end the sum is %d, error %v; want 1 or 11", got.Value, err)
	}
	wantSum(t, got.Value, groups...)
}

// keptPay pays into a kept till.
type keptPay int64

func (p keptPay) AsCommand() step { return step{"pay", int64(p)} }
func (p keptPay) ApplyTo(m *keptTill, at sm.ApplyContext) (int64, error) {
	return pay(p).ApplyTo(&m.till, at)
}

// A member that receives a snapshot in place of its own command returns ErrResultLost with the
// command's index.
func TestResultLost(t *testing.T) {
	t.Parallel()
	for kind, storage := range storages {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			// One attempt lasts, so that no call ends because the member is stalled.
			c := newCompacted(t, newKeptTill, storage, fast(consensus.Config{ForwardTimeout: time.Minute}))
			leader, ctx := leaderOf(t, c.Cluster, c.groups[0]).Index(), soon(t)
			away, other := (leader+1)%3, (leader+2)%3
			g, led := c.groups[away], c.groups[leader]
			c.pay(g)
			c.paid++
			before := c.logs[away].state(t).Last.Index
			c.CutOneWay(leader, away)
			c.CutOneWay(other, away)
			next := g.AppliedIndex() + 1 // the leader may not have applied as much
			type outcome struct {
				answer mosaik.Result[int64]
				err    error
			}
			ended := make(chan outcome, 1)
			go func() {
				answer, err := mosaik.Execute(ctx, g, keptPay(1))
				ended <- outcome{answer, err}
			}()
			if err := led.When().Applied(ctx, next); err != nil {
				t.Fatal(err)
			}
			c.paid++
			for _, i := range []int{leader, other} {
				for c.logs[i].state(t).Pruned.Index <= before+10 {
					c.pay(c.groups[i])
					c.paid++
				}
			}
			for _, i := range []int{leader, other} {
				c.Drop(i, away) // and with it what waits on the link
			}
			c.HealAll()
			lost := <-ended
			wantError(t, "a command that a snapshot passed", lost.err, mosaik.ErrResultLost)
			wantOutcome(t, "a command that a snapshot passed", lost.err, mosaik.Applied)
			if lost.answer.Index != next {
				t.Errorf("its index is %d, want %d", lost.answer.Index, next)
			}
			got, err := mosaik.Read(ctx, g, mosaik.AtLeast(next), func(m *keptTill) (int64, error) { return m.sum, nil })
			if err != nil || got.Value < int64(next) {
				t.Errorf("the member then reads %+v, error %v", got, err)
			}
			c.pay(g)
			c.paid++
			c.wantAllPaid()
		})
	}
}
