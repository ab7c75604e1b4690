package integration_test

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// readOwn reads at the index on the member, again while the error is retryable.
// The till must hold as much as it has applied payments of 1, and those up to the
// index at least.
func readOwn(ctx context.Context, t *testing.T, g tillGroup, index sm.Index) {
	t.Helper()
	for {
		got, err := mosaik.Query(ctx, g, sum{}, mosaik.AtLeast(index))
		if mosaik.Retryable(err) && ctx.Err() == nil {
			continue
		}
		if err != nil || got.Index < index || got.Value != int64(got.Index) {
			t.Errorf("a read at %d returned %+v, error %v", index, got, err)
		}
		return
	}
}

// One reads one's own writes, from whichever member, while the lead is handed on,
// its holder is cut off, crashes and comes back empty.
func TestReadAtLeastAcrossLeaders(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	testutil.Settle(t, groups...)
	ctx := soon(t)
	leader := leaderOf(t, c, groups[0])
	restarted, writer := leader, (leader.Index()+1)%3 // which is never taken down

	written := make(chan sm.Index)
	stop := make(chan struct{})
	var working sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		working.Wait()
	})
	defer end()
	working.Go(func() {
		defer close(written)
		for {
			paid, err := mosaik.Execute(ctx, groups[writer], pay(1))
			if (mosaik.Retryable(err) || mosaik.OutcomeOf(err) == mosaik.Unknown) && ctx.Err() == nil {
				continue
			}
			if err != nil || paid.Value != int64(paid.Index) {
				t.Errorf("pay: %+v, error %v", paid, err)
				return
			}
			select {
			case written <- paid.Index:
			case <-stop:
				return
			}
		}
	})
	others := []tillGroup{groups[writer], groups[(writer+1)%3]}
	readSome := func() {
		t.Helper()
		for range 20 {
			index := <-written
			for _, g := range others {
				readOwn(ctx, t, g, index)
			}
		}
	}
	readSome()
	c.Isolate(restarted.Index())
	readSome()
	newLeader(t, c, groups[writer], restarted)
	readSome()
	restarted.Crash()
	c.HealAll()
	readSome()
	restarted.Restart()
	index := <-written
	back := joinThree(restarted)
	readOwn(ctx, t, back, index) // it has applied nothing yet
	others = append(others, back)
	readSome()
	testutil.Settle(t, append(others[:2:2], back)...)
	for _, g := range others {
		if g.IsLeader() {
			if err := g.TransferLeadership(ctx, sm.PeerID{}); err != nil {
				t.Fatal(err)
			}
		}
		readSome()
	}
	end()
}

// witness remembers what it was told about each of its commands.
type witness struct {
	Moments  []moment
	restored bool
}

type moment struct {
	Index sm.Index
	Term  sm.Term
	Now   time.Time
	Drawn [2]uint64
}

func newWitness() *witness { return &witness{} }

func (*witness) Spec() sm.Spec[step] { return sm.Define[step]("witness", 1) }

func (w *witness) Apply(at sm.ApplyContext, _ step) (any, error) {
	draw := at.Rand()
	m := moment{at.Index(), at.Term(), at.Now(), [2]uint64{draw.Uint64(), draw.Uint64()}}
	w.Moments = append(w.Moments, m)
	return m, nil
}

func (w *witness) Snapshot(to io.Writer) error { return json.NewEncoder(to).Encode(w) }
func (w *witness) Restore(from io.Reader) error {
	*w = witness{restored: true}
	return json.NewDecoder(from).Decode(w)
}

// A command's ApplyContext is the same on every member, also on those that got a snapshot, and
// time never goes back, whichever member proposes and leads.
func TestMachinesAreToldTheSame(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	join := func(n *testutil.Node) *mosaik.Group[step, *witness] {
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newWitness).WithMembership(three).WithSnapshots(40, 1<<30))
	}
	groups := []*mosaik.Group[step, *witness]{join(c.Node(0)), join(c.Node(1)), join(c.Node(2))}
	testutil.Settle(t, groups...)
	ctx := soon(t)
	const callers, batches = 4, 25
	var last sm.Index
	// write lets all members propose at the same time.
	write := func(groups ...*mosaik.Group[step, *witness]) {
		t.Helper()
		var writing sync.WaitGroup
		for _, g := range groups {
			for range callers {
				writing.Go(func() {
					for range batches {
						results, err := g.ExecuteMany(ctx, step{}, step{})
						if err != nil {
							t.Error(err)
							return
						}
						first, second := results[0].Value.(moment), results[1].Value.(moment)
						if !first.Now.Equal(second.Now) || first.Drawn == second.Drawn {
							t.Errorf("two commands of a batch were told %+v and %+v", first, second)
						}
					}
				})
			}
		}
		writing.Wait()
		last += sm.Index(len(groups) * callers * batches * 2)
	}
	write(groups...)
	leader := leaderOf(t, c, groups[0])
	rest := without(groups, leader)
	leader.Crash()
	newLeader(t, c, rest[0], leader)
	write(rest...)
	leader.Restart()
	groups = append(rest, join(leader), join(c.Add())) // by snapshot
	testutil.Settle(t, groups...)
	write(groups...)

	var want []moment
	for i, g := range groups {
		got, err := mosaik.Read(ctx, g, mosaik.AtLeast(last), func(w *witness) ([]moment, error) {
			if w.restored != (i >= 2) {
				t.Errorf("member %d got a snapshot: %t", i, w.restored)
			}
			return w.Moments, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = got.Value
		}
		if diff := cmp.Diff(want, got.Value); diff != "" {
			t.Errorf("what member %d was told (-first +this):\n%s", i, diff)
		}
	}
	drawn := map[[2]uint64]bool{}
	for i, m := range want {
		if m.Index != sm.Index(i+1) || drawn[m.Drawn] || i > 0 && (m.Now.Before(want[i-1].Now) || m.Term < want[i-1].Term) {
			t.Errorf("%+v follows %+v", m, want[max(0, i-1)])
		}
		drawn[m.Drawn] = true
	}
	if want[0].Term == want[len(want)-1].Term {
		t.Error("all commands are of one term")
	}
}
