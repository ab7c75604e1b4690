package integration_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestExecuteOnEveryMember(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	leader := leaderOf(t, c, groups[0])
	for i, g := range groups {
		if got, want := g.IsLeader(), i == leader.Index(); got != want {
			t.Errorf("node %d says %t about leading, want %t", i, got, want)
		}
		if peer := g.Status().Leader; peer != leader.Peer() {
			t.Errorf("node %d says that %s leads, want %s", i, peer.Short(), leader.Peer().Short())
		}
	}
	follower := groups[(leader.Index()+1)%3]
	ctx := soon(t)
	for i, g := range []tillGroup{groups[leader.Index()], follower} {
		if got, want := mustPay(t, g, 5), int64(5); got != want+int64(i) {
			t.Errorf("pay returned the sum %d, want %d", got, want+int64(i))
		}
		got, err := mosaik.Execute(ctx, g, take(4))
		if want := (receipt{Left: 1 + int64(i), Index: sm.Index(3*i + 2)}); err != nil || got.Value != want {
			t.Errorf("take returned %+v, error %v; want %+v", got.Value, err, want)
		}
		got, err = mosaik.Execute(ctx, g, take(100))
		wantError(t, "take too much", err, errShort)
		if mosaik.OutcomeOf(err) == mosaik.NotApplied || got.Value != (receipt{}) {
			t.Errorf("take too much returned %+v, error %v; want the machine's own error alone", got, err)
		}
	}
	if got := follower.AppliedIndex(); got != 6 {
		t.Errorf("the last index is %d, want 6: a command that is declined has one, too", got)
	}
	result, err := follower.Execute(ctx, step{"pay", 1})
	if err != nil || result.Value != int64(3) {
		t.Errorf("the untyped execute returned %v, error %v; want 3", result.Value, err)
	}
	_, err = follower.Execute(ctx, step{Verb: "juggle"})
	if err == nil || err.Error() != `till: unknown verb "juggle"` {
		t.Errorf("the machine's own error came back as %v", err)
	}
	wantSum(t, 3, groups...)
}

func TestBatchesAreContiguousAndAtomic(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	const rounds = 30
	ctx := soon(t)
	done := make(chan struct{})
	var writing, reading sync.WaitGroup
	for _, g := range groups {
		writing.Go(func() {
			for range rounds {
				results, err := g.ExecuteMany(ctx, step{"pay", 7}, step{"take", 1000}, step{"take", 7})
				if err != nil {
					t.Error(err)
					return
				}
				first := results[0].Index
				for i, r := range results {
					if r.Index != first+sm.Index(i) {
						t.Errorf("command %d of the batch at %d has index %d", i, first, r.Index)
					}
				}
				left, _ := results[2].Value.(receipt)
				if results[0].Value != int64(7) || !errors.Is(results[1].Err, errShort) || left != (receipt{0, first + 2}) {
					t.Errorf("the results are %+v", results)
				}
			}
		})
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := mosaik.Query(ctx, g, sum{}, mosaik.Weak)
				if err != nil || got.Value != 0 || got.Index%3 != 0 {
					t.Errorf("a query between commands of a batch: %+v, error %v", got, err)
					return
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	for _, g := range groups {
		got, err := mosaik.Query(ctx, g, sum{}, mosaik.Strong)
		if want := (mosaik.Result[int64]{Value: 0, Index: 3 * 3 * rounds, Epoch: g.Status().Epoch}); err != nil || got != want {
			t.Errorf("in the end %+v, error %v; want %+v", got, err, want)
		}
	}
}

// A follower feeds two single commands, then three at once, and only then waits.
func TestFeedKeepsOrder(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	groups := testutil.JoinAll(c, newTill)
	follower := groups[1-leaderOf(t, c, groups[0]).Index()]
	ctx := soon(t)
	var fed []*mosaik.Pending
	for _, batch := range [][]step{{{"pay", 1}}, {{"pay", 2}}, {{"pay", 3}, {"pay", 4}, {"pay", 5}}} {
		p, err := follower.Feed(ctx, batch...)
		if err != nil {
			t.Fatal(err)
		}
		fed = append(fed, p)
	}
	var got []mosaik.Result[any]
	for i := range fed {
		p := fed[len(fed)-1-i]
		results, err := p.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		got = slices.Concat(results, got)
	}
	epoch := follower.Status().Epoch
	want := []mosaik.Result[any]{
		{Index: 1, Epoch: epoch, Value: int64(1)},
		{Index: 2, Epoch: epoch, Value: int64(3)},
		{Index: 3, Epoch: epoch, Value: int64(6)},
		{Index: 4, Epoch: epoch, Value: int64(10)},
		{Index: 5, Epoch: epoch, Value: int64(15)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	for _, g := range groups {
		if err := g.When().Applied(ctx, 5); err != nil {
			t.Error(err)
		}
	}
	wantHistory(t, []int64{1, 2, 3, 4, 5}, groups...)
}

// Calls of one goroutine are applied in their order, also beside those of others.
func TestConcurrentCallsSumUp(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	const callers, calls = 4, 10
	ctx := soon(t)
	var running sync.WaitGroup
	for i, g := range groups {
		for caller := range callers {
			running.Go(func() {
				var last sm.Index
				for n := range calls {
					mark := int64(1000*(callers*i+caller) + n)
					results, err := g.ExecuteMany(ctx, step{"pay", mark}, step{"pay", -mark})
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := mosaik.Execute(ctx, g, pay(1)); err != nil {
						t.Error(err)
						return
					}
					answer, err := mosaik.Query(ctx, g, sum{}, mosaik.Strong)
					if err != nil {
						t.Error(err)
						return
					}
					if at := results[0].Index; at <= last || answer.Index <= at+1 {
						t.Errorf("a batch at %d after one at %d, then a strong read at %d", at, last, answer.Index)
					}
					last = results[1].Index
				}
			})
		}
	}
	running.Wait()
	wantSum(t, int64(len(groups)*callers*calls), groups...)

	whole, err := mosaik.Query(ctx, groups[0], history{}, mosaik.Strong)
	if err != nil {
		t.Fatal(err)
	}
	for caller := range len(groups) * callers {
		var own, want []int64
		for _, mark := range whole.Value {
			if mark > 1 && mark/1000 == int64(caller) {
				own = append(own, mark)
			}
		}
		for n := range calls {
			if mark := int64(1000*caller + n); mark > 1 {
				want = append(want, mark)
			}
		}
		if diff := cmp.Diff(want, own); diff != "" {
			t.Errorf("order of caller %d's commands (-want +got):\n%s", caller, diff)
		}
	}
	wantHistory(t, whole.Value, groups...)
}

func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinAll(c, newTill)[0]
	_, err := g.ExecuteMany(t.Context())
	wantError(t, "execute nothing", err, mosaik.ErrInvalid)
	_, err = g.Feed(t.Context())
	wantError(t, "feed nothing", err, mosaik.ErrInvalid)
	_, err = g.Execute(t.Context(), step{Verb: string(make([]byte, 5<<20))})
	wantError(t, "execute 5 MB", err, mosaik.ErrTooLarge)
	_, err = g.Execute(t.Context(), step{Verb: string(make([]byte, codec.MaxSize))})
	wantError(t, "execute more than a codec encodes", err, mosaik.ErrInvalid)
	wantError(t, "execute more than a codec encodes", err, codec.ErrTooLarge)
	_, err = mosaik.Query(t.Context(), g, sum{}, 0)
	wantError(t, "query of no consistency", err, mosaik.ErrInvalid)
	wantMessage(t, "query of no consistency", err, "mosaik: query group "+g.ID().Short()+": ", "unknown consistency(0); use Strong, Weak or AtLeast")
	if got := g.AppliedIndex(); got != 0 {
		t.Errorf("%d commands were applied, want none", got)
	}
	mustPay(t, g, 1)
}

func TestReadAtLeast(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	ctx := soon(t)
	for i := range 30 {
		writer, reader := groups[i%3], groups[(i+1)%3]
		paid, err := mosaik.Execute(ctx, writer, pay(1))
		if want := (mosaik.Result[int64]{Value: int64(i + 1), Index: sm.Index(2*i + 1), Epoch: writer.Status().Epoch}); err != nil || paid != want {
			t.Fatalf("pay: %+v, error %v; want %+v", paid, err, want)
		}
		got, err := mosaik.Query(ctx, reader, sum{}, mosaik.AtLeast(paid.Index))
		if err != nil || got != paid {
			t.Errorf("another member reads %+v, error %v; want %+v", got, err, paid)
		}
		declined, err := mosaik.Execute(ctx, writer, take(1000))
		wantError(t, "take too much", err, errShort)
		if declined.Index != paid.Index+1 {
			t.Errorf("a declined command has index %d, want %d", declined.Index, paid.Index+1)
		}
	}

	// A read at a command that is still to come waits for it.
	const next sm.Index = 61
	short, cancel := context.WithTimeoutCause(ctx, time.Millisecond, errShort)
	defer cancel()
	_, err := mosaik.Query(short, groups[0], sum{}, mosaik.AtLeast(next))
	wantError(t, "read of what is not there", err, errShort)
	type reading struct {
		answer mosaik.Result[int64]
		err    error
	}
	read := make(chan reading)
	go func() {
		answer, err := mosaik.Query(ctx, groups[0], sum{}, mosaik.AtLeast(next))
		read <- reading{answer, err}
	}()
	mustPay(t, groups[1], 1)
	if got := <-read; got.err != nil || got.answer != (mosaik.Result[int64]{Value: 31, Index: next, Epoch: groups[0].Status().Epoch}) {
		t.Errorf("the read at %d returned %+v, error %v", next, got.answer, got.err)
	}

	go func() {
		_, err := mosaik.Query(ctx, groups[0], sum{}, mosaik.AtLeast(next+1))
		read <- reading{err: err}
	}()
	if err := groups[0].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	wantError(t, "read in a group that is left", (<-read).err, mosaik.ErrClosed)
}

func TestConsistencyString(t *testing.T) {
	t.Parallel()
	for c, want := range map[mosaik.Consistency]string{
		mosaik.Strong: "strong", mosaik.Weak: "weak", mosaik.AtLeast(0): "at least 0", mosaik.AtLeast(7): "at least 7",
	} {
		if got := c.String(); got != want {
			t.Errorf("%d is written %q, want %q", uint64(c), got, want)
		}
	}
}
