package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// shut is a till whose Apply waits for a gate.
type shut struct {
	till
	gate <-chan struct{} // nil for none
}

// Apply waits for the gate, then applies the command.
func (g *shut) Apply(at sm.ApplyContext, s step) (any, error) {
	if g.gate != nil {
		<-g.gate
	}
	return g.till.Apply(at, s)
}

type shutGroup = *mosaik.Group[step, *shut]

// gates makes machines of members whose replicas are about to be replaced.
type gates struct {
	closed atomic.Bool   // machines made from now on wait for the gate
	gate   chan struct{} // closed to open it
	open   func()        // does so, once
	made   chan int      // the node for which such a machine was made
}

func (s *gates) join(n *testutil.Node, policy consensus.Policy) shutGroup {
	return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), func() *shut {
		if !s.closed.Load() {
			return &shut{}
		}
		s.made <- n.Index()
		return &shut{gate: s.gate}
	}).WithMembership(policy).WithHistory(1<<20))
}

// reading reads from a member until it is stopped, and fails the test if an answer, or the
// index that the member says it has applied, is older than the one before. It ends when the
// member leaves, too.
func reading(ctx context.Context, t *testing.T, name string, g shutGroup) {
	var last mosaik.Result[int64]
	var committed sm.Index
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		<-pace.C
		got, err := mosaik.Read(ctx, g, mosaik.Weak, func(m *shut) (int64, error) { return m.sum, nil })
		switch {
		case errors.Is(err, mosaik.ErrClosed):
			return
		case err != nil && ctx.Err() == nil:
			t.Errorf("%s: a weak read: %v", name, err)
			return
		}
		at := g.AppliedIndex()
		if err == nil && (got.Index < last.Index || got.Value != int64(got.Index)) || at < committed {
			t.Errorf("%s: answered %+v after %+v, committed %d after %d", name, got, last, at, committed)
			return
		}
		if err == nil {
			last = got
		}
		committed = at
	}
}

// A member whose replica is replaced by another one in the same epoch keeps what it has
// applied: The former machine answers Weak reads, and AtLeast reads up to its index, until
// the new one has applied as much. All other calls wait for the new replica.
func TestReplacedReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		nodes  int
		policy consensus.Policy
		// replace makes the group replace the replica of a voter.
		replace func(t *testing.T, c *testutil.Cluster, groups []shutGroup, leader int)
	}{
		"four voters become three": {5, three, func(t *testing.T, _ *testutil.Cluster, groups []shutGroup, leader int) {
			if err := groups[(leader+1)%5].Leave(soon(t)); err != nil {
				t.Fatal(err)
			}
		}},
		"a spare took its place": {4, consensus.Policy{Expected: 3, MaximumVoters: 3, Grace: 500 * time.Millisecond},
			func(t *testing.T, c *testutil.Cluster, groups []shutGroup, leader int) {
				away := c.NodeOf(voterOf(groups[leader].Status(), leader, c))
				c.Isolate(away.Index())
				for s := range groups[leader].When().Statuses(soon(t)) {
					if !isVoter(s, away.Peer()) {
						break
					}
				}
				c.Reconnect(away.Index())
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := testutil.NewCluster(t, c.nodes)
			s := &gates{gate: make(chan struct{}), made: make(chan int, c.nodes)}
			s.open = sync.OnceFunc(func() { close(s.gate) })
			var groups []shutGroup
			for i := range c.nodes {
				groups = append(groups, s.join(cluster.Node(i), c.policy))
			}
			testutil.Settle(t, groups...)
			leader := leaderOf(t, cluster, groups[0]).Index()
			payOnes(soon(t), t, groups[leader], replacedAt)
			for _, g := range groups {
				if err := g.When().Applied(soon(t), replacedAt); err != nil {
					t.Fatal(err)
				}
			}
			ctx, stop := context.WithCancel(soon(t))
			var working sync.WaitGroup
			defer working.Wait()
			defer stop()
			defer s.open()
			for i, g := range groups {
				working.Go(func() { reading(ctx, t, fmt.Sprintf("member %d", i), g) })
			}
			s.closed.Store(true)
			c.replace(t, cluster, groups, leader)
			wantKept(ctx, t, s, groups[<-s.made], groups[leader])
		})
	}
}

// replacedAt and replacedUntil are how many commands a group has at least when a replica is
// replaced, and when the new one begins to apply them.
const replacedAt, replacedUntil = 300, 305

// persist calls until the outcome is known: a busy machine may lose its leader.
func persist(ctx context.Context, call func() error) error {
	for {
		err := call()
		if ctx.Err() != nil || !mosaik.Retryable(err) && mosaik.OutcomeOf(err) != mosaik.Unknown {
			return err
		}
	}
}

// payOnes executes payments of 1, of which n or more are applied.
func payOnes(ctx context.Context, t *testing.T, g shutGroup, n int) {
	t.Helper()
	for range n {
		if err := persist(ctx, func() error { _, err := g.Execute(ctx, step{"pay", 1}); return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// wantKept fails the test unless a member whose new machine waits for the gate answers from
// the former one what that can answer, and the rest once the gate is open.
func wantKept(ctx context.Context, t *testing.T, s *gates, g, leader shutGroup) {
	t.Helper()
	read := func(c mosaik.Consistency) (mosaik.Result[int64], error) {
		return mosaik.Read(ctx, g, c, func(m *shut) (int64, error) { return m.sum, nil })
	}
	// What needs the new replica waits for it.
	opened := make(chan struct{})
	var waiting sync.WaitGroup
	for what, call := range map[string]func() error{
		"a strong read":           func() error { _, err := read(mosaik.Strong); return err },
		"a read at a later index": func() error { _, err := read(mosaik.AtLeast(replacedUntil + 1)); return err },
		"a command":               func() error { _, err := g.Execute(ctx, step{"pay", 1}); return err },
	} {
		waiting.Go(func() {
			err := persist(ctx, call)
			select {
			case <-opened:
			default:
				t.Errorf("%s is over, and the new machine is empty", what)
			}
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	payOnes(ctx, t, leader, replacedUntil-replacedAt)
	for _, c := range []mosaik.Consistency{mosaik.Weak, mosaik.AtLeast(replacedAt)} {
		if got, err := read(c); err != nil || got.Index < replacedAt {
			t.Errorf("a read, %v, while the new machine is empty: %+v, error %v", c, got, err)
		}
	}
	if at := g.AppliedIndex(); at < replacedAt {
		t.Errorf("%d commands are committed while the new machine is empty", at)
	}
	close(opened)
	s.open()
	waiting.Wait()
	if err := g.When().Online(ctx); err != nil {
		t.Error(err)
	}
	next := sm.Index(1)
	for a, err := range g.Commands(ctx, g.Status().Epoch, 1) {
		if err != nil || a.Cursor.Index != next {
			t.Fatalf("followed command %d, want %d, error %v", a.Cursor.Index, next, err)
		}
		if next++; next > replacedUntil+1 {
			break
		}
	}
}

// voterOf returns a voter other than the leader.
func voterOf(s consensus.Status, leader int, c *testutil.Cluster) sm.PeerID {
	for _, m := range s.Members {
		if m.Voter && m.Peer != c.Node(leader).Peer() {
			return m.Peer
		}
	}
	return sm.PeerID{}
}

// isVoter reports whether the peer votes.
func isVoter(s consensus.Status, peer sm.PeerID) bool {
	for _, m := range s.Members {
		if m.Peer == peer {
			return m.Voter
		}
	}
	return false
}
