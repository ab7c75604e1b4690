package mosaik_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
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
	made   chan int      // the node for which such a machine was made
}

func (s *gates) join(n *testutil.Node, policy mosaik.Policy) shutGroup {
	return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), func() *shut {
		if !s.closed.Load() {
			return &shut{}
		}
		s.made <- n.Index()
		return &shut{gate: s.gate}
	}).WithMembership(policy))
}

// reading reads from a member until it is stopped, and fails the test if an answer, or the
// index that the member says it has applied, is older than the one before. It ends when the
// member leaves, too.
func reading(ctx context.Context, t *testing.T, name string, g shutGroup) {
	var last mosaik.Answer[int64]
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
		at := g.Committed()
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
// applied: Weak reads, and AtLeast reads that need no more, are answered by the former
// machine until the new one has passed it. All other calls wait for the new replica.
func TestReplacedReplica(t *testing.T) {
	t.Parallel()
	const before, meanwhile = 300, 5
	for name, c := range map[string]struct {
		nodes  int
		policy mosaik.Policy
		// replace makes the group replace the replica of a voter.
		replace func(t *testing.T, c *testutil.Cluster, groups []shutGroup, leader int)
	}{
		"four voters become three": {5, three, func(t *testing.T, _ *testutil.Cluster, groups []shutGroup, leader int) {
			if err := groups[(leader+1)%5].Leave(soon(t)); err != nil {
				t.Fatal(err)
			}
		}},
		"a spare took its place": {4, three.WithMaximumVoters(3).WithGrace(500 * time.Millisecond),
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
			cluster := testutil.NewCluster(t, c.nodes, testutil.WithNodeOptions(func(int) []mosaik.Option {
				return []mosaik.Option{mosaik.WithHistory(1 << 20)}
			}))
			s := &gates{gate: make(chan struct{}), made: make(chan int, c.nodes)}
			open := sync.OnceFunc(func() { close(s.gate) })
			defer open()
			var groups []shutGroup
			for i := range c.nodes {
				groups = append(groups, s.join(cluster.Node(i), c.policy))
			}
			testutil.Settle(t, groups...)
			leader := leaderOf(t, cluster, groups[0]).Index()
			for range before {
				if _, err := groups[leader].Execute(soon(t), step{"pay", 1}); err != nil {
					t.Fatal(err)
				}
			}
			for _, g := range groups {
				if err := g.When().Committed(soon(t), before); err != nil {
					t.Fatal(err)
				}
			}
			ctx, stop := context.WithCancel(soon(t))
			var working sync.WaitGroup
			defer working.Wait()
			defer stop()
			for i, g := range groups {
				working.Go(func() { reading(ctx, t, fmt.Sprintf("member %d", i), g) })
			}
			s.closed.Store(true)
			c.replace(t, cluster, groups, leader)
			g := groups[<-s.made]
			followed := make(chan sm.Index, 2*before)
			working.Go(func() {
				defer close(followed)
				for a, err := range g.Applied(ctx, mosaik.Epoch{}, 1) {
					if err != nil {
						return
					}
					followed <- a.Cursor.Index
				}
			})
			read := func(c mosaik.Consistency) (mosaik.Answer[int64], error) {
				return mosaik.Read(ctx, g, c, func(m *shut) (int64, error) { return m.sum, nil })
			}
			// What needs the new replica waits for it.
			done := make(chan string, 3)
			opened := make(chan struct{})
			wait := func(what string, call func() error) {
				working.Go(func() {
					err := call()
					select {
					case <-opened:
					default:
						t.Errorf("%s is over, error %v, and the new machine is empty", what, err)
					}
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
					done <- what
				})
			}
			wait("a strong read", func() error {
				_, err := read(mosaik.Strong)
				return err
			})
			wait("a read at a later command", func() error {
				_, err := read(mosaik.AtLeast(before + meanwhile + 1))
				return err
			})
			wait("a command", func() error {
				_, err := g.Execute(ctx, step{"pay", 1})
				return err
			})
			for range meanwhile {
				if _, err := groups[leader].Execute(soon(t), step{"pay", 1}); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []mosaik.Consistency{mosaik.Weak, mosaik.AtLeast(before)} {
				if got, err := read(c); err != nil || got.Index < before || got.Index > before+meanwhile {
					t.Errorf("a read, %v, while the new machine is empty: %+v, error %v", c, got, err)
				}
			}
			if at := g.Committed(); at < before {
				t.Errorf("%d commands are committed while the new machine is empty", at)
			}
			close(opened)
			open()
			for range 3 {
				<-done
			}
			if err := g.When().Online(ctx); err != nil {
				t.Error(err)
			}
			for want := sm.Index(1); want <= before+meanwhile+1; want++ {
				if got := <-followed; got != want {
					t.Fatalf("followed command %d, want %d", got, want)
				}
			}
		})
	}
}

// voterOf returns a voter other than the leader.
func voterOf(s mosaik.Status, leader int, c *testutil.Cluster) mosaik.PeerID {
	for _, m := range s.Members {
		if m.Voter && m.Peer != c.Node(leader).Peer() {
			return m.Peer
		}
	}
	return mosaik.PeerID{}
}

// isVoter reports whether the peer votes.
func isVoter(s mosaik.Status, peer mosaik.PeerID) bool {
	for _, m := range s.Members {
		if m.Peer == peer {
			return m.Voter
		}
	}
	return false
}
