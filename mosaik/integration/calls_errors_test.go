package integration_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestErrorsOfCalls makes every call fail in every state of a group. Each error names this
// package exactly once, at its beginning, and says whether anything was done.
func TestErrorsOfCalls(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	leader := leaderOf(t, c, groups[0])
	follows := groups[(leader.Index()+1)%3]
	mustPay(t, follows, 1)

	closed := testutil.Join(c.Node(0), newTill)
	if err := closed.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	alone := func() mosaik.KeyedBuilder {
		return c.Node(0).Net().Groups().WithKey(mosaik.RandomKey()).WithConsensusConfig(testutil.FastConsensus())
	}
	forming := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(alone(), newTill).WithMembership(three))
	poisoned := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(alone(), newTill))
	if err := poisoned.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	_, err := mosaik.Execute(soon(t), poisoned, blow{})
	wantError(t, "a command that panics", err, consensus.ErrPoisoned)
	wantOutcome(t, "a command that panics", err, mosaik.Unknown)

	present := func() context.Context { return soon(t) }
	brief := func() context.Context { // for calls that wait
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	refused, doubtful := []mosaik.Outcome{mosaik.NotApplied}, []mosaik.Outcome{mosaik.NotApplied, mosaik.Unknown}
	for _, g := range []struct {
		name string
		tillGroup
		ctx  func() context.Context
		want []mosaik.Outcome
	}{
		{"a closed handle", closed, present, refused},
		{"a forming group", forming, brief, doubtful},
		{"a poisoned member", poisoned, brief, doubtful},
		{"a follower, with an ended context", follows, gone, doubtful},
	} {
		for call, err := range everyCall(g.ctx, g.tillGroup) {
			if err != nil || g.tillGroup == closed {
				wantCallError(t, call+" of "+g.name, err, g.want)
			}
		}
	}

	// What a status reports, and joins.
	for what, err := range map[string]error{
		"the end of a closed handle": closed.Status().Ended, "the panic": poisoned.Status().Poisoned,
	} {
		wantPrefix(t, what, err)
	}
	b := c.Node(0).Builder()
	disk := faultyStorage{failAt: new(atomic.Int64)}
	for what, join := range map[string]func() error{
		"join with an ended context": func() error { _, err := b.Join(gone()); return err },
		"join with another machine": func() error {
			_, err := mosaik.WithStateMachine(b, newTill).WithLogStorage(disk).Join(soon(t))
			return err
		},
		"connect with an ended context": func() error { return testutil.NewCluster(t, 1).Node(0).Net().Connected(gone()) },
	} {
		wantPrefix(t, what, join())
	}
}

// TestErrorsOfRefusedCalls makes calls that a healthy group refuses.
func TestErrorsOfRefusedCalls(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	leader := leaderOf(t, c, groups[0])
	leads, follows := groups[leader.Index()], groups[(leader.Index()+1)%3]
	mustPay(t, follows, 1)
	refused := []mosaik.Outcome{mosaik.NotApplied}
	for call, err := range map[string]error{
		"transfer on a follower":  follows.TransferLeadership(soon(t), leader.Peer()),
		"remove on a follower":    follows.Remove(soon(t), leader.Peer()),
		"transfer to a stranger":  leads.TransferLeadership(soon(t), sm.PeerID{1}),
		"remove oneself":          leads.Remove(soon(t), leader.Peer()),
		"recover what is well":    leads.Recover(soon(t)),
		"yield to no other epoch": leads.Yield(soon(t)),
	} {
		wantCallError(t, call, err, refused)
		if !errors.Is(err, mosaik.ErrNotLeader) && !errors.Is(err, mosaik.ErrPrecondition) {
			t.Errorf("%s: %v", call, err)
		}
	}
	for call, f := range map[string]func() error{
		"an empty batch":  func() error { _, err := leads.ExecuteMany(soon(t)); return err },
		"an empty feed":   func() error { _, err := leads.Feed(soon(t)); return err },
		"a large command": func() error { _, err := leads.Execute(soon(t), step{Verb: strings.Repeat("x", 5<<20)}); return err },
		"no consistency":  func() error { _, err := mosaik.Query(soon(t), leads, sum{}, 0); return err },
		"a nil query":     func() error { _, err := mosaik.Query[int64](soon(t), leads, nil, mosaik.Weak); return err },
		"a query's panic": func() error {
			_, err := mosaik.Read(soon(t), leads, mosaik.Weak, func(*till) (int, error) { panic("no") })
			return err
		},
		"another epoch":     func() error { return firstError(leads.Commands(soon(t), consensus.Epoch{1}, 1)) },
		"commands not held": func() error { return firstError(leads.Commands(soon(t), consensus.Epoch{}, 1)) },
	} {
		wantCallError(t, call, f(), refused)
	}
	if _, err := mosaik.Query(soon(t), leads, declining{}, mosaik.Strong); err != errShort {
		t.Errorf("a query's own error came back as %v", err)
	} else {
		wantOutcome(t, "a query's own error", err, mosaik.Applied)
	}
	if _, err := leads.Execute(soon(t), step{"take", 1 << 40}); !errors.Is(err, errShort) || strings.Contains(err.Error(), "mosaik: ") {
		t.Errorf("a domain error came back as %v", err)
	} else {
		wantOutcome(t, "a domain error", err, mosaik.Applied)
	}
}

// declining is a query with an error of its own.
type declining struct{}

func (declining) Query(*till) (int, error) { return 0, errShort }

// everyCall makes every call that takes a context, and returns their errors.
func everyCall(newContext func() context.Context, g tillGroup) map[string]error {
	w := g.When()
	never := func(consensus.Status) bool { return false }
	calls := map[string]func(ctx context.Context) error{
		"execute":         func(ctx context.Context) error { _, err := mosaik.Execute(ctx, g, pay(1)); return err },
		"untyped execute": func(ctx context.Context) error { _, err := g.Execute(ctx, step{"pay", 1}); return err },
		"execute many": func(ctx context.Context) error {
			_, err := g.ExecuteMany(ctx, step{"pay", 1}, step{"pay", 1})
			return err
		},
		"feed": func(ctx context.Context) error {
			p, err := g.Feed(ctx, step{"pay", 1})
			if err == nil {
				_, err = p.Wait(ctx)
			}
			return err
		},
		"strong query": func(ctx context.Context) error { _, err := mosaik.Query(ctx, g, sum{}, mosaik.Strong); return err },
		"weak query":   func(ctx context.Context) error { _, err := mosaik.Query(ctx, g, sum{}, mosaik.Weak); return err },
		"later query": func(ctx context.Context) error {
			_, err := mosaik.Query(ctx, g, sum{}, mosaik.AtLeast(1000))
			return err
		},
		"commands": func(ctx context.Context) error { return firstError(g.Commands(ctx, consensus.Epoch{}, 1000)) },
		"online":   func(ctx context.Context) error { return w.Online(ctx) },
		"settled":  func(ctx context.Context) error { return w.Settled(ctx) },
		"leading":  func(ctx context.Context) error { _, err := w.Leading(ctx); return err },
		"applied":  func(ctx context.Context) error { return w.Applied(ctx, 1000) },
		"until":    func(ctx context.Context) error { _, err := w.Until(ctx, never); return err },
		"transfer": func(ctx context.Context) error { return g.TransferLeadership(ctx, sm.PeerID{1}) },
		"recover":  func(ctx context.Context) error { return g.Recover(ctx) },
		"yield":    func(ctx context.Context) error { return g.Yield(ctx) },
		"remove":   func(ctx context.Context) error { return g.Remove(ctx, g.Status().Leader) },
	}
	errs := make(map[string]error)
	for name, call := range calls {
		errs[name] = call(newContext())
	}
	return errs
}

func firstError[T any](seq func(func(T, error) bool)) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

func wantCallError(t *testing.T, what string, err error, want []mosaik.Outcome) {
	t.Helper()
	wantPrefix(t, what, err)
	if got := mosaik.OutcomeOf(err); !slices.Contains(want, got) {
		t.Errorf("%s: outcome %v of %v, want one of %v", what, got, err, want)
	}
}

// wantPrefix fails the test unless the error names this package once, at its beginning.
func wantPrefix(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	if text := err.Error(); !strings.HasPrefix(text, "mosaik: ") || strings.Count(text, "mosaik: ") != 1 {
		t.Errorf("%s: %q does not begin with \"mosaik: \", or holds it twice", what, text)
	}
}
