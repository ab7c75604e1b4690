package integration_test

import (
	"encoding/json"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// keptTill is a till with snapshots.
type keptTill struct{ till }

func newKeptTill() *keptTill { return &keptTill{} }

func (*keptTill) Spec() sm.Spec[step] { return sm.Define[step]("kept till", 1) }

func (c *keptTill) Snapshot(w io.Writer) error { return json.NewEncoder(w).Encode(c.done) }
func (c *keptTill) Restore(r io.Reader) error {
	c.sum = 0
	if err := json.NewDecoder(r).Decode(&c.done); err != nil {
		return err
	}
	for _, n := range c.done {
		c.sum += n
	}
	return nil
}

// holder is a machine that holds a till.
type holder interface {
	sm.StateMachine[step]
	held() *till
}

func (c *till) held() *till { return c }

func TestRecover(t *testing.T) {
	t.Parallel()
	t.Run("by log", func(t *testing.T) { t.Parallel(); testRecover(t, newTill) })
	t.Run("by snapshot", func(t *testing.T) { t.Parallel(); testRecover(t, newKeptTill) })
	t.Run("with levels by log", func(t *testing.T) { t.Parallel(); testRecover(t, newShop(3)) })
	t.Run("with levels by snapshot", func(t *testing.T) { t.Parallel(); testRecover(t, newKeptShop(3)) })
}

// testRecover loses two of three voters for good, twice. The clock of the member that
// recovers goes back by an hour each time that it is read.
func testRecover[M holder](t *testing.T, newMachine func() M) {
	var reads atomic.Int64
	start := time.Now()
	c := testutil.NewCluster(t, 3, testutil.WithNodeOptions(func(i int) []mosaik.Option {
		if i > 0 {
			return nil
		}
		return []mosaik.Option{withClock(func() time.Time { return start.Add(-time.Duration(reads.Add(1)) * time.Hour) })}
	}))
	ctx := soon(t)
	join := func(n *testutil.Node) *mosaik.Group[step, M] {
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newMachine).WithMembership(three))
	}
	pays := func(g *mosaik.Group[step, M], n int64) {
		t.Helper()
		if _, err := g.Execute(ctx, step{"pay", n}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(g *mosaik.Group[step, M], want int64) {
		t.Helper()
		got, err := mosaik.Read(ctx, g, mosaik.Strong, func(m M) (int64, error) { return m.held().sum, nil })
		if err != nil || got.Value != want {
			t.Errorf("the sum is %d, error %v; want %d", got.Value, err, want)
		}
	}
	survivor := join(c.Node(0))
	others := []*mosaik.Group[step, M]{join(c.Node(1)), join(c.Node(2))}
	testutil.Settle(t, append(others, survivor)...)
	pays(survivor, 1)
	wantError(t, "recover a group that is well", survivor.Recover(ctx), mosaik.ErrPrecondition)

	var token uint64
	for round := 1; round <= 2; round++ {
		before := survivor.Status()
		for i := 1; i <= 2; i++ {
			c.Node(i).Crash()
			c.Node(i).Restart()
		}
		for s := range survivor.When().Statuses(ctx) {
			if s.Stalled {
				break
			}
		}
		// Those that come back join what they find, and help nobody.
		for i := 1; i <= 2; i++ {
			others[i-1] = join(c.Node(i))
		}
		_, err := survivor.Execute(ctx, step{"pay", 100})
		wantError(t, "execute without a quorum", err, mosaik.ErrStalled)

		if err := survivor.Recover(ctx); err != nil {
			t.Fatal(err)
		}
		want(survivor, int64(round))
		if at := survivor.AppliedIndex(); at != sm.Index(round) {
			t.Errorf("the last command's index is %d, want %d", at, round)
		}
		testutil.Settle(t, append(others, survivor)...)
		pays(others[0], 1)
		for _, g := range append(others, survivor) {
			want(g, int64(round+1))
			s := g.Status()
			if s.Recoveries != round || s.Epoch == before.Epoch {
				t.Errorf("recovered %d times to epoch %s, want %d times from %s", s.Recoveries, s.Epoch, round, before.Epoch)
			}
			if lead, ok := g.Leadership(); ok {
				if lead.Token <= token || lead.Epoch != s.Epoch {
					t.Errorf("the token went from %d to %d", token, lead.Token)
				}
				token = lead.Token
			}
		}
	}
}

// The old epoch ends at first contact, although it has a quorum there.
func TestRecoveredEpochEndsTheOldOne(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	mustPay(t, groups[0], 1)
	ctx := soon(t)
	c.Isolate(0)
	for s := range groups[0].When().Statuses(ctx) {
		if s.Stalled {
			break
		}
	}
	if _, err := groups[1].When().Until(ctx, ledByOtherThan(c.Node(0).Peer())); err != nil {
		t.Fatal(err)
	}
	mustPay(t, groups[1], 10) // which the dangerous call gives up
	if err := groups[0].Recover(ctx); err != nil {
		t.Fatal(err)
	}
	mustPay(t, groups[0], 100)
	c.HealAll()
	for i, g := range groups { // which may not have noticed anything until then
		for s := range g.When().Statuses(ctx) {
			if s.Recoveries == 1 {
				break
			}
		}
		if s := g.Status(); s.Recoveries != 1 {
			t.Fatalf("member %d is in an epoch that continues %d others", i, s.Recoveries)
		}
	}
	testutil.Settle(t, groups...)
	for _, g := range groups {
		mustPay(t, g, 1000)
	}
	wantSum(t, 3101, groups...)
}

func TestYield(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 4)
	ctx := soon(t)
	apart := func(cut func(i, j int)) {
		for _, i := range []int{0, 1} {
			for _, j := range []int{2, 3} {
				cut(i, j)
			}
		}
	}
	apart(c.Cut)
	groups := make([]tillGroup, 4)
	for i := range groups {
		n := c.Node(i)
		groups[i] = testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(consensus.Policy{}))
	}
	testutil.Settle(t, groups[0], groups[1])
	testutil.Settle(t, groups[2], groups[3])
	mustPay(t, groups[0], 1)
	mustPay(t, groups[2], 10)
	wantError(t, "yield to no other epoch", groups[0].Yield(ctx), mosaik.ErrPrecondition)
	apart(c.Heal)
	for i, g := range groups {
		for s := range g.When().Statuses(ctx) {
			if len(s.Diverged) == 1 && s.Diverged[0] == groups[(i+2)%4].Status().Epoch {
				break
			}
		}
	}
	// Both epochs continue.
	mustPay(t, groups[1], 1)
	mustPay(t, groups[3], 10)
	if err := groups[1].Yield(ctx); err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, groups...)
	mustPay(t, groups[1], 100)
	wantSum(t, 120, groups...)
	wantHistory(t, []int64{10, 10, 100}, groups...)
}

func TestTransferLeadership(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	ctx := soon(t)
	leader := leaderOf(t, c, groups[0])
	g, rest := groups[leader.Index()], without(groups, leader)
	for _, other := range rest {
		wantError(t, "transfer by a follower", other.TransferLeadership(ctx, sm.PeerID{}), mosaik.ErrNotLeader)
	}
	wantError(t, "transfer to a stranger", g.TransferLeadership(ctx, sm.PeerID{1}), mosaik.ErrPrecondition)
	if err := g.TransferLeadership(ctx, leader.Peer()); err != nil || !g.IsLeader() {
		t.Errorf("transfer to itself: error %v, leads %v", err, g.IsLeader())
	}
	first, _ := g.Leadership()
	to := c.Node((leader.Index() + 1) % 3)
	if err := g.TransferLeadership(ctx, to.Peer()); err != nil {
		t.Fatal(err)
	}
	if _, err := groups[to.Index()].When().Leading(ctx); err != nil {
		t.Fatal(err)
	}
	second, ok := groups[to.Index()].Leadership()
	if !ok || second.Token <= first.Token || second.Epoch != first.Epoch {
		t.Errorf("the leadership went from %+v to %+v", first, second)
	}
	if err := groups[to.Index()].TransferLeadership(ctx, sm.PeerID{}); err != nil {
		t.Fatal(err)
	}
	if _, err := groups[0].When().Until(ctx, ledByOtherThan(to.Peer())); err != nil {
		t.Fatal(err)
	}
	if _, ok := groups[to.Index()].Leadership(); ok {
		t.Error("a member that handed the lead on claims it")
	}
	testutil.Settle(t, groups...)
}
