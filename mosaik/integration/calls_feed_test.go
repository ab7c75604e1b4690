package integration_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// Batches that are fed while the leader crashes, and awaited only then, are
// applied once, whole and in order.
func TestFeedAcrossLeaders(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	ctx := soon(t)
	leader := leaderOf(t, c, groups[0])
	rest := without(groups, leader)
	a := newAudit(t, three)
	const batches, size = 150, 3
	var feeding, begun sync.WaitGroup
	begun.Add(len(rest))
	crashed := make(chan struct{})
	for i, g := range rest {
		feeding.Go(func() {
			isUnderWay := sync.OnceFunc(begun.Done)
			defer isUnderWay()
			number := int64(i+1) << 32
			fed := make([]*mosaik.Pending, batches)
			for n := range fed {
				var batch []step
				for range size {
					number++
					batch = append(batch, step{"pay", number})
				}
				var err error
				if fed[n], err = g.Feed(ctx, batch...); err != nil {
					t.Errorf("feed batch %d: %v", n, err)
					return
				}
				switch n {
				case batches / 3:
					if _, err := fed[0].Wait(ctx); err != nil { // some have an outcome, and some are in flight
						t.Error(err)
					}
					isUnderWay()
				case batches * 2 / 3:
					<-crashed
				}
			}
			var last sm.Index
			for n, p := range fed {
				results, err := p.Wait(ctx)
				for k := range size {
					a.note(number-int64(size*(batches-n)-1-k), err)
				}
				if err != nil {
					continue
				}
				if len(results) != size || results[0].Index <= last || results[size-1].Index != results[0].Index+size-1 {
					t.Errorf("batch %d has %+v, behind index %d", n, results, last)
				}
				last = results[0].Index
			}
		})
	}
	begun.Wait()
	leader.Crash()
	close(crashed)
	feeding.Wait()
	if told := a.fates(); told[applied] < len(rest)*batches*size/2 {
		t.Errorf("unknown, applied and refused commands: %v", told)
	}
	for i, g := range rest {
		mustPay(t, g, 0) // behind all that was fed
		got, err := mosaik.Query(ctx, g, payments{}, mosaik.Strong)
		if err != nil {
			t.Fatal(err)
		}
		a.check(i, got.Value)
		if len(got.Value)%size != 0 {
			t.Errorf("node %d applied %d commands of batches of %d", i, len(got.Value), size)
		}
	}
}

// Feed blocks while the queue is full, until there is room or the context ends. Batches that
// were queued are applied in their order, the others are not applied.
func TestFeedWaitsForRoom(t *testing.T) {
	t.Parallel()
	g, entered, open := newGated(t)
	ctx := soon(t)
	if _, err := g.Feed(ctx, step{Verb: "wait"}); err != nil {
		t.Fatal(err)
	}
	<-entered
	const size, highest = 500, 1 << 20
	var want []int64
	var number int64
	feed := func(ctx context.Context) (*mosaik.Pending, error) {
		batch := make([]step, size)
		for i := range batch {
			number++
			batch[i] = step{"pay", number}
		}
		p, err := g.Feed(ctx, batch...)
		if err == nil {
			for _, s := range batch {
				want = append(want, s.N)
			}
		}
		return p, err
	}
	for full := false; !full; {
		short, cancel := context.WithTimeoutCause(ctx, 50*time.Millisecond, errGivenUp)
		_, err := feed(short)
		cancel()
		if full = err != nil; full {
			wantOutcome(t, "feed to a full queue", err, mosaik.NotApplied)
			wantError(t, "feed to a full queue", err, errGivenUp)
		}
		if len(want) > highest {
			t.Fatalf("%d commands are queued, and there still is room", len(want))
		}
	}
	if len(want) == 0 {
		t.Fatal("there is no room in an empty queue")
	}

	last := make(chan *mosaik.Pending)
	go func() {
		var p *mosaik.Pending
		for range 3 { // they wait for room one after the other
			var err error
			if p, err = feed(ctx); err != nil {
				t.Errorf("feed to a queue that gets room: %v", err)
			}
		}
		last <- p
	}()
	open <- struct{}{}
	results, err := (<-last).Wait(ctx)
	if err != nil || len(results) != size {
		t.Fatalf("the last batch ended with %d results, error %v", len(results), err)
	}
	got, err := mosaik.Read(ctx, g, mosaik.Strong, func(m *gated) ([]int64, error) { return slices.Clone(m.done), nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Value); diff != "" {
		t.Errorf("applied (-fed +got):\n%s", diff)
	}
}
