package integration_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// caller is a till that calls its own group from Apply.
type caller struct {
	till
	call *atomic.Pointer[func()]
}

// Apply calls what the test gave, then applies the command.
func (c *caller) Apply(at sm.ApplyContext, s step) (any, error) {
	if call := c.call.Swap(nil); call != nil {
		(*call)()
	}
	return c.till.Apply(at, s)
}

// A machine that calls its own group, which waits for it, gets an error in place of a
// deadlock, and nothing else happens.
func TestApplyCallsItsGroup(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	call := new(atomic.Pointer[func()])
	g := testutil.JoinAll(c, func() *caller { return &caller{call: call} })[0]
	network := c.Node(0).Net()
	ctx := context.Background()
	for what, try := range map[string]func() error{
		"execute":      func() error { _, err := g.Execute(ctx, step{"pay", 100}); return err },
		"execute many": func() error { _, err := g.ExecuteMany(ctx, step{"pay", 100}); return err },
		"feed":         func() error { _, err := g.Feed(ctx, step{"pay", 100}); return err },
		"weak read": func() error {
			_, err := mosaik.Read(ctx, g, mosaik.Weak, func(*caller) (int, error) { return 0, nil })
			return err
		},
		"strong read": func() error {
			_, err := mosaik.Read(ctx, g, mosaik.Strong, func(*caller) (int, error) { return 0, nil })
			return err
		},
		"wait":     func() error { return g.When().Applied(ctx, 1000) },
		"recover":  func() error { return g.Recover(ctx) },
		"yield":    func() error { return g.Yield(ctx) },
		"transfer": func() error { return g.TransferLeadership(ctx, sm.PeerID{}) },
		"remove":   func() error { return g.Remove(ctx, sm.PeerID{1}) },
		"leave":    func() error { return g.Leave(ctx) },
		"close":    network.Close,
	} {
		var got error
		f := func() { got = try() }
		call.Store(&f)
		if _, err := g.Execute(soon(t), step{"pay", 1}); err != nil {
			t.Fatalf("%s: the command whose Apply calls: %v", what, err)
		}
		if !errors.Is(got, mosaik.ErrInvalid) || mosaik.Retryable(got) {
			t.Errorf("%s in Apply: error %v, want %v", what, got, mosaik.ErrInvalid)
		}
		if text := got.Error(); strings.Count(text, "mosaik: ") != 1 {
			t.Errorf("%s in Apply: %q", what, text)
		}
	}
	got, err := mosaik.Read(soon(t), g, mosaik.Strong, func(m *caller) (int64, error) { return m.sum, nil })
	if err != nil || got.Value != 12 || got.Index != 12 {
		t.Errorf("then the till holds %+v, error %v; want 12 commands", got, err)
	}
	if s := g.Status(); s.Ended != nil || !s.Online {
		t.Errorf("then the status is %+v", s)
	}
}

// While an Apply runs, calls that other goroutines make are no calls of the machine.
func TestOthersCallDuringApply(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	call := new(atomic.Pointer[func()])
	g := testutil.JoinAll(c, func() *caller { return &caller{call: call} })[0]
	ended, end := context.WithCancel(t.Context())
	end() // so that nothing waits for the Apply, which waits for it
	read := func(*caller) (int, error) { return 0, nil }
	for what, try := range map[string]func() error{
		"execute":      func() error { _, err := g.Execute(ended, step{"pay", 100}); return err },
		"execute many": func() error { _, err := g.ExecuteMany(ended, step{"pay", 100}); return err },
		"weak read":    func() error { _, err := mosaik.Read(ended, g, mosaik.Weak, read); return err },
		"strong read":  func() error { _, err := mosaik.Read(ended, g, mosaik.Strong, read); return err },
		"wait":         func() error { return g.When().Applied(ended, 1000) },
	} {
		got := make(chan error, 1)
		f := func() {
			other := make(chan error)
			go func() { other <- try() }()
			got <- <-other
		}
		call.Store(&f)
		if _, err := g.Execute(soon(t), step{"pay", 1}); err != nil {
			t.Fatalf("%s: the command during which others call: %v", what, err)
		}
		if err := <-got; !errors.Is(err, context.Canceled) || errors.Is(err, mosaik.ErrInvalid) {
			t.Errorf("%s during an Apply: error %v, want %v", what, err, context.Canceled)
		}
	}
}
