package integration_test

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// bystander is a second group on the nodes of a cluster, which must not notice
// what happens to the first.
func bystander(t *testing.T, c *testutil.Cluster) func() {
	t.Helper()
	key := mosaik.RandomKey()
	var groups []tillGroup
	for i := range c.Len() {
		n := c.Node(i)
		groups = append(groups, testutil.JoinWith(n, mosaik.WithStateMachine(n.Net().Groups().WithKey(key).
			WithConsensusConfig(testutil.FastConsensus()).
			WithMembership(consensus.Policy{Expected: c.Len()}), newTill)))
	}
	testutil.Settle(t, groups...)
	var paid int64
	return func() {
		t.Helper()
		for _, g := range groups {
			mustPay(t, g, 1)
			paid++
		}
		wantSum(t, paid, groups...)
	}
}

// A command that panics, or ends its goroutine, poisons its group on every member
// that applies it, and nothing else.
func TestPanicPoisonsItsGroupOnly(t *testing.T) {
	t.Parallel()
	for verb, says := range map[string]string{"blow": "the till blew up", "exit": "runtime.Goexit was called"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			testPoison(t, verb, says)
		})
	}
}

func testPoison(t *testing.T, verb, says string) {
	c := testutil.NewCluster(t, 3)
	works := bystander(t, c)
	groups := testutil.JoinAll(c, newTill)
	mustPay(t, groups[0], 1)
	_, err := groups[0].Execute(soon(t), step{Verb: verb})
	wantError(t, "execute", err, consensus.ErrPoisoned)
	wantMessage(t, "execute", err, "apply command 2", says)
	for i, g := range groups {
		if _, err := g.When().Until(soon(t), offline); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
		wantError(t, "wait until it is online", g.When().Online(soon(t)), consensus.ErrPoisoned)
		wantError(t, "wait until it settles", g.When().Settled(soon(t)), consensus.ErrPoisoned)
		_, err := mosaik.Execute(soon(t), g, pay(1))
		wantError(t, "execute afterwards", err, consensus.ErrPoisoned)
		_, err = g.Feed(soon(t), step{"pay", 1})
		wantError(t, "feed afterwards", err, consensus.ErrPoisoned)
		_, err = mosaik.Query(soon(t), g, sum{}, mosaik.Weak)
		wantError(t, "weak read afterwards", err, consensus.ErrPoisoned)
		_, err = mosaik.Query(soon(t), g, sum{}, mosaik.Strong)
		wantError(t, "strong read afterwards", err, consensus.ErrPoisoned)
		if got := g.AppliedIndex(); got != 1 {
			t.Errorf("node %d has applied %d commands, want 1", i, got)
		}
	}
	works()
}

// fragile panics where and when it is broken, as a machine that is not
// deterministic may.
type fragile struct {
	till
	broken *atomic.Bool
}

func (f *fragile) Apply(at sm.ApplyContext, s step) (any, error) {
	if f.broken.Load() {
		panic("broken")
	}
	return f.till.Apply(at, s)
}

// A member whose machine panicked hands on the lead, and the others go on.
func TestPoisonedLeaderHandsOver(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	var groups []*mosaik.Group[step, *fragile]
	breaks := make([]atomic.Bool, 3)
	for i := range 3 {
		groups = append(groups, testutil.Join(c.Node(i), func() *fragile { return &fragile{broken: &breaks[i]} }))
	}
	testutil.Settle(t, groups...)
	broken := leaderOf(t, c, groups[0]).Index()
	breaks[broken].Store(true)
	_, err := groups[broken].Execute(soon(t), step{"pay", 1})
	wantError(t, "execute on the broken member", err, consensus.ErrPoisoned)
	rest := without(groups, c.Node(broken))
	newLeader(t, c, rest[0], c.Node(broken))
	for i, g := range rest {
		got, err := g.Execute(soon(t), step{"pay", 1})
		if want := int64(i + 2); err != nil || got.Value != want {
			t.Errorf("pay on a member in health: %v, error %v; want %d", got, err, want)
		}
	}
}

func TestPanicInAQueryIsAnError(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinAll(c, newTill)[0]
	for _, consistency := range []mosaik.Consistency{mosaik.Weak, mosaik.Strong} {
		_, err := mosaik.Read(soon(t), g, consistency, func(*till) (int, error) { panic("what a question") })
		if err == nil || !strings.Contains(err.Error(), "query "+module+"/mosaik/integration_test.TestPanicInAQueryIsAnError.func1: what a question") {
			t.Errorf("%v query that panics: %v", consistency, err)
		}
		if errors.Is(err, consensus.ErrPoisoned) {
			t.Errorf("a query poisoned the group: %v", err)
		}
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_, err := mosaik.Read(soon(t), g, mosaik.Weak, func(*till) (int, error) { runtime.Goexit(); return 0, nil })
		t.Errorf("a query that ends its goroutine came back with %v", err)
	}()
	<-exited
	mustPay(t, g, 1)
	wantSum(t, 1, g)
}

// A storage that fails stops its group on its member, with the cause, and
// nothing else.
func TestFailingStorageStopsItsGroup(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	works := bystander(t, c)
	storages := []faultyStorage{{failAt: new(atomic.Int64)}, {failAt: new(atomic.Int64)}, {failAt: new(atomic.Int64)}}
	var groups []tillGroup
	for i, storage := range storages {
		groups = append(groups, testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(c.Node(i).Builder(), newTill).WithLogStorage(storage)))
	}
	testutil.Settle(t, groups...)
	ctx := soon(t)
	storages[0].failAt.Store(10)
	var err error
	for err == nil {
		_, err = mosaik.Execute(ctx, groups[0], pay(1))
	}
	wantError(t, "execute on the broken storage", err, errDisk)
	wantError(t, "execute on the broken storage", err, mosaik.ErrStorage)
	_, err = mosaik.Execute(ctx, groups[0], pay(1))
	wantError(t, "execute afterwards", err, errDisk)
	wantOutcome(t, "execute afterwards", err, mosaik.NotApplied)
	if _, err := groups[0].When().Until(ctx, ended); err != nil {
		t.Error(err)
	}
	err = groups[0].When().Online(ctx)
	wantError(t, "wait afterwards", err, errDisk)
	_, err = mosaik.Query(ctx, groups[0], sum{}, mosaik.Weak)
	wantError(t, "weak read afterwards", err, errDisk)
	_, err = mosaik.Query(ctx, groups[0], sum{}, mosaik.Strong)
	wantError(t, "strong read afterwards", err, errDisk)

	// Two of three voters go on with what was acknowledged.
	for _, g := range groups[1:] {
		mustPay(t, g, 1)
	}
	works()

	// Once it was left, the group can be joined anew.
	groups[0].Leave(gone())
	groups[0] = testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithLogStorage(storages[0]))
	testutil.Settle(t, groups...)
	want, err := mosaik.Query(ctx, groups[1], sum{}, mosaik.Strong)
	if err != nil {
		t.Fatal(err)
	}
	wantSum(t, want.Value, groups...)
}

// When whoever bootstraps a group is lost before anybody was added to it, those
// who were about to join do not wait for an epoch of nobody.
func TestGroupFormsWhenItsBootstrapIsLost(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	lowest := 0
	for i := range 3 {
		if c.Node(i).Peer().Compare(c.Node(lowest).Peer()) < 0 {
			lowest = i
		}
	}
	lost := make(chan struct{})
	var groups []tillGroup
	for i := range 3 {
		b := mosaik.WithStateMachine(c.Node(i).Builder(), newTill).WithLogStorage(solitary{lost})
		if i != lowest {
			b = b.WithLogStorage(logstore.NewMemory[step]())
		}
		groups = append(groups, testutil.JoinWith(c.Node(i), b))
	}
	for i, g := range groups {
		if _, err := g.When().Until(soon(t), func(s consensus.Status) bool {
			return !s.Epoch.IsZero() && len(g.Bonds()) == 2
		}); err != nil {
			close(lost)
			t.Fatalf("node %d: %v", i, err)
		}
	}
	close(lost)
	if _, err := groups[lowest].When().Until(soon(t), ended); err != nil {
		t.Error(err)
	}
	wantError(t, "the bootstrap", groups[lowest].When().Online(soon(t)), errDisk)
	groups[lowest].Leave(gone())

	rest := without(groups, c.Node(lowest))
	testutil.Settle(t, rest...)
	mustPay(t, rest[0], 1)
	groups[lowest] = testutil.Join(c.Node(lowest), newTill)
	testutil.Settle(t, groups...)
	wantSum(t, 1, groups...)
}

// Commands that came before they were let in are in the log, and are refused
// wherever they are applied. They do not keep a voter in an epoch which the one
// other voter left for good.
func TestGroupFormsWhenItsLeaderIsLost(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 4) // three of which must vote before commands are let in
	groups := []tillGroup{testutil.Join(c.Node(0), newTill), testutil.Join(c.Node(1), newTill)}
	wantMembers(t, voters(c.Node(0), c.Node(1)), groups...)
	for _, g := range groups {
		_, err := mosaik.Execute(soon(t), g, pay(100))
		wantError(t, "execute while the group forms", err, mosaik.ErrForming)
	}
	lost := leaderOf(t, c, groups[0])
	lost.Crash()
	rest := without(groups, lost)
	for _, n := range []*testutil.Node{c.Node(2), c.Node(3)} {
		rest = append(rest, testutil.Join(n, newTill))
	}
	testutil.Settle(t, rest...)
	mustPay(t, rest[0], 1)
	wantSum(t, 1, rest...)
}
