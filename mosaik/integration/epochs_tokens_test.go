package integration_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// wantToken waits until one of the handles leads with a token above the given one, and
// returns its token.
func wantToken(t *testing.T, above uint64, groups ...tillGroup) uint64 {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	found := make(chan uint64, len(groups))
	for _, g := range groups {
		watching.Go(func() {
			for range g.When().Statuses(ctx) {
				if lead, ok := g.Leadership(); ok && lead.Token > above {
					found <- lead.Token
					return
				}
			}
		})
	}
	select {
	case got := <-found:
		return got
	case <-ctx.Done():
		t.Fatalf("nobody leads with a token above %d", above)
		return 0
	}
}

// TestTokensOfAGroupThatFormsAgain lets a memory group change its leader some times,
// ends all its members at once, and has others form the group again. Tokens grow; where
// the clock went back, the floor sees to that.
func TestTokensOfAGroupThatFormsAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		skew  time.Duration
		floor bool
	}{
		{"clock goes on", 0, false},
		{"clock ahead", time.Hour, false},
		{"clock behind, with a floor", -time.Hour, true},
		{"clock at zero, with a floor", -time.Duration(time.Now().UnixNano()), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var skew atomic.Int64
			c := testutil.NewCluster(t, 3, testutil.WithNodeOptions(func(int) []mosaik.Option {
				return []mosaik.Option{withClock(func() time.Time { return time.Now().Add(time.Duration(skew.Load())) })}
			}))
			var floor uint64
			join := func() (groups []tillGroup) {
				for i := range 3 {
					n := c.Node(i)
					b := mosaik.WithStateMachine(n.Builder(), newTill)
					if test.floor {
						b = b.WithTokenFloor(floor)
					}
					groups = append(groups, testutil.JoinWith(n, b))
				}
				testutil.Settle(t, groups...)
				return groups
			}
			groups := join()
			last := wantToken(t, 0, groups...)
			for range 3 {
				for _, g := range groups {
					if g.IsLeader() {
						if err := g.TransferLeadership(soon(t), sm.PeerID{}); err != nil {
							t.Fatal(err)
						}
						break
					}
				}
				next := wantToken(t, 0, groups...)
				if next <= last {
					t.Errorf("the token of the next leader is %d, after %d", next, last)
				}
				last = next
			}
			for i := range 3 {
				c.Node(i).Crash()
			}
			floor = last
			skew.Store(int64(test.skew))
			for i := range 3 {
				c.Node(i).Restart()
			}
			if next := wantToken(t, 0, join()...); next <= last {
				t.Errorf("the token of the group that formed again is %d, after %d", next, last)
			}
		})
	}
}

// TestTokenFloorOfALivingGroup has members with a floor join a group whose tokens are
// lower: the leader then has a token above the floor, and so has each later leader.
func TestTokenFloorOfALivingGroup(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	join := func(i int, floor uint64) tillGroup {
		return testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(c.Node(i).Builder(), newTill).WithTokenFloor(floor))
	}
	groups := []tillGroup{join(0, 0), join(1, 0), join(2, 0)}
	testutil.Settle(t, groups...)
	floor := wantToken(t, 0, groups...) + 1_000_000_000
	for i := range groups {
		c.Node(i).Crash()
		c.Node(i).Restart()
		groups[i] = join(i, floor)
		testutil.Settle(t, groups...)
		wantToken(t, floor, groups...)
	}
}

// TestTokensOfEpochsThatMerge has two members form a group apart, one of them with a
// clock that is ahead. When they have met, the token is above both, although the epoch
// with the lower one remains.
func TestTokensOfEpochsThatMerge(t *testing.T) {
	t.Parallel()
	for ahead := range 2 {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 2, testutil.WithNodeOptions(func(i int) []mosaik.Option {
				skew := time.Duration(0)
				if i == ahead {
					skew = time.Hour
				}
				return []mosaik.Option{withClock(func() time.Time { return time.Now().Add(skew) })}
			}))
			c.Cut(0, 1)
			groups := []tillGroup{joinLone(c.Node(0), time.Minute), joinLone(c.Node(1), time.Minute)}
			highest := max(wantToken(t, 0, groups[0]), wantToken(t, 0, groups[1]))
			mustPay(t, groups[1-ahead], 1) // so that the other epoch yields
			c.Heal(0, 1)
			testutil.Settle(t, groups...)
			wantToken(t, highest, groups...)
		})
	}
}
