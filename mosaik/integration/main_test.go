package integration_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/apitest"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// module is the path of this module.
const module = "github.com/mosaik-go/mosaik"

// patience bounds waits that end sooner in every passing test.
const patience = 2 * time.Minute

// soon returns a context that ends with the test, or when it is stuck.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// errShort is the domain error of a till that holds less than is asked for.
var errShort = errors.New("the till is short")

// till holds a sum, and remembers what was done to it. Its command type is a
// struct; pay, take and blow are its typed commands.
type till struct {
	sum  int64
	done []int64
	slow *atomic.Int64 // how many nanoseconds a command takes, nil for none
}

func newTill() *till { return &till{} }

// step is every command of a till.
type step struct {
	Verb string
	N    int64
}

func (*till) Spec() sm.Spec[step] { return sm.Define[step]("till", 1) }

func (c *till) Apply(at sm.ApplyContext, s step) (any, error) {
	if c.slow != nil {
		time.Sleep(time.Duration(c.slow.Load()))
	}
	switch s.Verb {
	case "pay":
		return pay(s.N).ApplyTo(c, at)
	case "take":
		return take(s.N).ApplyTo(c, at)
	case "blow":
		return blow{}.ApplyTo(c, at)
	case "exit":
		runtime.Goexit()
	}
	return nil, fmt.Errorf("till: unknown verb %q", s.Verb)
}

// pay adds to the till; its result is the new sum.
type pay int64

func (p pay) AsCommand() step { return step{"pay", int64(p)} }
func (p pay) ApplyTo(c *till, _ sm.ApplyContext) (int64, error) {
	c.sum += int64(p)
	c.done = append(c.done, int64(p))
	return c.sum, nil
}

// take takes from the till, unless it is short.
type take int64

// receipt is the result of take.
type receipt struct {
	Left  int64
	Index sm.Index
}

func (w take) AsCommand() step { return step{"take", int64(w)} }
func (w take) ApplyTo(c *till, at sm.ApplyContext) (receipt, error) {
	if c.sum < int64(w) {
		return receipt{}, fmt.Errorf("%w: %d of %d", errShort, c.sum, int64(w))
	}
	c.sum -= int64(w)
	c.done = append(c.done, -int64(w))
	return receipt{Left: c.sum, Index: at.Index()}, nil
}

// blow panics.
type blow struct{}

func (blow) AsCommand() step                                  { return step{Verb: "blow"} }
func (blow) ApplyTo(*till, sm.ApplyContext) (struct{}, error) { panic("the till blew up") }

// sum asks what the till holds.
type sum struct{}

func (sum) Query(c *till) (int64, error) { return c.sum, nil }

// history asks for all that was done, in order.
type history struct{}

func (history) Query(c *till) ([]int64, error) { return slices.Clone(c.done), nil }

type tillGroup = *mosaik.Group[step, *till]

// mustPay pays through the member and returns the sum.
func mustPay(t testing.TB, g tillGroup, n int64) int64 {
	t.Helper()
	got, err := mosaik.Execute(soon(t), g, pay(n))
	if err != nil {
		t.Fatalf("pay %d: %v", n, err)
	}
	return got.Value
}

// wantSum fails the test unless each member says so in a strong read.
func wantSum(t testing.TB, want int64, groups ...tillGroup) {
	t.Helper()
	for i, g := range groups {
		got, err := mosaik.Query(soon(t), g, sum{}, mosaik.Strong)
		if err != nil || got.Value != want {
			t.Fatalf("handle %d reads %d, error %v; want %d", i, got.Value, err, want)
		}
	}
}

// wantHistory fails the test unless each member says so in a strong read.
func wantHistory(t testing.TB, want []int64, groups ...tillGroup) {
	t.Helper()
	for i, g := range groups {
		got, err := mosaik.Query(soon(t), g, history{}, mosaik.Strong)
		if err != nil {
			t.Fatalf("handle %d: %v", i, err)
		}
		if diff := cmp.Diff(want, got.Value); diff != "" {
			t.Errorf("the history that handle %d reads (-want +got):\n%s", i, diff)
		}
	}
}

// leaderOf returns the node that leads the group.
func leaderOf[C any, M sm.StateMachine[C]](t testing.TB, c *testutil.Cluster, g *mosaik.Group[C, M]) *testutil.Node {
	t.Helper()
	s, err := g.When().Until(soon(t), led)
	if err != nil {
		t.Fatal(err)
	}
	n := c.NodeOf(s.Leader)
	if n == nil {
		t.Fatalf("the leader, %s, is none of the cluster's nodes", s.Leader.Short())
	}
	return n
}

// newLeader waits until the group is led by another than the given node.
func newLeader[C any, M sm.StateMachine[C]](t testing.TB, c *testutil.Cluster, g *mosaik.Group[C, M], old *testutil.Node) *testutil.Node {
	t.Helper()
	s, err := g.When().Until(soon(t), ledByOtherThan(old.Peer()))
	if err != nil {
		t.Fatal(err)
	}
	return c.NodeOf(s.Leader)
}

// without returns the handles but for one node's.
func without[G any](groups []G, n *testutil.Node) []G {
	return slices.Delete(slices.Clone(groups), n.Index(), n.Index()+1)
}

// wantOutcome fails the test unless the outcome of err is as given.
func wantOutcome(t testing.TB, what string, err error, want mosaik.Outcome) {
	t.Helper()
	if got := mosaik.OutcomeOf(err); got != want {
		t.Errorf("%s: outcome %v of %v, want %v", what, got, err, want)
	}
}

// errorTable returns which errors docs/guarantees.md has as those of calls that can be retried.
var errorTable = sync.OnceValues(func() (map[string]bool, error) {
	return apitest.ErrorTable("../../docs/guarantees.md")
})

// Short names, as those of the other helpers.
var (
	wantMessage = apitest.WantMessage
	openNetwork = apitest.OpenNetwork
)

// wantError fails the test unless err is target, names this package once, and can be retried
// as docs/guarantees.md says.
func wantError(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error %v, want %v", what, err, target)
	}
	table, problem := errorTable()
	if problem != nil {
		t.Fatal(problem)
	}
	yes, no := false, false
	for name, can := range table {
		if is := errors.Is(err, apitest.Errors[name]); is && can {
			yes = true
		} else if is {
			no = true
		}
	}
	outcome := mosaik.OutcomeOf(err)
	if got, want := mosaik.Retryable(err), yes && !no && outcome == mosaik.NotApplied; (yes || no) && got != want {
		t.Errorf("%s: Retryable is %t for %v, want %t", what, got, err, want)
	}
	if strings.Count(fmt.Sprint(err), "mosaik: ") > 1 {
		t.Errorf("%s: the error names this package more than once: %v", what, err)
	}
}

// wantMembers fails the test unless each handle comes to see the members, as far
// as their places and whether they can be reached go.
func wantMembers[C any, M sm.StateMachine[C]](t testing.TB, want []consensus.Member, groups ...*mosaik.Group[C, M]) {
	t.Helper()
	places := func(members []consensus.Member) (plain []consensus.Member) {
		for _, m := range members {
			plain = append(plain, consensus.Member{Peer: m.Peer, Voter: m.Voter, Observer: m.Observer, CaughtUp: m.CaughtUp, Bonded: m.Bonded})
		}
		slices.SortFunc(plain, func(a, b consensus.Member) int { return a.Peer.Compare(b.Peer) })
		return plain
	}
	want = places(want)
	for i, g := range groups {
		diff := "nothing"
		for s := range g.When().Statuses(soon(t)) {
			if diff = cmp.Diff(want, places(s.Members)); diff == "" {
				break
			}
		}
		if diff != "" {
			t.Fatalf("members that handle %d sees (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(want, places(g.Status().Members)); diff != "" {
			t.Errorf("Members of handle %d (-want +got):\n%s", i, diff)
		}
	}
}

// voters returns nodes as members in place.
func voters(nodes ...*testutil.Node) (members []consensus.Member) {
	for _, n := range nodes {
		members = append(members, consensus.Member{Peer: n.Peer(), Voter: true, CaughtUp: true, Bonded: true})
	}
	return members
}

// nodes returns all nodes of a cluster but for one, which may be nil.
func nodes(c *testutil.Cluster, but *testutil.Node) (all []*testutil.Node) {
	for i := range c.Len() {
		if n := c.Node(i); n != but {
			all = append(all, n)
		}
	}
	return all
}
