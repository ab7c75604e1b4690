package integration_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// follow returns the commands from an index on, n of them, as a till remembers
// them, and fails the test unless their indices are dense.
func follow(t testing.TB, g tillGroup, from sm.Index, n int) (done []int64) {
	t.Helper()
	next := max(from, 1)
	for a, err := range g.Commands(soon(t), consensus.Epoch{}, from) {
		if err != nil {
			t.Errorf("following from %d, after %d commands: %v", from, len(done), err)
			return done
		}
		if a.Cursor.Index != next || a.Cursor.Term == 0 || a.Time.IsZero() {
			t.Errorf("followed %s of %s, want index %d", a.Cursor, a.Time, next)
		}
		next++
		amount := a.Command.N
		if a.Command.Verb == "take" {
			amount = -amount
		}
		if done = append(done, amount); len(done) == n {
			break
		}
	}
	return done
}

// recording starts a group of n whose members keep so many bytes of commands from
// joining on.
func recording(t testing.TB, n, size int) (c *testutil.Cluster, groups []tillGroup) {
	t.Helper()
	c = testutil.NewCluster(t, n)
	for _, node := range nodes(c, nil) {
		groups = append(groups, testutil.JoinWith(node, mosaik.WithStateMachine(node.Builder(), newTill).WithHistory(size)))
	}
	testutil.Settle(t, groups...)
	return c, groups
}

// Every member's followers see what its machine saw, while a leader is lost and
// commands are sent again.
func TestAppliedAcrossLeaders(t *testing.T) {
	t.Parallel()
	c, groups := recording(t, 3, 1<<20)
	leader := leaderOf(t, c, groups[0])
	rest := without(groups, leader)
	const each = 60
	followed := make([][]int64, 4)
	var all sync.WaitGroup
	for i := range followed {
		all.Go(func() { followed[i] = follow(t, rest[i%2], 0, 2*3*each) })
	}
	half := make(chan struct{}, 2)
	for i, g := range rest {
		all.Go(func() {
			for k := range each {
				n := int64(1000*i + k + 1)
				if _, err := g.ExecuteMany(soon(t), step{"pay", n}, step{"pay", n}, step{"take", n}); err != nil {
					t.Error(err)
				}
				if k == each/2 {
					half <- struct{}{}
				}
			}
		})
	}
	<-half
	leader.Crash()
	all.Wait()
	for _, done := range followed {
		wantHistory(t, done, rest...)
	}
	if got := follow(t, rest[0], 101, 260); !cmp.Equal(got, followed[0][100:]) {
		t.Errorf("followed from 101 on:\n%s", cmp.Diff(followed[0][100:], got))
	}
}

// A projection reads, follows, falls behind and reads again.
func TestAppliedBehind(t *testing.T) {
	t.Parallel()
	_, groups := recording(t, 1, 4<<10)
	g := groups[0]
	mustPay(t, g, 1)
	var last sm.Index
	var behind *consensus.BehindError
	for a, err := range g.Commands(soon(t), consensus.Epoch{}, 1) {
		if err != nil {
			if !errors.As(err, &behind) {
				t.Fatal(err)
			}
			break
		}
		if last = a.Cursor.Index; last > 1 {
			t.Fatalf("followed command %d, although so much came after command 1", last)
		}
		for range 200 { // while this consumer does something else
			mustPay(t, g, 1)
		}
	}
	if behind == nil || behind.Index != 2 || behind.First <= 2 || behind.First > 201 {
		t.Fatalf("the consumer fell behind with %+v", behind)
	}
	answer, err := mosaik.Query(soon(t), g, sum{}, mosaik.Weak)
	if err != nil {
		t.Fatal(err)
	}
	total := answer.Value
	mustPay(t, g, 5)
	mustPay(t, g, 6)
	for _, n := range follow(t, g, answer.Index+1, 2) {
		total += n
	}
	wantSum(t, total, g)
}

// Nothing is kept before somebody follows.
func TestAppliedBeginsToRecord(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinAll(c, newTill)[0]
	mustPay(t, g, 1)
	for _, err := range g.Commands(soon(t), consensus.Epoch{}, 0) {
		var behind *consensus.BehindError
		if !errors.As(err, &behind) || *behind != (consensus.BehindError{Index: 1, First: 2}) {
			t.Errorf("following what was not kept: %v", err)
		}
	}
	mustPay(t, g, 2)
	if diff := cmp.Diff([]int64{2}, follow(t, g, 2, 1)); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
}

// asked is a context that tells when somebody first asks whether it ended.
type asked struct {
	context.Context
	tell func()
}

func (a asked) Err() error {
	a.tell()
	return a.Context.Err()
}

func TestAppliedEnds(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	n := c.Node(0)
	g := testutil.JoinAll(c, newTill)[0]
	other := testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill))
	mustPay(t, g, 1)

	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(soon(t))
	wantEnd := func(name string, ctx context.Context, g tillGroup, want error, end func()) {
		t.Helper()
		ended := make(chan error, 1)
		waits := make(chan struct{})
		go func() {
			var last error
			for _, err := range g.Commands(asked{ctx, sync.OnceFunc(func() { close(waits) })}, consensus.Epoch{}, 2) {
				last = err
			}
			ended <- last
		}()
		<-waits // for a command that nobody executes
		end()
		wantError(t, name, <-ended, want)
	}
	wantEnd("a context that ends", ctx, g, why, func() { cancel(why) })
	wantEnd("a handle that is closed", soon(t), other, mosaik.ErrClosed, func() {
		if err := other.Leave(soon(t)); err != nil {
			t.Error(err)
		}
	})
	for _, err := range other.Commands(soon(t), consensus.Epoch{}, 1) {
		wantError(t, "a closed handle", err, mosaik.ErrClosed)
	}
	wantEnd("a network that closes", soon(t), g, mosaik.ErrClosed, n.Close)
}

// Consumers on the member that recovers a group continue.
func TestAppliedOfARecoveredGroup(t *testing.T) {
	t.Parallel()
	c, groups := recording(t, 3, 1<<20)
	mustPay(t, groups[0], 1)
	mustPay(t, groups[0], 2)
	ctx := soon(t)
	followed := make(chan []int64)
	go func() { followed <- follow(t, groups[0], 1, 3) }()
	c.Node(1).Crash()
	c.Node(2).Crash()
	for s := range groups[0].When().Statuses(ctx) {
		if s.Stalled {
			break
		}
	}
	if err := groups[0].Recover(ctx); err != nil {
		t.Fatal(err)
	}
	mustPay(t, groups[0], 3)
	if diff := cmp.Diff([]int64{1, 2, 3}, <-followed); diff != "" {
		t.Errorf("followed across a recovery (-want +got):\n%s", diff)
	}
}
