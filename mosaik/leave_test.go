package mosaik_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestLeaveBesideTheDead lets a voter leave while another one is dead. Whether the
// group can let it go or not, Leave returns although its context never ends.
func TestLeaveBesideTheDead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		expected int
		cut      bool // nobody knows whether the other one is dead
		want     error
	}{
		{0, false, nil}, // the dead one is gone for good, so both can go
		{0, true, mosaik.ErrVoteNeeded},
		{3, false, mosaik.ErrVoteNeeded},
		{3, true, mosaik.ErrVoteNeeded},
	} {
		t.Run(fmt.Sprintf("expected %d cut off %v", tc.expected, tc.cut), func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 3)
			groups := electAll(t, c, patient(tc.expected))
			leader := leaderOf(t, c, groups[0])
			others := nodes(c, leader)
			if tc.cut {
				c.Isolate(others[1].Index())
			} else {
				others[1].Crash()
			}
			awaitLost(t, groups[leader.Index()], others[1].Peer())
			awaitLost(t, groups[others[0].Index()], others[1].Peer())
			err := groups[others[0].Index()].Leave(context.Background())
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("leave: %v, want %v", err, tc.want)
			}
		})
	}
}

// TestAllLeaveAtOnce lets all members leave at the same time. No Leave waits for
// the end of its context, and what it returns says that the group did not confirm.
func TestAllLeaveAtOnce(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 5; n++ {
		for _, expected := range []int{0, n} {
			// One after the other: thirty members at once keep a busy machine from electing.
			t.Run(fmt.Sprintf("%d members expected %d", n, expected), func(t *testing.T) {
				c := testutil.NewCluster(t, n)
				groups := electAll(t, c, patient(expected))
				errs := make([]error, n)
				var leaving sync.WaitGroup
				for i, g := range groups {
					leaving.Go(func() { errs[i] = g.Leave(context.Background()) })
				}
				leaving.Wait()
				for i, err := range errs {
					if err == nil {
						continue
					}
					// One without a vote has nothing to be told but that its leader does not answer.
					if n == 1 || errors.Is(err, mosaik.ErrNotStopped) || !strings.Contains(err.Error(), "the group did not confirm") {
						t.Errorf("member %d: %v", i, err)
					}
				}
				t.Log(errs)
			})
		}
	}
}

// stuck is a machine whose commands return when the test lets them.
type stuck struct {
	began   chan struct{}
	release <-chan struct{}
}

func (*stuck) Spec() sm.Spec[string] { return sm.Define[string]("stuck", 1) }

func (s *stuck) Apply(sm.ApplyContext, string) (any, error) {
	s.began <- struct{}{}
	<-s.release
	return nil, nil
}

// TestStuckApply leaves and closes while an Apply does not return: both end in
// bounded time and say so, and what is left ends when it returns.
func TestStuckApply(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for what does not end")
	}
	for _, call := range []string{"leave", "close"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			net, err := mosaik.Open(t.Context(), mosaik.NewNetworkID(t.Name()), mosaik.WithTick(10*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			release := make(chan struct{})
			m := &stuck{began: make(chan struct{}, 1), release: release}
			b := mosaik.WithStateMachine(net.Groups().WithKey(mosaik.RandomKey()), func() *stuck { return m }).
				WithConsensusConfig(fast(mosaik.ConsensusConfig{BootstrapDelay: mosaik.None}))
			g, err := b.Join(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := g.When().Online(soon(t)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			executed := make(chan struct{})
			go func() {
				defer close(executed)
				_, _ = mosaik.Execute(ctx, g, stick("x"))
			}()
			<-m.began
			if call == "leave" {
				ended, end := context.WithCancel(t.Context())
				end()
				err = g.Leave(ended)
			} else {
				err = net.Close()
			}
			wantError(t, call, err, mosaik.ErrNotStopped)
			close(release)
			cancel()
			<-executed
			if call == "leave" {
				defer net.Close()
				// The group's place is free once what was left has ended.
				again, err := b.Join(soon(t))
				if err != nil {
					t.Fatalf("join again: %v", err)
				}
				if err := again.Leave(soon(t)); err != nil {
					t.Errorf("leave again: %v", err)
				}
			}
		})
	}
}

// stick is the command of a stuck machine.
type stick string

func (s stick) AsCommand() string { return string(s) }
func (s stick) ApplyTo(m *stuck, at sm.ApplyContext) (struct{}, error) {
	_, err := m.Apply(at, string(s))
	return struct{}{}, err
}
