package integration_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// followed is what a consumer saw until following ended.
type followed struct {
	indices []sm.Index
	amounts []int64
	err     error
}

// followToTheEnd begins to follow, and tells each command and how it ended.
func followToTheEnd[M sm.StateMachine[step]](ctx context.Context, g *mosaik.Group[step, M], from sm.Index) (each <-chan int64, end <-chan followed) {
	commands, ended := make(chan int64, 1000), make(chan followed, 1)
	applied := g.Commands(ctx, consensus.Epoch{}, from)
	go func() {
		var f followed
		for a, err := range applied {
			if f.err = err; err != nil {
				continue
			}
			f.indices, f.amounts = append(f.indices, a.Cursor.Index), append(f.amounts, a.Command.N)
			commands <- a.Command.N
		}
		ended <- f
	}()
	return commands, ended
}

// lonely makes two members that were apart at birth, each with an epoch of its own.
func lonely(t *testing.T) (*testutil.Cluster, []tillGroup) {
	return lonelyWith(t, func(b tillBuilder) tillBuilder { return b.WithHistory(1 << 20) })
}

// tillBuilder is a builder of a group whose log is in memory.
type tillBuilder = mosaik.GroupBuilder[step, *logstore.Memory[step], *till]

// lonelyWith is lonely with members that are configured otherwise.
func lonelyWith(t *testing.T, configure func(tillBuilder) tillBuilder) (c *testutil.Cluster, groups []tillGroup) {
	c = testutil.NewCluster(t, 2)
	c.Cut(0, 1)
	for i := range 2 {
		n := c.Node(i)
		groups = append(groups, testutil.JoinWith(n, configure(mosaik.WithStateMachine(n.Builder(), newTill)).
			WithMembership(consensus.Policy{}).
			WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None}))))
	}
	for _, g := range groups {
		if err := g.When().Online(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	return c, groups
}

// If a member gives up an epoch with commands, its consumers get ErrOtherEpoch. Consumers in
// the other epoch notice nothing.
func TestAppliedEndsWithItsEpoch(t *testing.T) {
	t.Parallel()
	c, groups := lonely(t)
	stays, yields := groups[0], groups[1]
	ctx := soon(t)
	for n := range int64(3) {
		mustPay(t, stays, n)
		mustPay(t, yields, 10+n)
	}
	_, kept := followToTheEnd(ctx, yields, 1)
	each, end := followToTheEnd(ctx, stays, 2)
	later := yields.Commands(ctx, consensus.Epoch{}, 2) // is ranged over when the epoch has changed
	c.Heal(0, 1)
	for s := range yields.When().Statuses(ctx) {
		if len(s.Diverged) == 1 {
			break
		}
	}
	if err := yields.Yield(ctx); err != nil {
		t.Fatal(err)
	}
	f := <-kept
	wantError(t, "following the epoch that is given up", f.err, mosaik.ErrOtherEpoch)
	if diff := cmp.Diff([]int64{10, 11, 12}, f.amounts); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
	for _, err := range later {
		wantError(t, "beginning to follow the epoch that was given up", err, mosaik.ErrOtherEpoch)
	}
	if mosaik.Retryable(f.err) {
		t.Errorf("%v can be retried", f.err)
	}

	// Both follow the epoch that is left, from its beginning.
	testutil.Settle(t, groups...)
	mustPay(t, yields, 100)
	for i, g := range groups {
		if diff := cmp.Diff([]int64{0, 1, 2, 100}, follow(t, g, 1, 4)); diff != "" {
			t.Errorf("followed on node %d (-want +got):\n%s", i, diff)
		}
	}
	for _, want := range []int64{1, 2, 100} {
		if got := <-each; got != want {
			t.Errorf("on the member that stays, %d follows, want %d", got, want)
		}
	}
	if err := stays.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	wantError(t, "following on the member that stays, in the end", (<-end).err, mosaik.ErrClosed)
}

// If a member gives up an empty epoch, its consumers continue in the other one.
func TestAppliedOutlivesAnEmptyEpoch(t *testing.T) {
	t.Parallel()
	c, groups := lonely(t)
	stays, yields := groups[0], groups[1]
	ctx := soon(t)
	for n := range int64(3) {
		mustPay(t, stays, n)
	}
	each, end := followToTheEnd(ctx, yields, 1)
	before := yields.Status().Epoch
	c.Heal(0, 1)
	for s := range yields.When().Statuses(ctx) {
		if s.Epoch == stays.Status().Epoch {
			break
		}
	}
	testutil.Settle(t, groups...)
	mustPay(t, yields, 3)
	for want := range int64(4) {
		select {
		case got := <-each:
			if got != want {
				t.Errorf("%d follows, want %d", got, want)
			}
		case f := <-end:
			t.Fatalf("following ended with %v after %v", f.err, f.amounts)
		}
	}
	if now := yields.Status().Epoch; now == before || now != stays.Status().Epoch {
		t.Errorf("the member went from epoch %s to %s, want %s", before, now, stays.Status().Epoch)
	}
}

// Consumers on the members whose epoch was recovered elsewhere start again, although the new
// epoch contains what these members applied.
func TestAppliedOfMembersThatWereRecoveredFrom(t *testing.T) {
	t.Parallel()
	c, groups := recording(t, 3, 1<<20)
	ctx := soon(t)
	mustPay(t, groups[0], 1)
	if err := groups[1].When().Applied(ctx, 1); err != nil {
		t.Fatal(err)
	}
	each, end := followToTheEnd(ctx, groups[1], 1)
	c.Isolate(0)
	for s := range groups[0].When().Statuses(ctx) {
		if s.Stalled {
			break
		}
	}
	if _, err := groups[1].When().Until(ctx, ledByOtherThan(c.Node(0).Peer())); err != nil {
		t.Fatal(err)
	}
	mustPay(t, groups[1], 2) // which the recovery gives up
	if err := groups[0].Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if a, b := <-each, <-each; a != 1 || b != 2 {
		t.Errorf("followed %d and %d, want 1 and 2", a, b)
	}
	c.HealAll()
	f := <-end
	wantError(t, "following the epoch that was recovered from", f.err, mosaik.ErrOtherEpoch)
	testutil.Settle(t, groups...)
	mustPay(t, groups[1], 3)
	for i, g := range groups {
		if diff := cmp.Diff([]int64{1, 3}, follow(t, g, 1, 2)); diff != "" {
			t.Errorf("followed on node %d afterwards (-want +got):\n%s", i, diff)
		}
	}
}

// A member that catches up by snapshot skips commands that its consumers wait for. They read
// again and continue.
func TestAppliedBehindASnapshot(t *testing.T) {
	t.Parallel()
	for kind, storage := range storages {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCompacted(t, newKeptTill, storage, testutil.FastConsensus())
			const away = 2
			g, ctx := c.groups[away], soon(t)
			read := func() mosaik.Result[int64] {
				t.Helper()
				got, err := mosaik.Read(ctx, g, mosaik.Strong, func(m *keptTill) (int64, error) { return m.sum, nil })
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			view := read()
			each, end := followToTheEnd(ctx, g, view.Index+1)
			c.pay(c.groups[0])
			c.paid++
			view.Value += <-each
			view.Index++

			before := c.logs[away].state(t).Last.Index
			c.Isolate(away)
			if _, err := c.groups[0].When().Until(ctx, ledByOtherThan(c.Node(away).Peer())); err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				for c.logs[i].state(t).Pruned.Index <= before+10 {
					c.pay(c.groups[i])
					c.paid++
				}
			}
			for i := range 2 {
				c.Drop(i, away) // and with it what waits on the link
			}
			c.Reconnect(away)
			f := <-end
			var behind *consensus.BehindError
			if !errors.As(f.err, &behind) || behind.Index != view.Index+1 || behind.First <= behind.Index {
				t.Fatalf("following ended with %v, want that command %d is not held", f.err, view.Index+1)
			}
			if mosaik.Retryable(f.err) {
				t.Errorf("%v can be retried", f.err)
			}
			view = read()
			each, _ = followToTheEnd(ctx, g, view.Index+1)
			for range 3 {
				c.pay(c.groups[0])
				c.paid++
				view.Value += <-each
			}
			if view.Value != c.paid {
				t.Errorf("the projection holds %d, want %d", view.Value, c.paid)
			}
			c.wantAllPaid()
		})
	}
}

// A consumer of a machine that panicked gets the commands applied before, and then the cause,
// also if it begins after the panic.
func TestAppliedOfAPoisonedMachine(t *testing.T) {
	t.Parallel()
	_, groups := recording(t, 3, 1<<20)
	ctx := soon(t)
	mustPay(t, groups[0], 1)
	mustPay(t, groups[0], 2)
	var ends []<-chan followed
	for _, g := range groups {
		_, end := followToTheEnd(ctx, g, 1)
		ends = append(ends, end)
	}
	// The whole batch counts as not applied here.
	_, err := groups[0].ExecuteMany(ctx, step{"pay", 3}, step{Verb: "blow"}, step{"pay", 4})
	wantError(t, "execute", err, consensus.ErrPoisoned)
	for range 2 {
		for i, end := range ends {
			f := <-end
			wantError(t, "following", f.err, consensus.ErrPoisoned)
			wantMessage(t, "following", f.err, "follow the commands of group "+groups[i].ID().Short(), "apply command 4")
			if diff := cmp.Diff([]int64{1, 2}, f.amounts); diff != "" {
				t.Errorf("followed on node %d (-want +got):\n%s", i, diff)
			}
			_, ends[i] = followToTheEnd(ctx, groups[i], 1)
		}
	}
}

// A consumer of a group that its storage ended gets the applied commands, and then the cause.
func TestAppliedOfAFailedStorage(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	storage := faultyStorage{failAt: new(atomic.Int64)}
	g := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), newTill).
		WithHistory(1<<20).WithLogStorage(storage))
	testutil.Settle(t, g)
	_, end := followToTheEnd(soon(t), g, 1)
	storage.failAt.Store(20)
	var paid []int64
	var err error
	for n := int64(1); err == nil; n++ {
		if _, err = mosaik.Execute(soon(t), g, pay(n)); err == nil {
			paid = append(paid, n)
		}
	}
	f := <-end
	wantError(t, "following", f.err, mosaik.ErrStorage)
	wantError(t, "following", f.err, errDisk)
	if !slices.Equal(f.amounts, paid) {
		t.Errorf("followed %v, and paid %v", f.amounts, paid)
	}
}

// A consumer that begins after a read never continues in another epoch, in which its index
// refers to a different command, however late it begins, and whether or not commands were
// recorded before.
func TestAppliedOfAnotherEpoch(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(tillBuilder) tillBuilder{
		"recorded":     func(b tillBuilder) tillBuilder { return b.WithHistory(1 << 20) },
		"not recorded": func(b tillBuilder) tillBuilder { return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, groups := lonelyWith(t, configure)
			stays, yields := groups[0], groups[1]
			ctx := soon(t)
			for n := range int64(3) {
				mustPay(t, stays, n)
				mustPay(t, yields, 10+n)
			}
			view, err := mosaik.Query(ctx, yields, sum{}, mosaik.Strong)
			if err != nil {
				t.Fatal(err)
			}
			paid, err := mosaik.Execute(ctx, yields, pay(20))
			if err != nil || view.Epoch != yields.Status().Epoch || paid.Epoch != view.Epoch || paid.Index != view.Index+1 {
				t.Fatalf("read %+v, paid %+v in epoch %v, error %v", view, paid, yields.Status().Epoch, err)
			}
			c.Heal(0, 1)
			for s := range yields.When().Statuses(ctx) {
				if len(s.Diverged) == 1 {
					break
				}
			}
			if err := yields.Yield(ctx); err != nil {
				t.Fatal(err)
			}
			testutil.Settle(t, groups...)
			for _, from := range []sm.Index{1, view.Index, view.Index + 1, 100} {
				for a, err := range yields.Commands(ctx, view.Epoch, from) {
					if !errors.Is(err, mosaik.ErrOtherEpoch) {
						t.Errorf("following the other epoch from %d: %+v, error %v", from, a, err)
						break
					}
				}
			}
			// A read again, and following after it.
			if view, err = mosaik.Query(ctx, yields, sum{}, mosaik.Strong); err != nil {
				t.Fatal(err)
			}
			applied := yields.Commands(ctx, view.Epoch, view.Index+1)
			mustPay(t, stays, 100)
			for a, err := range applied {
				if err != nil || a.Command.N != 100 || a.Epoch != view.Epoch || a.Cursor.Index != view.Index+1 {
					t.Errorf("following after the second read: %+v, error %v", a, err)
				}
				break
			}
		})
	}
}
