package integration_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/seam"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// otherTill is another machine with the identity of a till.
type otherTill struct{ till }

func TestSecondJoinIsASecondHandle(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	first, second, rest := groups[0], testutil.Join(c.Node(0), newTill), groups[1:]
	if first.ID() != second.ID() {
		t.Errorf("the handles have ids %s and %s", first.ID(), second.ID())
	}
	mustPay(t, first, 1)
	if got := mustPay(t, second, 1); got != 2 {
		t.Errorf("the second handle's sum is %d, want 2", got)
	}

	if err := first.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := first.Leave(soon(t)); err != nil {
		t.Errorf("leaving twice: %v", err)
	}
	_, err := mosaik.Execute(t.Context(), first, pay(1))
	wantError(t, "execute on a closed handle", err, mosaik.ErrClosed)
	mustPay(t, second, 1)
	wantMembers(t, voters(nodes(c, nil)...), rest...)

	if err := second.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, voters(nodes(c, c.Node(0))...), rest...)
	wantSum(t, 3, rest...)

	again := testutil.Join(c.Node(0), newTill)
	testutil.Settle(t, again, rest[0], rest[1])
	if got := mustPay(t, again, 1); got != 4 {
		t.Errorf("the sum after joining again is %d, want 4", got)
	}
}

func TestDifferingSecondJoin(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	b := c.Node(0).Builder()
	testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(b, newTill))
	key := c.Key()
	join := func(b mosaik.KeyedBuilder) error {
		_, err := mosaik.WithStateMachine(b, newTill).Join(t.Context())
		return err
	}
	for name, tc := range map[string]struct {
		join func() error
		want string
	}{
		"machine": {func() error {
			_, err := mosaik.WithStateMachine(b, func() *otherTill { return &otherTill{} }).Join(t.Context())
			return err
		}, "its machine is *integration_test.till, not *integration_test.otherTill"},
		"storage": {func() error {
			_, err := mosaik.WithStateMachine(b, newTill).WithLogStorage(faultyStorage{failAt: new(atomic.Int64)}).Join(t.Context())
			return err
		}, "its storage is *logstore.Memory[github.com/mosaik-go/mosaik/mosaik/integration_test.step], not integration_test.faultyStorage"},
		"timing": {func() error {
			return join(b.WithConsensusConfig(fast(consensus.Config{QueryTimeout: time.Hour})))
		}, "query_timeout=1s, not"},
		"role":       {func() error { return join(b.WithRole(consensus.Role{Observer: true})) }, "its role is normal, not observer"},
		"membership": {func() error { return join(b.WithMembership(three)) }, "its membership is expected=1 "},
		"key": {func() error {
			return join(c.Node(0).Net().Groups().WithKey(key.Rotate(mosaik.RandomKey())).
				WithConsensusConfig(testutil.FastConsensus()).WithMembership(consensus.Policy{Expected: 1}))
		}, "its key holds other secrets"},
	} {
		err := tc.join()
		wantError(t, name, err, mosaik.ErrPrecondition)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %q, want it to say %q", name, err, tc.want)
		}
	}
	if err := join(b); err != nil {
		t.Errorf("the same join again: %v", err)
	}
}

func TestLeaderThatLeavesHandsOver(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	testutil.Settle(t, groups...)
	mustPay(t, groups[0], 1)
	leader := leaderOf(t, c, groups[0])
	rest := without(groups, leader)
	if err := groups[leader.Index()].Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	newLeader(t, c, rest[0], leader)
	for _, g := range rest {
		mustPay(t, g, 1)
	}
	wantMembers(t, voters(nodes(c, leader)...), rest...)

	// The advertisement is taken back, too.
	ctx := soon(t)
	for _, n := range nodes(c, leader) {
		catalog := seam.CatalogOf(n.Net())
		changed := make(chan struct{}, 1)
		unwatch := catalog.Watch(func(_, _ discovery.Signed) {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		for {
			if e, ok := catalog.Get(leader.Peer()); ok && len(e.Groups) == 0 {
				break
			}
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				t.Errorf("node %d still sees the group advertised by the member that left", n.Index())
			}
			break
		}
		unwatch()
	}
}

// A member that leaves has left also if the group cannot confirm it.
func TestLeaveWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	c.Isolate(0)
	if _, err := groups[0].When().Until(soon(t), offline); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := groups[0].Leave(ctx)
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, mosaik.ErrStalled) { // the second if the member notices first
		t.Errorf("leave: error %v, want %v or %v", err, context.DeadlineExceeded, mosaik.ErrStalled)
	}
	if want := "mosaik: leave group " + groups[0].ID().Short() + ": the group did not confirm: "; err != nil && !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %q, want it to begin with %q", err, want)
	}
	if err := groups[0].When().Online(t.Context()); !errors.Is(err, mosaik.ErrClosed) {
		t.Errorf("wait on the group that was left: %v", err)
	}
}

// Everything that waits when a network closes, and everything that is called
// afterwards, gets ErrClosed.
func TestCloseEndsEveryCall(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	network := c.Node(0).Net()
	// Of two expected members one is missing, so that it waits for everything.
	g := testutil.Join(c.Node(0), newTill)
	w := g.When()
	calls := map[string]func(context.Context) error{
		"online":         w.Online,
		"settled":        w.Settled,
		"leading":        func(ctx context.Context) error { _, err := w.Leading(ctx); return err },
		"another leader": func(ctx context.Context) error { _, err := w.Until(ctx, ledBy(c.Node(1).Peer())); return err },
		"bonds":          func(ctx context.Context) error { _, err := w.Until(ctx, bonded(g, 2)); return err },
		"a command":      func(ctx context.Context) error { return w.Applied(ctx, 1) },
		"its end": func(ctx context.Context) error {
			s, err := w.Until(ctx, ended)
			return cmp.Or(err, s.Ended)
		},
		"statuses": func(ctx context.Context) (err error) {
			for s := range w.Statuses(ctx) {
				err = s.Ended
			}
			return err
		},
	}
	ended := map[string]chan error{}
	ctx := soon(t)
	for name, call := range calls {
		result := make(chan error, 1)
		ended[name] = result
		go func() { result <- call(ctx) }()
	}
	if err := network.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range ended {
		wantError(t, "waiting for "+name, <-err, mosaik.ErrClosed)
	}
	for name, call := range calls {
		wantError(t, name+" after close", call(t.Context()), mosaik.ErrClosed)
	}

	for name, call := range map[string]func() error{
		"execute":      func() error { _, err := mosaik.Execute(t.Context(), g, pay(1)); return err },
		"execute many": func() error { _, err := g.ExecuteMany(t.Context(), step{}); return err },
		"feed":         func() error { _, err := g.Feed(t.Context(), step{}); return err },
		"weak read":    func() error { _, err := mosaik.Query(t.Context(), g, sum{}, mosaik.Weak); return err },
		"strong read":  func() error { _, err := mosaik.Query(t.Context(), g, sum{}, mosaik.Strong); return err },
		"join": func() error {
			_, err := mosaik.WithStateMachine(network.Groups().WithKey(c.Key()), newTill).Join(t.Context())
			return err
		},
		"connected": func() error { return network.Connected(t.Context()) },
	} {
		wantError(t, name+" after close", call(), mosaik.ErrClosed)
	}
	if err := g.Leave(t.Context()); err != nil {
		t.Errorf("leave after close: %v", err)
	}
	if err := network.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

// A command whose member ends while it waits returns what is known of its outcome.
func TestCloseEndsCommandsOnTheirWay(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	mustPay(t, groups[0], 1)
	c.Isolate(0)
	p, err := groups[0].Feed(t.Context(), step{"pay", 1})
	if err != nil {
		t.Fatal(err)
	}
	c.Node(0).Crash()
	<-p.Done()
	_, err = p.Wait(t.Context())
	if !errors.Is(err, mosaik.ErrClosed) && !errors.Is(err, mosaik.ErrStalled) {
		t.Errorf("the command ended with %v, want %v or %v", err, mosaik.ErrClosed, mosaik.ErrStalled)
	}
	if mosaik.OutcomeOf(err) == mosaik.Applied {
		t.Errorf("the command ended with %v, whose outcome is applied", err)
	}
}

// eager is a till with a clockwork of its own.
type eager struct{ till }

var eagerConfig = fast(consensus.Config{HeartbeatInterval: 70 * time.Millisecond})

func (*eager) ConsensusDefaults() consensus.Config { return eagerConfig }

func TestConsensusDefaultsOfAMachine(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	keyed := c.Node(0).Net().Groups().WithKey(c.Key())
	newEager := func() *eager { return &eager{} }
	offered := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(keyed, newEager))
	if got := offered.Config(); got != eagerConfig {
		t.Errorf("the config is %v, want the machine's, %v", got, eagerConfig)
	}
	set := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(keyed, newEager).WithConsensusConfig(testutil.FastConsensus()))
	if got := set.Config(); got != testutil.FastConsensus() {
		t.Errorf("the config is %v, want the builder's, %v", got, testutil.FastConsensus())
	}
	if offered.ID() == set.ID() {
		t.Error("groups with different heartbeats have one id")
	}
	other := c.Node(0).Net().Groups().WithKey(mosaik.RandomKey())
	before := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(other.WithConsensusConfig(eagerConfig), newTill))
	if got := before.Config(); got != eagerConfig {
		t.Errorf("the config set before the machine is %v, want %v", got, eagerConfig)
	}
}

func TestGroupIDs(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	keyed := func(i int) mosaik.KeyedBuilder { return c.Node(i).Builder() }
	base := testutil.Join(c.Node(0), newTill).ID()
	same := func(name string, g interface{ ID() sm.Digest }) {
		t.Helper()
		if g.ID() != base {
			t.Errorf("%s changes the group's id", name)
		}
	}
	differ := func(name string, g interface{ ID() sm.Digest }) {
		t.Helper()
		if g.ID() == base {
			t.Errorf("%s does not change the group's id", name)
		}
	}
	n := c.Node(1)
	same("another member", testutil.Join(n, newTill))
	same("a storage", testutil.JoinWith(c.Add(), mosaik.WithStateMachine(c.Node(2).Builder(), newTill).
		WithLogStorage(logstore.NewMemory[step]())))
	same("a role and a policy", testutil.JoinWith(c.Add(), mosaik.WithStateMachine(c.Node(3).Builder(), newTill).
		WithRole(consensus.Role{Observer: true}).WithMembership(consensus.Policy{Expected: 5})))
	same("local timing", testutil.JoinWith(c.Add(), mosaik.WithStateMachine(c.Node(4).Builder(), newTill).
		WithConsensusConfig(fast(consensus.Config{BootstrapDelay: time.Hour}))))
	same("a rotated key", testutil.JoinWith(c.Add(), mosaik.WithStateMachine(
		c.Node(5).Net().Groups().WithKey(c.Key().Rotate(mosaik.RandomKey())).WithConsensusConfig(testutil.FastConsensus()), newTill)))
	differ("another key", testutil.JoinWith(n, mosaik.WithStateMachine(
		n.Net().Groups().WithKey(mosaik.RandomKey()).WithConsensusConfig(testutil.FastConsensus()), newTill)))
	differ("a heartbeat", testutil.JoinWith(n, mosaik.WithStateMachine(
		keyed(1).WithConsensusConfig(fast(consensus.Config{MaxMissedHeartbeats: 21})), newTill)))
	differ("a validator", testutil.JoinWith(n, mosaik.WithStateMachine(keyed(1).RequireTicket(password{"x"}), newTill)))
	differ("another machine", testutil.JoinWith(n, keyed(1)))
	differ("snapshots", testutil.JoinWith(n, mosaik.WithStateMachine(keyed(1), func() *savedTill { return &savedTill{} })))
}

// TestJoinWaitsForLeave joins a group again while its last handle is still being
// left: the group's bonds and log are in use until then.
func TestJoinWaitsForLeave(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	mustPay(t, groups[1], 1)
	left := make(chan error, 1)
	go func() { left <- groups[0].Leave(soon(t)) }()
	for range 20 {
		g, err := mosaik.WithStateMachine(c.Node(0).Builder(), newTill).Join(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Leave(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-left; err != nil {
		t.Fatal(err)
	}
	again := testutil.Join(c.Node(0), newTill)
	testutil.Settle(t, again, groups[1], groups[2])
	if got := mustPay(t, again, 1); got != 2 {
		t.Errorf("the sum after joining again is %d, want 2", got)
	}
}

// TestStoppedGroupIsNotJoined joins a group that its storage has stopped: the
// error says why it stopped, and leaving its handle makes room for a new start.
func TestStoppedGroupIsNotJoined(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	disk := faultyStorage{failAt: new(atomic.Int64)}
	disk.failAt.Store(5)
	g := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithLogStorage(disk))
	if _, err := g.When().Until(soon(t), ledByOtherThan(c.Node(0).Peer())); !errors.Is(err, errDisk) {
		t.Fatalf("waiting in a group that its storage stops: %v, want %v", err, errDisk)
	}
	_, err := mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithLogStorage(disk).Join(t.Context())
	if err == nil || !errors.Is(err, errDisk) {
		t.Fatalf("joining a stopped group: %v, want %v", err, errDisk)
	}
	_ = g.Leave(t.Context()) // the group has stopped, as the error says
	again := testutil.Join(c.Node(0), newTill)
	testutil.Settle(t, again)
}
